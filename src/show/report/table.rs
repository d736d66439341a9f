//! Check results for people: a line for every pair where there are few, a matrix where there are many, then what is not
//! as promised and why, then one line that sums up.

use std::cmp::Reverse;
use std::time::Duration;

use super::matrix::{is_matrix, listing, matrix};
use super::{explained, mark, pair_in_full, pair_name, printable, way};
use crate::check::{CheckResult, PairResult, Report};
use crate::show::counted;
use crate::show::lines::fitted;

/// How many ways in which pairs of a matrix passed are told apart.
const WAYS: usize = 5;

/// How many kinds of failure are explained; JSON has all of them.
const EXPLAINED: usize = 25;

/// Columns of a list: the mark with its gap, the gap between others, the longest duration.
const MARK: usize = 2;
const GAP: usize = 2;
const DURATION: usize = 8;

/// A column of results is no narrower than this, however long the names are.
const NARROW: usize = 20;

/// The report for a terminal of `width` columns, with colour if asked for.
pub fn table(report: &Report, colour: bool, width: usize) -> String {
    let columns = Columns::fitting(report, width);
    let mut text = String::new();
    let mut before = None;
    for check in &report.checks {
        let is_matrix = is_matrix(check);
        if before.is_some_and(|before| before || is_matrix) {
            text.push('\n');
        }
        before = Some(is_matrix);
        text += &match is_matrix {
            true => format!("{}\n{}{}", heading(check), matrix(check, width), ways(check)),
            false => list(check, &columns),
        };
    }
    text.extend(report.explained.iter().map(explained));
    text += &failures(report, width);
    text.extend(report.hints.iter().map(|hint| format!("\nhint: {}\n", printable(hint))));
    text += &summary(report);
    if colour { coloured(&text) } else { text }
}

/// The widths of the columns of all lists, in characters.
struct Columns {
    pair: usize,
    protocol: usize,
    result: usize,
}

impl Columns {
    fn fitting(report: &Report, width: usize) -> Self {
        let mut columns = Self { pair: 0, protocol: 0, result: 0 };
        for check in report.checks.iter().filter(|check| !is_matrix(check)) {
            for pair in &check.pairs {
                columns.pair = columns.pair.max(pair_name(pair).chars().count());
                columns.protocol = columns.protocol.max(pair.protocol.len());
                columns.result = columns.result.max(pair.result.chars().count());
            }
        }
        let room = width.saturating_sub(columns.beside());
        columns.result = columns.result.min(room.max(NARROW));
        columns
    }

    /// What stands left and right of a result, with the gaps.
    fn beside(&self) -> usize {
        MARK + self.pair + GAP + self.protocol + GAP + GAP + DURATION
    }
}

fn list(check: &CheckResult, columns: &Columns) -> String {
    let mut text = String::new();
    // A name that nslab made of the two sides would only say again what the pairs say.
    if !check.name.contains(" → ") {
        text += &format!("{}\n", printable(&check.name));
    }
    for pair in &check.pairs {
        // What does not fit goes on below, in the same column.
        let hang = MARK + columns.pair + GAP + columns.protocol + GAP;
        let result = fitted(&printable(&pair.result), 0, 0, columns.result);
        let (result, more) = result.split_once('\n').unwrap_or((&result, ""));
        text += &format!(
            "{} {:<pair_width$}  {:<protocol_width$}  {:<result_width$}  {:>8}\n",
            mark(pair.passed),
            pair_name(pair),
            pair.protocol,
            result,
            in_words(pair.took),
            pair_width = columns.pair,
            protocol_width = columns.protocol,
            result_width = columns.result,
        );
        text.extend(more.lines().map(|line| format!("{:hang$}{line}\n", "")));
    }
    text
}

/// How the pairs of a matrix that passed came out, where more is known than what was promised: `54 pairs: unreachable:
/// no answer`.
fn ways(check: &CheckResult) -> String {
    let mut ways: Vec<(&str, usize)> = Vec::new();
    for of_pair in check.pairs.iter().filter_map(|pair| way(check, pair)) {
        match ways.iter_mut().find(|(way, _)| *way == of_pair) {
            Some((_, count)) => *count += 1,
            None => ways.push((of_pair, 1)),
        }
    }
    ways.sort_by_key(|(_, count)| Reverse(*count));
    let line = |(way, count): &(&str, usize)| format!("✓ {}: {}\n", counted(*count, "pair"), printable(way));
    let rest: usize = ways.iter().skip(WAYS).map(|(_, count)| count).sum();
    let rest = if rest > 0 { format!("✓ {}: otherwise\n", counted(rest, "pair")) } else { String::new() };
    ways.iter().take(WAYS).map(line).collect::<String>() + &rest
}

/// `pods → pods (icmp): reachable, seen as itself`
fn heading(check: &CheckResult) -> String {
    format!("{}: {}", name_in_full(check), check.expectation)
}

/// `pods → pods (icmp)`; a name that nslab has made ends in the protocol already.
fn name_in_full(check: &CheckResult) -> String {
    let protocol = check.pairs.first().map_or("", |pair| pair.protocol.as_str());
    let made = check.name.strip_suffix(&format!(" {protocol}"));
    let made = made.filter(|made| protocol.contains('/') && made.contains(" → "));
    format!("{} ({protocol})", printable(made.unwrap_or(&check.name)))
}

/// Everything that is not as promised, and why; pairs of a check that fail for the same reason together.
fn failures(report: &Report, width: usize) -> String {
    let mut groups: Vec<(&CheckResult, &str, Vec<&PairResult>)> = Vec::new();
    for check in &report.checks {
        let of_this_check = groups.len();
        for pair in check.pairs.iter().filter(|pair| !pair.passed) {
            let reason = pair.failure.as_deref().unwrap_or("not as promised");
            match groups.iter_mut().skip(of_this_check).find(|(_, of_group, _)| *of_group == reason) {
                Some((.., pairs)) => pairs.push(pair),
                None => groups.push((check, reason, vec![pair])),
            }
        }
    }
    let mut text: String =
        groups.iter().take(EXPLAINED).map(|(check, reason, pairs)| failure(check, reason, pairs, width)).collect();
    if groups.len() > EXPLAINED {
        text += &format!("\n… and {} more; --format json has all of them\n", groups.len() - EXPLAINED);
    }
    text
}

fn failure(check: &CheckResult, reason: &str, pairs: &[&PairResult], width: usize) -> String {
    let (line, expectation) = (check.line, &check.expectation);
    let reason = printable(reason);
    match pairs {
        [pair] => {
            let tries = if pair.tries > 1 { format!(", tried {} times", pair.tries) } else { String::new() };
            format!("\n✗ {}: expected {expectation}, line {line}{tries}\n  {reason}\n", pair_in_full(pair))
        }
        pairs => {
            let names: Vec<String> = pairs.iter().map(|pair| pair_name(pair)).collect();
            let names = listing("  ", &names, width);
            let (check, count) = (name_in_full(check), pairs.len());
            format!("\n✗ {check}: expected {expectation}, line {line}: {count} pairs\n  {reason}\n{names}\n")
        }
    }
}

fn summary(report: &Report) -> String {
    let (checks, pairs) = (report.checks.len(), report.pairs());
    if pairs == 0 {
        let what = if report.hints.is_empty() { "has no checks" } else { "has no checks that were tried here" };
        return format!("lab {} {what}\n", report.lab);
    }
    let took = in_words(report.elapsed);
    match report.failures() {
        0 => format!("\n✓ {}, {}: all as promised ({took})\n", counted(checks, "check"), counted(pairs, "pair")),
        1 => format!("\n✗ 1 of {} is not as promised ({took})\n", counted(pairs, "pair")),
        failures => format!("\n✗ {failures} of {pairs} pairs are not as promised ({took})\n"),
    }
}

/// `0.21 ms`, `34 ms`, `1.2 s`
fn in_words(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 0.01 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{:.2} ms", seconds * 1e3),
    }
}

/// Colours the marks, once everything has its place.
fn coloured(text: &str) -> String {
    text.replace('✓', "\x1b[32m✓\x1b[0m").replace('✗', "\x1b[31m✗\x1b[0m")
}
