//! The mistakes in a file, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::topology::{Code, Diagnostic, LoadError};

/// What `nslab validate` found in one file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidView {
    /// The file.
    file: String,
    /// Whether it has no mistakes.
    valid: bool,
    /// Its mistakes, by line.
    diagnostics: Vec<DiagnosticView>,
}

/// A mistake for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct DiagnosticView {
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
    /// A file without mistakes.
    pub fn valid(file: String) -> Self {
        Self { file, valid: true, diagnostics: Vec::new() }
    }

    /// A file that cannot be used.
    pub fn faulty(file: String, error: &LoadError) -> Self {
        let diagnostics = match error {
            LoadError::Invalid(all) => all.list().iter().map(DiagnosticView::new).collect(),
            other @ LoadError::Read { .. } => {
                vec![DiagnosticView { line: 0, column: 0, code: other.code(), message: other.to_string(), help: None }]
            }
        };
        Self { file, valid: false, diagnostics }
    }

    /// Whether the file has no mistakes.
    pub fn is_valid(&self) -> bool {
        self.valid
    }
}

impl DiagnosticView {
    fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            line: diagnostic.line,
            column: diagnostic.column,
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
        }
    }
}
