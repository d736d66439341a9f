//! Failpoints: places just before something is changed, where a test can stop nslab. Every request for a change, every
//! file that is written or removed, every mount, every program that is started passes one. And places where something
//! is looked at, at which a test can have the kernel refuse to show it.
//!
//! What a test wants is in the variable `NSLAB_STOP_AT`; CONTRIBUTING.md says how it is used. Release builds have
//! neither the variable nor the failpoints.

#[cfg(debug_assertions)]
pub(crate) use stop::{look, pass};

/// Passes a failpoint.
///
/// # Errors
/// Never: this is a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn pass(_what: &'static str) -> Result<(), nix::errno::Errno> {
    Ok(())
}

/// Passes a place where something is looked at.
///
/// # Errors
/// Never: this is a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn look(_part: &impl std::fmt::Display, _of: &impl std::fmt::Display) -> Result<(), nix::errno::Errno> {
    Ok(())
}

#[cfg(debug_assertions)]
mod stop {
    use std::fmt::Display;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nix::errno::Errno;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::getpid;

    const VARIABLE: &str = "NSLAB_STOP_AT";

    /// What is to happen, and at which failpoint, counted from 1.
    enum Wish {
        /// `kill:N`, `int:N`, `term:N`: this process gets a signal.
        Signal(Signal, usize),
        /// `fail:N`: the change is refused; only this one, so that it can be undone.
        Fail(usize),
        /// `unread:PART of NAMESPACE`: a part of a namespace is not shown.
        Unread(String),
        /// `list:FILE`: every failpoint becomes a line of a file.
        List(String),
    }

    /// Passes a failpoint; `what` is about to be done.
    ///
    /// # Errors
    /// `ENOMEM`, where a test wants the change to fail.
    pub(crate) fn pass(what: &'static str) -> Result<(), Errno> {
        static PASSED: AtomicUsize = AtomicUsize::new(0);
        let Some(wish) = asked() else { return Ok(()) };
        let here = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        match wish {
            Wish::Signal(signal, at) if *at == here => kill(getpid(), *signal),
            Wish::Fail(at) if *at == here => Err(Errno::ENOMEM),
            Wish::List(file) => {
                let file = OpenOptions::new().create(true).append(true).open(file);
                Ok(file.and_then(|mut file| writeln!(file, "{what}")).map_err(|_| Errno::EIO)?)
            }
            _ => Ok(()),
        }
    }

    /// Passes a place where something is looked at.
    ///
    /// # Errors
    /// `ENOMEM`, where a test wants it not to be shown.
    pub(crate) fn look(part: &impl Display, of: &impl Display) -> Result<(), Errno> {
        match asked() {
            Some(Wish::Unread(what)) if *what == format!("{part} of {of}") => Err(Errno::ENOMEM),
            _ => Ok(()),
        }
    }

    /// What a test wants, if it wants anything.
    fn asked() -> Option<&'static Wish> {
        static WISH: OnceLock<Option<Wish>> = OnceLock::new();
        WISH.get_or_init(wish).as_ref()
    }

    fn wish() -> Option<Wish> {
        let text = std::env::var(VARIABLE).ok()?;
        let wish = text.split_once(':').and_then(|(word, rest)| match word {
            "kill" => Some(Wish::Signal(Signal::SIGKILL, rest.parse().ok()?)),
            "int" => Some(Wish::Signal(Signal::SIGINT, rest.parse().ok()?)),
            "term" => Some(Wish::Signal(Signal::SIGTERM, rest.parse().ok()?)),
            "fail" => Some(Wish::Fail(rest.parse().ok()?)),
            "unread" => Some(Wish::Unread(rest.to_owned())),
            "list" => Some(Wish::List(rest.to_owned())),
            _ => None,
        });
        // A test that is misspelt would test nothing: its first change fails.
        Some(wish.unwrap_or(Wish::Fail(1)))
    }
}
