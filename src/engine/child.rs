//! nslab, started once more.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Output, Stdio};

use crate::kernel::process;

/// Starts nslab once more, with these arguments, and waits for its end: a sandbox belongs to a process, and threads
/// cannot make one. Where this thread is killed, so is that nslab.
///
/// # Errors
/// It cannot be started.
pub fn in_child(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> io::Result<Output> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).stdin(Stdio::inherit());
    process::end_with_this_thread(&mut command);
    command.output()
}
