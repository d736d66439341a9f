//! What the kernel refused, in words for the person at the keyboard.

use nix::errno::Errno;

/// A refusal of the kernel: what was asked of it, and what it said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}{}{}", errno.map(|e| format!(": {}", e.desc())).unwrap_or_default(), said.as_ref().map(|s| format!(" ({s})")).unwrap_or_default())]
pub struct KernelError {
    /// What was asked.
    pub what: String,
    /// The error number.
    pub errno: Option<Errno>,
    /// The kernel's own text.
    pub said: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl KernelError {
    /// A refusal of `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), errno: None, said: None, hint: None }
    }

    /// With the error number.
    #[must_use]
    pub fn errno(mut self, errno: Errno) -> Self {
        self.errno = Some(errno);
        self
    }

    /// With the kernel's own text.
    #[must_use]
    pub fn said(mut self, said: impl Into<String>) -> Self {
        self.said = Some(said.into());
        self
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
