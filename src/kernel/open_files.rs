//! The limit on open files (RLIMIT_NOFILE, getrlimit(2)): raised for nslab itself, and put back for commands that it
//! becomes.
//!
//! Programs that use select(2) break with descriptors above 1,023, and some close every descriptor up to the limit: a
//! command of another program gets the limit that nslab was started with.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The limit for now that this process was started with.
static FORMER: OnceLock<u64> = OnceLock::new();

/// Lets this process open as many descriptors as it may at all (the hard limit); how many that is.
pub fn raise() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    // Where it may not be raised, opening too many fails later and says so.
    let now = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    FORMER.get_or_init(|| soft);
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Puts the limit back to what it was before [`raise`].
pub(crate) fn restore() {
    if let (Some(&soft), Ok((_, hard))) = (FORMER.get(), getrlimit(Resource::RLIMIT_NOFILE)) {
        // A limit can always be lowered; what is open above it stays open.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard);
    }
}
