//! What an apply or a removal did.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::plan::StepView;
use super::{DiagnosticView, counted};
use crate::check::Report;
use crate::lab::LabName;
use crate::plan::PlannedStep;
use crate::topology::Diagnostics;

/// Above this many steps, people see how many of each kind there were.
const MANY: usize = 40;

/// What an apply or a removal did, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AppliedView {
    /// The lab's name.
    lab: String,
    /// Whether anything was changed.
    changed: bool,
    /// What was done, in order.
    steps: Vec<StepView>,
    /// How long it took, in seconds.
    seconds: f64,
    /// What is legal in the file, and surely a mistake.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<DiagnosticView>,
    /// What could not be read, and why; nothing was done there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
    /// The results of the checks, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Report>,
}

impl AppliedView {
    /// From the steps that were done.
    pub fn new(lab: &LabName, steps: &[PlannedStep], elapsed: Duration, checks: Option<&Report>) -> Self {
        Self {
            lab: lab.to_string(),
            changed: !steps.is_empty(),
            steps: steps.iter().map(StepView::new).collect(),
            seconds: elapsed.as_secs_f64(),
            warnings: Vec::new(),
            unread: Vec::new(),
            checks: checks.cloned(),
        }
    }

    /// The same with the warnings about the file.
    #[must_use]
    pub fn warnings(self, warnings: &Diagnostics) -> Self {
        Self { warnings: DiagnosticView::all(warnings), ..self }
    }

    /// The same with what could not be read.
    #[must_use]
    pub fn unread(self, unread: &[String]) -> Self {
        Self { unread: unread.to_vec(), ..self }
    }
}

/// What was done, for people.
pub fn done(lab: &LabName, steps: &[PlannedStep], elapsed: Duration, verbose: bool) -> String {
    if steps.is_empty() {
        return format!("{lab}: nothing to do; the kernel is as the file says\n");
    }
    let mut text = String::new();
    if verbose {
        text.extend(steps.iter().map(|planned| super::plan::step(planned, false)));
    } else if steps.len() <= MANY {
        text.extend(steps.iter().map(|planned| format!("  {}\n", planned.step.text())));
    } else {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        steps.iter().for_each(|planned| *kinds.entry(planned.step.kind()).or_default() += 1);
        text.extend(kinds.iter().map(|(kind, n)| format!("  {n:>6} × {kind}\n")));
        text += "  (--verbose shows each)\n";
    }
    text + &format!("{lab}: {} in {:.0?}\n", counted(steps.len(), "step"), round(elapsed))
}

/// A duration with as many digits as a person reads.
fn round(elapsed: Duration) -> Duration {
    if elapsed.as_millis() > 0 {
        Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    } else {
        elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{InterfaceRef, Tagging, VlanRange, Vlans};
    use crate::steps::{Change, Step, VlansStep};

    #[test]
    fn changes_of_vlans_are_counted_as_such() {
        let vlans = |vlan| Vlans::new(vec![VlanRange::one(vlan, Tagging::ACCESS)]);
        let port = |n: usize| InterfaceRef { ns: "red".parse().unwrap(), name: format!("p{n}").parse().unwrap() };
        let step = |n| {
            let change = Change { from: Vlans::default(), to: vlans(10) };
            Step::Vlans(VlansStep { interface: port(n), is_bridge: false, change })
        };
        let planned = |n| PlannedStep { step: step(n), why: String::new() };
        let steps: Vec<PlannedStep> = (0..=MANY).map(planned).collect();
        let text = done(&"lab".parse().unwrap(), &steps, Duration::ZERO, false);
        assert!(text.contains("    41 × change the VLANs of an interface\n"), "{text}");
    }
}
