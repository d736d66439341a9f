//! A plan: steps with their reasons.

use serde::Serialize;

use crate::lab::LabName;
use crate::steps::Step;

/// What has to be done to make the kernel look like the lab, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The lab.
    pub lab: LabName,
    /// The steps, each with its reason.
    pub steps: Vec<PlannedStep>,
}

/// A step and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// What is done.
    pub step: Step,
    /// Why, as the end of a sentence: "it does not exist".
    pub why: String,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Serialize for PlannedStep {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = s.serialize_struct("Step", 4)?;
        out.serialize_field("namespace", &self.step.namespace())?;
        out.serialize_field("step", &self.step.text())?;
        out.serialize_field("why", &self.why)?;
        out.serialize_field("command", &self.step.command())?;
        out.end()
    }
}
