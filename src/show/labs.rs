//! The labs on this machine.

use schemars::JsonSchema;
use serde::Serialize;

use super::lines::{fitted, table};
use crate::engine::Labs;
use crate::lab::LabName;

/// A lab for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LabView {
    /// Its name.
    lab: String,
    /// Its namespaces, without `host`.
    namespaces: Vec<String>,
    /// Its interfaces in `host`.
    host_interfaces: Vec<String>,
    /// How many programs it has; null where their supervisor does not say.
    programs: Option<usize>,
    /// Whether its state (topology and journal) is kept; `destroy` works without.
    state_kept: bool,
}

/// Every lab that has a mark in the kernel, or state.
pub fn labs(labs: &Labs) -> Vec<LabView> {
    let view = |lab: LabName| {
        let marked = labs.marks.get(&lab);
        LabView {
            lab: lab.to_string(),
            namespaces: marked.iter().flat_map(|m| m.namespaces.iter().map(ToString::to_string)).collect(),
            host_interfaces: marked.iter().flat_map(|m| m.interfaces.iter().map(ToString::to_string)).collect(),
            programs: if labs.saved.contains(&lab) { labs.programs.get(&lab).copied() } else { Some(0) },
            state_kept: labs.saved.contains(&lab),
        }
    };
    labs.names().into_iter().map(view).collect()
}

/// The labs for people, in lines of at most `width` columns.
pub fn list(labs: &[LabView], width: usize) -> String {
    if labs.is_empty() {
        return "there are no labs; `nslab apply FILE` builds one\n".to_owned();
    }
    let state = |lab: &LabView| if lab.state_kept { "kept" } else { "not kept" };
    let row = |lab: &LabView| {
        let programs = match lab.programs {
            Some(0) => "none".to_owned(),
            Some(number) => number.to_string(),
            None => "unknown".to_owned(),
        };
        [lab.lab.clone(), counted(&lab.namespaces), counted(&lab.host_interfaces), programs, state(lab).to_owned()]
    };
    let rows: Vec<[String; 5]> = labs.iter().map(row).collect();
    let stacked = |[lab, namespaces, interfaces, programs, topology]: &[String; 5]| {
        let lines = [
            format!("namespaces: {namespaces}"),
            format!("interfaces of host: {interfaces}"),
            format!("programs: {programs}"),
            format!("topology: {topology}"),
        ];
        format!("{lab}\n") + &lines.map(|line| fitted(&line, 2, 4, width)).concat()
    };
    match table(["LAB", "NAMESPACES", "INTERFACES OF HOST", "PROGRAMS", "TOPOLOGY"], &rows, width) {
        Some(table) => format!("{table}\n"),
        None => rows.iter().map(stacked).collect(),
    }
}

/// How many, and the first few by name.
fn counted(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        few if few.len() <= 6 => few.join(" "),
        many => format!("{} … ({} in all)", many.get(..5).unwrap_or_default().join(" "), many.len()),
    }
}
