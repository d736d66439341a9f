//! The faults of a file, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::topology::{Code, Diagnostic, LoadError};

/// What `nslab validate` found in one file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidView {
    /// The file.
    file: String,
    /// Whether it has no faults.
    valid: bool,
    /// Its faults, by line.
    faults: Vec<FaultView>,
}

/// A fault for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct FaultView {
    /// Counted from 1; 0 where the file could not be read at all.
    line: usize,
    /// Counted from 1, in characters.
    column: usize,
    /// The kind of mistake, as listed in `docs/codes.md`.
    code: Code,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl ValidView {
    /// A file without faults.
    pub fn valid(file: String) -> Self {
        Self { file, valid: true, faults: Vec::new() }
    }

    /// A file that cannot be used.
    pub fn faulty(file: String, error: &LoadError) -> Self {
        let faults = match error {
            LoadError::Invalid(faults) => faults.list().iter().map(FaultView::new).collect(),
            other @ LoadError::Read { .. } => {
                vec![FaultView { line: 0, column: 0, code: other.code(), message: other.to_string(), help: None }]
            }
        };
        Self { file, valid: false, faults }
    }

    /// Whether the file has no faults.
    pub fn is_valid(&self) -> bool {
        self.valid
    }
}

impl FaultView {
    fn new(fault: &Diagnostic) -> Self {
        Self {
            line: fault.line,
            column: fault.column,
            code: fault.code,
            message: fault.message.clone(),
            help: fault.help.clone(),
        }
    }
}
