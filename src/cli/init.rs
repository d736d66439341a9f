//! `nslab init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;
use super::output::print;

/// Options of `nslab init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The file to write; `-` prints it
    #[arg(default_value = "lab.yaml")]
    file: PathBuf,
}

const STARTER: &str = include_str!("starter.yaml");

/// Writes a file to start from.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &InitArgs) -> Result<u8, Failure> {
    if args.file.as_os_str() == "-" {
        print(STARTER)?;
        return Ok(DONE);
    }
    let path = args.file.display();
    // A file that exists is never overwritten.
    let written = OpenOptions::new().write(true).create_new(true).open(&args.file);
    written.and_then(|mut file| file.write_all(STARTER.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::Usage(format!("{path} exists; give another name: nslab init FILE")),
        _ => Failure::Output(format!("cannot write {path}: {error}")),
    })?;
    print(&format!("wrote {path}; next: sudo nslab apply --check {path}, or without root: nslab test {path}"))?;
    Ok(DONE)
}
