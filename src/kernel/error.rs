//! What the kernel refused, reported to the person at the keyboard: what was tried, on which object, the kernel's
//! number and words, and what can be done about it.

use std::fmt;
use std::io;

use nix::errno::Errno;

use super::KernelCode;

/// Something that the kernel, or a program that speaks to it, refused.
///
/// It prints as `cannot add route 10.0.0.0/8 via 1.2.3.4 in red: Network is unreachable (ENETUNREACH): Nexthop has
/// invalid gateway`, with a second line where something can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelError {
    tried: String,
    errno: Option<Errno>,
    said: Option<String>,
    hint: Option<String>,
    code: Option<KernelCode>,
}

impl KernelError {
    /// What was tried, on which object: it completes "cannot …", as [`crate::steps::Step::text`] does.
    pub fn new(tried: impl Into<String>) -> Self {
        Self { tried: tried.into(), errno: None, said: None, hint: None, code: None }
    }

    /// The error number, which also brings the usual hint for it unless there is one already.
    #[must_use]
    pub fn with_errno(mut self, errno: Errno) -> Self {
        self.errno = Some(errno);
        self.hint = self.hint.or_else(|| usual_hint(errno).map(str::to_owned));
        self
    }

    /// The number of an error of the standard library, or its text where it has none.
    #[must_use]
    pub fn with_io(self, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => self.with_errno(Errno::from_raw(number)),
            None => self.said(error.to_string()),
        }
    }

    /// The kernel's or the program's own words.
    #[must_use]
    pub fn said(mut self, said: impl Into<String>) -> Self {
        self.said = Some(said.into());
        self
    }

    /// A code that says more than the error number.
    #[must_use]
    pub fn with_code(mut self, code: KernelCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Its code: why it was refused.
    pub fn code(&self) -> KernelCode {
        self.code.or(self.errno.map(KernelCode::of)).unwrap_or(KernelCode::OperationFailed)
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Why it could not be done: the words said about it, or the meaning of the number.
    pub(super) fn cause(&self) -> &str {
        match (&self.said, self.errno) {
            (Some(said), _) => said,
            (None, Some(errno)) => errno.desc(),
            (None, None) => "it failed",
        }
    }

    /// The error number, where the kernel gave one.
    pub fn errno(&self) -> Option<Errno> {
        self.errno
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.tried)?;
        if let Some(errno) = self.errno {
            write!(f, ": {} ({errno:?})", errno.desc())?;
        }
        if let Some(said) = &self.said {
            write!(f, ": {said}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for KernelError {}

/// What helps against errors that have one usual cause.
fn usual_hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::EPERM | Errno::EACCES => {
            Some("this needs root; without it, `nslab test` and `nslab sandbox` work in a private host of their own")
        }
        Errno::EOPNOTSUPP => Some("this kernel lacks the feature, or its module is not loaded"),
        Errno::EADDRINUSE => {
            Some("another program listens at that port: `ss -ulpn` shows which; or write another `port`")
        }
        Errno::EMFILE => Some("too many open files: raise the limit with `ulimit -n`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_follow_its_number() {
        let error = KernelError::new("add route 10.0.0.0/8 via 1.2.3.4 in red")
            .with_errno(Errno::ENETUNREACH)
            .said("Nexthop has invalid gateway");
        assert_eq!(
            error.to_string(),
            "cannot add route 10.0.0.0/8 via 1.2.3.4 in red: Network is unreachable (ENETUNREACH): Nexthop has invalid gateway"
        );
        assert_eq!(error.errno(), Some(Errno::ENETUNREACH));
    }

    #[test]
    fn a_hint_of_its_own_goes_before_the_usual_one() {
        let usual = KernelError::new("make namespace red").with_errno(Errno::EPERM);
        assert!(usual.to_string().ends_with("in a private host of their own"), "{usual}");
        let own = KernelError::new("make namespace red").hint("ask the teacher").with_errno(Errno::EPERM);
        assert!(own.to_string().ends_with("(EPERM)\nask the teacher"), "{own}");
    }
}
