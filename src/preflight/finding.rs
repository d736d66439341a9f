//! What keeps a lab from being applied to a machine, or from working as it should, and what to do about it.

use schemars::JsonSchema;
use serde::Serialize;

use super::code::FindingCode;
use crate::plan::{Conflict, ConflictCode};

/// What keeps a lab from being applied, or from working as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// What kind of finding it is, as listed in `docs/codes.md`.
    pub code: FindingCode,
    /// Whether it can be done all the same.
    pub severity: Severity,
    /// What is found, on which object.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The lab cannot be applied.
    Error,
    /// The lab can be applied, but something may not work as it should.
    Warning,
}

/// One subject that was examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The subject: "privileges".
    pub subject: &'static str,
    /// What was found; empty where it is fine.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// Something that cannot be done.
    pub fn error(code: impl Into<FindingCode>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: code.into(), severity: Severity::Error, what: what.into(), help: help.into() }
    }

    /// Something that may not work as it should.
    pub fn warning(code: impl Into<FindingCode>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: code.into(), severity: Severity::Warning, what: what.into(), help: help.into() }
    }

    /// Whether it makes the lab impossible.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// What is in a lab's place is an error as well.
impl From<&Conflict> for Finding {
    fn from(conflict: &Conflict) -> Self {
        let another = match conflict.code {
            ConflictCode::RouteExists => "give the lab's route another metric in the file",
            ConflictCode::PolicyRuleExists => "give the lab's policy rule another priority in the file",
            ConflictCode::VxlanExists => "give the lab's vxlan another name, id or port in the file",
            ConflictCode::AdoptionRemoves => {
                "remove it yourself, if it is no longer needed; or give the lab's another name"
            }
            ConflictCode::InterfaceExists | ConflictCode::NameTaken => {
                "give the lab's interface another name in the file"
            }
            ConflictCode::EtcFilesExist => "leave `hosts` and `dns` out of the file",
            ConflictCode::NamespaceExists => "give the lab's namespace another name in the file",
            ConflictCode::SettingConflict => "leave the setting to that lab",
        };
        let help = match &conflict.owner {
            Some(lab) => format!("{another}, or remove that lab first: nslab destroy {lab}"),
            None if conflict.code == ConflictCode::AdoptionRemoves => another.to_owned(),
            None if conflict.marked.is_none() => format!("{another}; or, if it is no longer needed, remove it"),
            None => {
                format!("{another}; or, if it is no longer needed, remove it, or adopt it with `nslab apply --adopt`")
            }
        };
        Self::error(conflict.code, conflict.to_string(), help)
    }
}

/// What was found with its code, and below it what to do.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]\n{}", self.what, self.code, self.help)
    }
}
