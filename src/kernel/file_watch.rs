//! When a file has been written (inotify(7)).

use std::os::fd::OwnedFd;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A descriptor that can be read once the file has been written, or is gone.
///
/// # Errors
/// ENOENT: there is no such file.
pub(crate) fn changes_of(path: &str) -> nix::Result<OwnedFd> {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let changes = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    watch.add_watch(path, changes)?;
    Ok(watch.into())
}
