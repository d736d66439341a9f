//! `nslab sandbox`

use std::ffi::OsString;

use super::exec::{split, user_shell};
use super::failure::Failure;
use crate::engine;

/// Options of `nslab sandbox`.
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// The command and its arguments; without one, your shell
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Becomes a command in a sandbox.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &SandboxArgs) -> Result<u8, Failure> {
    let command = if args.command.is_empty() { vec![user_shell()] } else { args.command.clone() };
    let (program, args) = split(&command)?;
    match engine::exec_in_sandbox(program, args)? {}
}
