//! Why nothing could be checked.

use thiserror::Error;

use super::code::CheckCode;
use crate::kernel::KernelError;
use crate::lab::{LabName, NsName};

/// Why nothing could be checked.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Namespaces that the checks name do not exist.
    #[error(
        "lab {lab} is not applied, or not completely: {}\napply it first: nslab apply FILE",
        missing_namespaces(.missing)
    )]
    NotApplied {
        /// The lab.
        lab: LabName,
        /// What does not exist.
        missing: Vec<NsName>,
    },
    /// Namespaces that the checks name belong to another lab.
    #[error("lab {lab} is not applied: {}\nlist the labs: nslab list", others_namespaces(.others))]
    Others {
        /// The lab.
        lab: LabName,
        /// The namespaces, with the lab that each belongs to.
        others: Vec<(NsName, LabName)>,
    },
    /// A name leads to the network namespace of another name.
    #[error("the name {name} in /run/netns leads to the network namespace of {other}: checks would use the wrong one")]
    SameNamespace {
        /// The name.
        name: NsName,
        /// The other name of the same namespace.
        other: NsName,
    },
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The sockets cannot be waited for.
    #[error("cannot wait for sockets: {0}")]
    Runtime(#[from] std::io::Error),
}

impl CheckError {
    /// Its code.
    pub fn code(&self) -> String {
        match self {
            Self::NotApplied { .. } => CheckCode::LabNotApplied.to_string(),
            Self::Others { .. } => CheckCode::NamespaceOfAnotherLab.to_string(),
            Self::SameNamespace { .. } => CheckCode::NamespaceTwice.to_string(),
            Self::Kernel(error) => error.code().to_string(),
            Self::Runtime(_) => CheckCode::CannotWait.to_string(),
        }
    }
}

fn others_namespaces(others: &[(NsName, LabName)]) -> String {
    let of = |(ns, lab): &(NsName, LabName)| format!("namespace {ns} belongs to lab {lab}");
    others.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn missing_namespaces(missing: &[NsName]) -> String {
    match missing {
        [one] => format!("namespace {one} does not exist"),
        [first, rest @ ..] => format!("namespace {first} and {} more do not exist", rest.len()),
        [] => "no namespace is missing".to_owned(),
    }
}
