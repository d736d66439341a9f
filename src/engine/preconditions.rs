//! What a machine lacks for a lab, examined before the first change.

use std::process::Output;

use super::{EngineError, Machine, child};
use crate::kernel::{KernelError, Scope, facts};
use crate::lab::Lab;
use crate::plan;
use crate::preflight::{self, Examined, Facts, Finding, Needs, Questions};

/// Examines thoroughly everything that a lab needs, or labs in general; changes nothing,
/// except that the kernel may load the modules that it is asked for.
///
/// # Errors
/// The machine cannot be examined.
pub fn examine(lab: Option<&Lab>) -> Result<Vec<Examined>, EngineError> {
    let needs = lab.map_or_else(Needs::in_general, Needs::of);
    let facts = gather(&needs.questions(true))?;
    let mut examined = preflight::examine(&needs, &facts);
    // Without privileges the kernel does not show what is whose.
    if let Some(lab) = lab
        && facts.has_privileges()
    {
        let live = Machine::open()?.observe(&Scope { lab: &lab.name, desired: Some(lab), inside: true })?;
        let findings = plan::conflicts(lab, &live).iter().map(Finding::from).collect();
        examined.push(Examined { subject: "names", findings });
    }
    Ok(examined)
}

/// What the machine lacks for a lab, without conflicts; quick enough for every apply.
///
/// # Errors
/// The machine cannot be examined.
pub(super) fn find(lab: &Lab) -> Result<Vec<Finding>, EngineError> {
    let needs = Needs::of(lab);
    let facts = gather(&needs.questions(false))?;
    Ok(preflight::examine(&needs, &facts).into_iter().flat_map(|examined| examined.findings).collect())
}

/// Where privileges are missing, nothing else can be done: then everything that can be found is reported at once.
///
/// # Errors
/// Privileges are missing.
pub(super) fn demand_privileges(lab: &Lab) -> Result<(), EngineError> {
    match facts::has_privileges() {
        true => Ok(()),
        false => Err(EngineError::Preconditions(find(lab)?)),
    }
}

/// What is asked of the machine; where privileges are missing, also whether there can be a sandbox.
fn gather(questions: &Questions) -> Result<Facts, KernelError> {
    let mut facts = facts::gather(questions)?;
    if !facts.has_privileges() {
        facts.no_sandbox = no_sandbox();
    }
    Ok(facts)
}

/// Why there can be no sandbox here; none where one was made, for nothing.
fn no_sandbox() -> Option<String> {
    // By this name it is found in there as well.
    match child::in_child(["sandbox", "--", "/proc/self/exe", "--version"]) {
        Ok(Output { status, .. }) if status.success() => None,
        Ok(Output { stderr, .. }) => {
            let said = String::from_utf8_lossy(&stderr);
            let first = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Some(first.rsplit_once(" [").map_or(first, |(text, _code)| text).to_owned())
        }
        Err(error) => Some(error.to_string()),
    }
}
