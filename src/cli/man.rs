//! `nslab man`

use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;

/// Options of `nslab man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder to write them into; it is made if need be
    folder: PathBuf,
}

/// Writes a manual page for each command, and one for all of them.
///
/// # Errors
/// They cannot be written.
pub(super) fn run(args: &ManArgs, command: clap::Command) -> Result<u8, Failure> {
    let written = std::fs::create_dir_all(&args.folder).and_then(|()| clap_mangen::generate_to(command, &args.folder));
    written.map_err(|error| Failure::Output(format!("cannot write into {}: {error}", args.folder.display())))?;
    Ok(DONE)
}
