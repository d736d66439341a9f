//! Firewall steps as the input of `iptables-restore`, and its complaints as errors that name the step.

use std::collections::BTreeMap;

use crate::kernel::{KernelCode, KernelError};
use crate::lab::{Family, NsName, Table};
use crate::steps::Step;

/// The input of one `iptables-restore --noflush`, with what stands on each line.
pub(super) struct Script<'a> {
    pub(super) text: String,
    lines: Vec<Line<'a>>,
}

#[derive(Clone, Copy)]
enum Line<'a> {
    Step(&'a Step),
    /// The beginning or the end of a table; what is refused at its end is some step in it.
    Table(Table),
}

/// Writes steps of one namespace and one family down, table by table, each table's in their order.
pub(super) fn script(steps: &[Step]) -> Script<'_> {
    let mut tables: BTreeMap<Table, Vec<(&Step, String)>> = BTreeMap::new();
    for step in steps {
        if let Some((table, line)) = line(step) {
            tables.entry(table).or_default().push((step, line));
        }
    }
    let mut script = Script { text: String::new(), lines: Vec::new() };
    for (table, steps) in tables {
        script.push(&format!("*{}", table.name()), Line::Table(table));
        for (step, line) in steps {
            script.push(&line, Line::Step(step));
        }
        script.push("COMMIT", Line::Table(table));
    }
    script
}

/// The family of a firewall step; none for any other step.
pub(super) fn family(step: &Step) -> Option<Family> {
    Some(step.firewall()?.chain.family)
}

/// The tables that a script changes.
pub(super) fn tables(steps: &[Step]) -> impl Iterator<Item = Table> {
    let mut tables: Vec<Table> = steps.iter().filter_map(|step| Some(line(step)?.0)).collect();
    tables.sort_unstable();
    tables.dedup();
    tables.into_iter()
}

/// The table that a step changes, and the line that does it.
fn line(step: &Step) -> Option<(Table, String)> {
    let step = step.firewall()?;
    Some((step.chain.table, step.restore_line()))
}

impl<'a> Script<'a> {
    fn push(&mut self, line: &str, content: Line<'a>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines.push(content);
    }

    /// What `iptables-restore` said, as an error: about the step of the line that it names, as far as it names one.
    pub(super) fn error(&self, complaint: &str, ns: &NsName) -> KernelError {
        let line = line_number(complaint).and_then(|number| self.lines.get(number.checked_sub(1)?));
        let what = match line {
            Some(Line::Step(step)) => step.text(),
            Some(Line::Table(table)) => format!("change table {} of the firewall in {ns}", table.name()),
            None => format!("change the firewall in {ns}"),
        };
        KernelError::new(what).said(words(complaint)).with_code(KernelCode::FirewallRefused)
    }

    /// The steps that undo what was done before the line that `iptables-restore` complains of: tables whose end came
    /// earlier.
    pub(super) fn undo(&self, complaint: &str) -> Vec<Step> {
        let number = line_number(complaint).unwrap_or_default();
        let done = self.lines.get(..number.saturating_sub(1)).unwrap_or_default();
        let tables = done.iter().rposition(|line| matches!(line, Line::Table(_))).unwrap_or_default();
        let steps = done.iter().take(tables).filter_map(|line| match line {
            Line::Step(step) => step.inverse(),
            Line::Table(_) => None,
        });
        steps.rev().collect()
    }
}

/// The number in "line 4 failed", "Error occurred at line: 4" and "line 4: RULE_APPEND failed".
fn line_number(complaint: &str) -> Option<usize> {
    complaint.split("line").skip(1).find_map(|rest| {
        let rest = rest.trim_start_matches([':', ' ']);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    })
}

/// The complaint without the program's advice on itself.
fn words(complaint: &str) -> String {
    let noise = |line: &&str| !(line.is_empty() || line.starts_with('#') || line.starts_with("Try `"));
    complaint.lines().map(str::trim).filter(noise).collect::<Vec<_>>().join("; ")
}
