//! Looking before leaping: what stands in a lab's way is found before the first change and told in one go, each with what to do
//! about it.
//!
//! Pure judgement: [`Needs`] says what a lab asks for, [`Facts`] what the system has; nothing here asks the system, or
//! knows what is done about a finding.

mod code;
mod collisions;
mod facts;
mod firewall;
mod machine;
mod needs;

pub use code::{FindingCode, MachineCode};
pub use facts::{DroppingChain, Extension, Facts, Feature, Iptables, Questions, Taken};
pub use needs::Needs;
use serde::Serialize;

use crate::plan::{Conflict, ConflictCode};

/// Something that stands in the way, or will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The lab cannot be applied.
    Error,
    /// The lab can be applied, but something may not work as it should.
    Warning,
}

/// One subject that was looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The subject: "privileges".
    pub subject: &'static str,
    /// What was found; nothing: it is fine.
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
            ConflictCode::VxlanExists => "give the lab's vxlan another name, id or port in the file",
            ConflictCode::InterfaceExists => "give the lab's interface another name in the file",
            ConflictCode::NamespaceExists => "give the lab's namespace another name in the file",
            ConflictCode::SettingConflict => "leave the setting to that lab",
        };
        let help = match &conflict.owner {
            Some(lab) => format!("{another}, or remove that lab first: nslab destroy {lab}"),
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

/// Looks into every subject that concerns the needs.
pub fn examine(needs: &Needs, facts: &Facts) -> Vec<Examined> {
    let subjects: [(&'static str, Option<Vec<Finding>>); 9] = [
        ("privileges", Some(machine::privileges(facts))),
        (
            "named namespaces (/run/netns)",
            (needs.lab.is_none() || !needs.namespaces.is_empty()).then(|| machine::directory(facts)),
        ),
        ("addresses and routes of the host", needs.lab.as_ref().map(|_| collisions::find(needs, facts))),
        ("features of the kernel", Some(machine::features(needs, facts))),
        ("IPv6", needs.ipv6.as_ref().map(|place| machine::ipv6(needs, facts, place))),
        ("sysctls", needs.sysctls.as_ref().map(|place| machine::sysctls(needs, facts, place))),
        ("limits", needs.lab.as_ref().map(|_| machine::limits(needs, facts))),
        ("iptables", (!needs.firewall.is_empty()).then(|| firewall::programs(needs, facts))),
        (
            "forwarding",
            (!needs.host_forwards.is_empty() || needs.host_switches).then(|| firewall::forwarding(needs, facts)),
        ),
    ];
    let examined = |(subject, findings): (_, Option<_>)| Some(Examined { subject, findings: findings? });
    subjects.into_iter().filter_map(examined).collect()
}

/// Whether the privileges that every lab needs are there: what [`examine`] says of them, at next to no cost.
pub fn has_privileges(capabilities: u64) -> bool {
    machine::missing(capabilities).is_empty()
}

impl Needs {
    /// What a lack means: for one lab an error; for labs in general a warning, as most do without.
    fn lack(&self, code: MachineCode, what: impl Into<String>, help: impl Into<String>) -> Finding {
        match self.lab {
            Some(_) => Finding::error(code, what, help),
            None => Finding::warning(code, what, help),
        }
    }
}
