//! `nslab exec` and `nslab shell`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::lab_arg::LabArg;
use crate::engine;
use crate::lab::NsName;

/// Options of `nslab exec`.
#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    /// The lab's name, or its topology file
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// The namespace
    namespace: NsName,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Options of `nslab shell`.
#[derive(Debug, clap::Args)]
pub struct ShellArgs {
    /// The lab's name, or its topology file
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// The namespace
    namespace: NsName,
}

/// Becomes a command in a namespace.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ExecArgs) -> Result<u8, Failure> {
    enter(&args.lab, &args.namespace, &args.command)
}

/// Becomes the user's shell in a namespace.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run_shell(args: &ShellArgs) -> Result<u8, Failure> {
    enter(&args.lab, &args.namespace, &[user_shell()])
}

/// The user's shell, or the one that every system has.
pub(super) fn user_shell() -> OsString {
    std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// A command line as a program and its arguments.
///
/// # Errors
/// It is empty.
pub(super) fn split(command: &[OsString]) -> Result<(&OsString, &[OsString]), Failure> {
    command.split_first().ok_or_else(|| Failure::Usage("there is no command to run".to_owned()))
}

/// Becomes the command, inside the namespace.
fn enter(lab: &Path, ns: &NsName, command: &[OsString]) -> Result<u8, Failure> {
    let (program, args) = split(command)?;
    match engine::exec(&LabArg::of(lab)?.name()?, ns, program, args)? {}
}
