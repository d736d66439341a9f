//! Firewall steps as the input of `iptables-restore`, and its complaints as errors that name the step.

use std::collections::BTreeMap;

use crate::kernel::KernelError;
use crate::lab::{Family, Table};
use crate::plan::Step;

/// The input of one `iptables-restore --noflush`, with the step that stands on each line.
pub(super) struct Script<'a> {
    pub(super) text: String,
    lines: Vec<Option<&'a Step>>,
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
        script.push(&format!("*{}", table.name()), None);
        for (step, line) in steps {
            script.push(&line, Some(step));
        }
        script.push("COMMIT", None);
    }
    script
}

/// The family of a firewall step; none for any other step.
pub(super) fn family(step: &Step) -> Option<Family> {
    match step {
        Step::AddChain { chain, .. }
        | Step::DeleteChain { chain, .. }
        | Step::AddFwRule { chain, .. }
        | Step::DeleteFwRule { chain, .. } => Some(chain.family),
        _ => None,
    }
}

/// The tables that a script changes.
pub(super) fn tables(steps: &[Step]) -> impl Iterator<Item = Table> {
    let mut tables: Vec<Table> = steps.iter().filter_map(|step| Some(line(step)?.0)).collect();
    tables.sort_unstable();
    tables.dedup();
    tables.into_iter()
}

/// The table that a step changes, and the command for it.
fn line(step: &Step) -> Option<(Table, String)> {
    match step {
        Step::AddChain { chain, .. } => Some((chain.table, format!("-N {}", chain.chain))),
        Step::DeleteChain { chain, .. } => Some((chain.table, format!("-X {}", chain.chain))),
        Step::AddFwRule { chain, position: None, rule, .. } => {
            Some((chain.table, format!("-A {} {}", chain.chain, rule.to_restore())))
        }
        Step::AddFwRule { chain, position: Some(position), rule, .. } => {
            Some((chain.table, format!("-I {} {position} {}", chain.chain, rule.to_restore())))
        }
        Step::DeleteFwRule { chain, rule, .. } => {
            Some((chain.table, format!("-D {} {}", chain.chain, rule.to_restore())))
        }
        _ => None,
    }
}

impl<'a> Script<'a> {
    fn push(&mut self, line: &str, step: Option<&'a Step>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines.push(step);
    }

    /// What `iptables-restore` said, as an error: about the step of the line that it names, if it names one.
    pub(super) fn error(&self, complaint: &str) -> KernelError {
        let step = line_number(complaint).and_then(|number| *self.lines.get(number.checked_sub(1)?)?);
        let what = match step {
            Some(step) => step.text(),
            None => "change the firewall".to_owned(),
        };
        KernelError::new(what).said(words(complaint))
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
