//! The labs on this machine.

use comfy_table::{Table, presets};
use schemars::JsonSchema;
use serde::Serialize;

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
            state_kept: labs.saved.contains(&lab),
        }
    };
    labs.names().into_iter().map(view).collect()
}

/// The labs for people.
pub fn list(labs: &[LabView]) -> String {
    if labs.is_empty() {
        return "there are no labs; `nslab apply FILE` builds one\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["LAB", "NAMESPACES", "INTERFACES OF HOST", "TOPOLOGY"]);
    for lab in labs {
        let state = if lab.state_kept { "kept" } else { "not kept" };
        table.add_row([lab.lab.clone(), counted(&lab.namespaces), counted(&lab.host_interfaces), state.to_owned()]);
    }
    format!("{table}\n")
}

/// How many, and the first few by name.
fn counted(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        few if few.len() <= 6 => few.join(" "),
        many => format!("{} … ({} in all)", many.get(..5).unwrap_or_default().join(" "), many.len()),
    }
}
