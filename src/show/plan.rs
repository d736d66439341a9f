//! A plan: every step with its command and its reason.

use schemars::JsonSchema;
use serde::Serialize;

use super::{DiagnosticView, counted, styled};
use crate::plan::{Conflict, ConflictCode, Plan, PlannedStep};
use crate::preflight::Finding;
use crate::topology::Diagnostics;

/// A plan for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanView {
    /// The lab's name.
    lab: String,
    /// Whether there is nothing to do.
    in_sync: bool,
    /// What is to be done, in order.
    steps: Vec<StepView>,
    /// What exists under a wanted name and does not belong to the lab; `apply` refuses while there is any.
    conflicts: Vec<ConflictView>,
    /// What the machine lacks; `apply` refuses while there is an error among it.
    findings: Vec<Finding>,
    /// What is legal in the file, and surely a mistake.
    warnings: Vec<DiagnosticView>,
    /// What could not be read, and why; nothing is planned for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

/// A conflict for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct ConflictView {
    /// What kind of conflict it is, as listed in `docs/codes.md`.
    code: ConflictCode,
    /// What exists, and whose it is.
    what: String,
    /// The lab that it belongs to; none where no lab is known to own it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lab: Option<String>,
}

impl ConflictView {
    fn new(conflict: &Conflict) -> Self {
        let lab = conflict.owner.as_ref().map(ToString::to_string);
        Self { code: conflict.code, what: conflict.to_string(), lab }
    }
}

/// A step for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepView {
    /// The namespace it is about; `host` is the machine.
    namespace: String,
    /// What is done, in words.
    step: String,
    /// Why.
    why: String,
    /// The shell command that does the same.
    command: String,
}

impl PlanView {
    /// A plan, its conflicts, what the machine lacks, and the warnings about the file.
    pub fn new(plan: &Plan, conflicts: &[Conflict], findings: &[Finding], warnings: &Diagnostics) -> Self {
        Self {
            lab: plan.lab.to_string(),
            in_sync: plan.is_empty(),
            steps: plan.steps.iter().map(StepView::new).collect(),
            conflicts: conflicts.iter().map(ConflictView::new).collect(),
            findings: findings.to_vec(),
            warnings: DiagnosticView::all(warnings),
            unread: Vec::new(),
        }
    }

    /// The same with what could not be read.
    #[must_use]
    pub fn unread(self, unread: &[String]) -> Self {
        Self { in_sync: self.in_sync && unread.is_empty(), unread: unread.to_vec(), ..self }
    }
}

impl StepView {
    pub(super) fn new(planned: &PlannedStep) -> Self {
        Self {
            namespace: planned.step.namespace().to_string(),
            step: planned.step.text(),
            why: planned.why.clone(),
            command: planned.step.command(),
        }
    }

    /// What and why, on one line.
    pub(super) fn line(&self) -> String {
        format!("{} ({})", self.step, self.why)
    }
}

/// A plan for people: what, why, and the command beside it.
pub fn plan(plan: &Plan, conflicts: &[Conflict], colour: bool) -> String {
    if plan.is_empty() && conflicts.is_empty() {
        return format!("{}: nothing to do; the kernel is as the file says\n", plan.lab);
    }
    let mut text = match plan.steps.len() {
        0 => format!("{}: nothing to do; the kernel is as the file says\n", plan.lab),
        n => format!("{}: {} to do\n", plan.lab, counted(n, "step")),
    };
    for planned in &plan.steps {
        text += &step(planned, colour);
    }
    if !conflicts.is_empty() {
        let of_other_labs = conflicts.iter().any(|conflict| conflict.owner.is_some());
        text += match (of_other_labs, plan.is_empty()) {
            (true, _) => "\nOwned by another lab; apply refuses:\n",
            (false, true) => "\nNot owned by this lab; nslab leaves it alone, `apply --adopt` makes it the lab's:\n",
            (false, false) => "\nNot owned by this lab; apply refuses without --adopt:\n",
        };
        text.extend(conflicts.iter().map(|conflict| format!("  {conflict} [{}]\n", conflict.code)));
    }
    text
}

/// A step for people, on two lines.
pub(super) fn step(planned: &PlannedStep, colour: bool) -> String {
    let PlannedStep { step, .. } = planned;
    let why = styled(&format!("({})", planned.why), "2", colour);
    format!("  {} {why}\n      {}\n", step.text(), styled(&step.command(), "36", colour))
}
