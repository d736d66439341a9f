//! What the kernel refused, in words for the person at the keyboard.

use std::fmt;

use nix::errno::Errno;

/// Something that the kernel (or a program that speaks to it) refused.
#[derive(Debug, Clone)]
pub struct KernelError {
    what: String,
    errno: Option<Errno>,
    said: Option<String>,
    hint: Option<String>,
}

impl KernelError {
    /// What was tried, on which object: it completes "cannot …".
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), errno: None, said: None, hint: None }
    }

    /// The error number.
    #[must_use]
    pub fn errno(mut self, errno: Errno) -> Self {
        self.errno = Some(errno);
        self
    }

    /// The kernel's or the program's own words.
    #[must_use]
    pub fn said(mut self, said: impl Into<String>) -> Self {
        self.said = Some(said.into());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.what)?;
        if let Some(said) = &self.said {
            write!(f, ": {said}")?;
        } else if let Some(errno) = self.errno {
            write!(f, ": {}", errno.desc())?;
        }
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for KernelError {}
