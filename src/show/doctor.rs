//! What a machine lacks: findings below a plan, and the report of `nslab doctor`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{counted, styled};
use crate::lab::LabName;
use crate::preflight::{Examined, Finding, Severity};

/// A report of `nslab doctor` for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoctorView {
    /// The lab; null where the machine was examined for labs in general.
    lab: Option<String>,
    /// Whether there is no error; there may be warnings.
    fine: bool,
    /// Every subject that was examined.
    subjects: Vec<SubjectView>,
}

/// A subject for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct SubjectView {
    /// What was examined.
    subject: String,
    /// What was found; empty where it is fine.
    findings: Vec<Finding>,
}

impl DoctorView {
    /// From what was examined.
    pub fn new(lab: Option<&LabName>, examined: &[Examined]) -> Self {
        let subject = |examined: &Examined| SubjectView {
            subject: examined.subject.to_owned(),
            findings: examined.findings.clone(),
        };
        Self {
            lab: lab.map(ToString::to_string),
            fine: !examined.iter().flat_map(|examined| &examined.findings).any(Finding::is_error),
            subjects: examined.iter().map(subject).collect(),
        }
    }

    /// Whether there is no error.
    pub fn is_fine(&self) -> bool {
        self.fine
    }
}

/// A report of `nslab doctor` for people: a line a subject, what was found below it, and the sum.
pub fn doctor(examined: &[Examined], colour: bool) -> String {
    let mut text = String::new();
    for Examined { subject, findings } in examined {
        let mark = match findings.iter().map(|finding| finding.severity).min_by_key(|s| *s != Severity::Error) {
            None => styled("✓", "32", colour),
            Some(Severity::Warning) => styled("!", "33", colour),
            Some(Severity::Error) => styled("✗", "31", colour),
        };
        text += &format!("{mark} {subject}\n");
        text.extend(findings.iter().map(finding));
    }
    let (errors, warnings): (Vec<&Finding>, Vec<&Finding>) =
        examined.iter().flat_map(|examined| &examined.findings).partition(|finding| finding.is_error());
    let sum = match (errors.len(), warnings.len()) {
        (0, 0) => "all fine".to_owned(),
        (0, warnings) => format!("no errors, {}", counted(warnings, "warning")),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    text + &sum + "\n"
}

/// What `apply` would find before its first change, for people; empty where there is nothing.
pub fn findings(findings: &[Finding]) -> String {
    let (errors, warnings): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.is_error());
    let part = |head: &str, part: Vec<&Finding>| match part.as_slice() {
        [] => String::new(),
        part => format!("\n{head}\n{}", part.iter().map(|found| finding(found)).collect::<String>()),
    };
    part("apply refuses, because of this:", errors) + &part("Warnings:", warnings)
}

fn finding(finding: &Finding) -> String {
    format!("  {} [{}]\n      {}\n", finding.what, finding.code, finding.help)
}
