//! The process of a namespace's built-in servers, from fork(2) on. There is no execve(2): nothing is read from a file,
//! and what nslab already has in memory is shared.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Pid, setsid};

use super::forked::{keep_only, own_signals, streams};
use crate::kernel::process;
use crate::lab::{NsName, Server};
use crate::servers;

/// Becomes the servers of a namespace, in a process that a keeper has just forked; returns where that is not possible.
/// Why goes to the keeper; else, that pipe is closed once all ports are open.
pub(super) fn become_servers(
    ns: &NsName,
    servers: &[Server],
    output: [Option<&OwnedFd>; 2],
    to_keeper: OwnedFd,
    keeper: Pid,
) {
    // Where this fails, the keeper sees an end without a reason.
    let Ok(to_keeper) = prepare(output, to_keeper) else { return };
    let mut to_keeper = Some(File::from(to_keeper));
    let entered = process::end_with(keeper).and_then(|()| process::enter_network(ns));
    let Err(error) = entered.and_then(|()| servers::run(ns, servers, || drop(to_keeper.take())));
    if let Some(mut to_keeper) = to_keeper {
        let _ = to_keeper.write_all(error.to_string().as_bytes());
    }
}

/// Leaves what is the keeper's.
fn prepare(output: [Option<&OwnedFd>; 2], to_keeper: OwnedFd) -> nix::Result<OwnedFd> {
    setsid()?;
    streams(output)?;
    // What the keeper holds is not for its servers: a stream has an end only once nobody holds it.
    let to_keeper = keep_only(to_keeper)?;
    own_signals()?;
    // Lines that nobody takes must not hold up the servers.
    fcntl(std::io::stdout(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(to_keeper)
}
