//! Built-in servers by hand: in the namespace that one is in, until nslab is ended.

use std::convert::Infallible;

use super::EngineError;
use crate::kernel::process;
use crate::lab::{NsName, Server};
use crate::servers;

/// Serves until the process ends; `is_open` gets the name of the namespace once all ports are open.
///
/// # Errors
/// A port is taken, or the kernel refuses a socket.
pub fn serve(servers: &[Server], is_open: impl FnOnce(&NsName)) -> Result<Infallible, EngineError> {
    let ns = process::own_namespace();
    Ok(servers::run(&ns, servers, || is_open(&ns))?)
}
