//! A check of many pairs as a matrix: senders down, destinations across.

use std::collections::{HashMap, HashSet};

use super::{mark, printable};
use crate::check::CheckResult;

/// A check with more pairs than this is a matrix, unless one side has a single member.
const FEW: usize = 8;

/// More destinations than this are hard to read: rows are then counted.
const MANY: usize = 30;

/// Between two columns.
const GAP: usize = 2;

/// Whether a check is shown as a matrix rather than as a list.
pub(super) fn is_matrix(check: &CheckResult) -> bool {
    let first = check.pairs.first();
    let senders = first.is_some_and(|first| check.pairs.iter().any(|pair| pair.from != first.from));
    let destinations = first.is_some_and(|first| check.pairs.iter().any(|pair| pair.to != first.to));
    check.pairs.len() > FEW && (senders && destinations || check.pairs.len() > MANY)
}

/// The matrix, within the width: with the destinations' names, or else with numbers, or else as counts.
pub(super) fn matrix(check: &CheckResult, width: usize) -> String {
    let cells = Cells::of(check);
    let fits = |labels: &[String], heads: &[String]| {
        longest(labels) + heads.iter().map(|head| head.chars().count().max(1) + GAP).sum::<usize>() <= width
    };
    if fits(&cells.rows, &cells.columns) {
        return cells.grid(&cells.rows, &cells.columns);
    }
    let numbers: Vec<String> = (1..=cells.columns.len()).map(|number| number.to_string()).collect();
    let (labels, legend) = cells.numbered();
    if numbers.len() <= MANY && fits(&labels, &numbers) {
        return cells.grid(&labels, &numbers) + &legend;
    }
    cells.counts(width)
}

/// What came of every sender and destination, both in the order of the file.
struct Cells {
    rows: Vec<String>,
    columns: Vec<String>,
    /// By row and column; what was not probed is not there.
    passed: HashMap<(usize, usize), bool>,
}

impl Cells {
    fn of(check: &CheckResult) -> Self {
        let mut rows = Numbered::default();
        for pair in &check.pairs {
            rows.number(pair.from.to_string());
        }
        // Names on both sides have the same order across as down, so that a pair with itself is on the diagonal.
        let mut columns = Numbered::default();
        let destinations: HashSet<&str> = check.pairs.iter().map(|pair| pair.to.as_str()).collect();
        for row in rows.names.iter().filter(|row| destinations.contains(row.as_str())) {
            columns.number(row.clone());
        }
        let mut passed = HashMap::new();
        for pair in &check.pairs {
            let place = (rows.number(pair.from.to_string()), columns.number(printable(&pair.to)));
            *passed.entry(place).or_insert(true) &= pair.passed;
        }
        Self { rows: rows.names, columns: columns.names, passed }
    }

    fn grid(&self, labels: &[String], heads: &[String]) -> String {
        let first = longest(labels);
        let line = |label: &str, cells: Vec<String>| {
            let cells =
                cells.iter().zip(heads).map(|(cell, head)| format!("  {cell:^width$}", width = head.chars().count()));
            format!("{label:<first$}{}", cells.collect::<String>()).trim_end().to_owned() + "\n"
        };
        let mut text = line("", heads.to_vec());
        for (row, label) in labels.iter().enumerate() {
            let cells = (0..heads.len()).map(|column| match self.passed.get(&(row, column)) {
                Some(passed) => mark(*passed).to_string(),
                None => "·".to_owned(),
            });
            text += &line(label, cells.collect());
        }
        text
    }

    /// The rows with the numbers that they have as columns, and the names of the columns that are no rows.
    fn numbered(&self) -> (Vec<String>, String) {
        let places = longest(&[self.columns.len().to_string()]);
        let label = |row: &String| match self.columns.iter().position(|column| column == row) {
            Some(column) => format!("{:>places$} {row}", column + 1),
            None => format!("{:places$} {row}", ""),
        };
        let unnamed = self.columns.iter().enumerate().filter(|(_, column)| !self.rows.contains(column));
        let legend = unnamed.map(|(column, name)| format!("{:>places$} {name}\n", column + 1)).collect();
        (self.rows.iter().map(label).collect(), legend)
    }

    /// One line for all rows that are as promised, and one for each that is not.
    fn counts(&self, width: usize) -> String {
        let row_of = |row: usize| {
            (0..self.columns.len()).filter_map(move |column| Some((column, *self.passed.get(&(row, column))?)))
        };
        let failed =
            |row: usize| row_of(row).filter(|(_, passed)| !passed).map(|(column, _)| column).collect::<Vec<_>>();
        let (bad, good): (Vec<usize>, Vec<usize>) = (0..self.rows.len()).partition(|row| !failed(*row).is_empty());
        let mut text = String::new();
        if !good.is_empty() {
            text += &format!(
                "✓ {} of {} senders: as promised to every destination ({} pairs)\n",
                good.len(),
                self.rows.len(),
                good.iter().map(|row| row_of(*row).count()).sum::<usize>()
            );
        }
        let label = longest(&bad.iter().filter_map(|row| self.rows.get(*row).cloned()).collect::<Vec<_>>());
        for row in bad {
            let failed = failed(row);
            let names: Vec<&str> =
                failed.iter().filter_map(|column| self.columns.get(*column)).map(String::as_str).collect();
            let name = self.rows.get(row).map_or("", String::as_str);
            let start = format!("✗ {name:<label$}  {} of {}: ", failed.len(), row_of(row).count());
            text += &(listing(&start, &names, width) + "\n");
        }
        text
    }
}

/// Names with the numbers in which they came.
#[derive(Default)]
struct Numbered {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Numbered {
    fn number(&mut self, name: String) -> usize {
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.names.len();
        self.numbers.insert(name.clone(), number);
        self.names.push(name);
        number
    }
}

fn longest(texts: &[String]) -> usize {
    texts.iter().map(|text| text.chars().count()).max().unwrap_or_default()
}

/// A line that ends in names: as many as there is room for, but at least one, and how many more there are.
pub(super) fn listing(start: &str, names: &[impl AsRef<str>], width: usize) -> String {
    let mut line = start.to_owned();
    for (shown, name) in names.iter().enumerate() {
        let between = if shown == 0 { "" } else { ", " };
        let longer = format!("{line}{between}{}", name.as_ref());
        let rest = match names.len() - shown - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if shown > 0 && longer.chars().count() + rest.len() > width {
            return format!("{line} and {} more", names.len() - shown);
        }
        line = longer;
    }
    line
}
