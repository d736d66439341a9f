//! What there is to say about a file, for programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::topology::{Code, Diagnostic, Diagnostics, LoadError, Severity};

/// What `nslab validate` found in one file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidView {
    /// The file.
    file: String,
    /// Whether it can be used: a file with warnings can.
    valid: bool,
    /// Its mistakes, by line.
    diagnostics: Vec<DiagnosticView>,
}

/// A mistake for programs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DiagnosticView {
    /// The file that it is about, if that is one of the manifests that the file names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    manifest: Option<String>,
    /// Counted from 1; 0 where the file could not be read at all.
    line: usize,
    /// Counted from 1, in characters.
    column: usize,
    /// `error`: the file cannot be used. `warning`: it can, and surely does not do what was meant.
    severity: Severity,
    /// The kind of mistake, as listed in `docs/codes.md`.
    code: Code,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    help: Option<String>,
}

impl ValidView {
    /// A file that can be used, with its warnings.
    pub fn valid(file: String, warnings: &Diagnostics) -> Self {
        Self { file, valid: true, diagnostics: DiagnosticView::all(warnings) }
    }

    /// A file that cannot be used.
    pub fn faulty(file: String, error: &LoadError) -> Self {
        let diagnostics = match error {
            LoadError::Invalid(all) => DiagnosticView::all(all),
            other @ LoadError::Read { .. } => {
                let (severity, code, message) = (Severity::Error, other.code(), other.to_string());
                vec![DiagnosticView { manifest: None, line: 0, column: 0, severity, code, message, help: None }]
            }
        };
        Self { file, valid: false, diagnostics }
    }

    /// Whether the file can be used.
    pub fn is_valid(&self) -> bool {
        self.valid
    }
}

impl DiagnosticView {
    /// All that there is to say about a file.
    pub fn all(diagnostics: &Diagnostics) -> Vec<Self> {
        diagnostics.list().iter().map(Self::new).collect()
    }

    fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            manifest: diagnostic.manifest.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
            severity: diagnostic.severity,
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
        }
    }
}
