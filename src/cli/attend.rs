//! `nslab attend`, which nslab itself starts.

use super::exit_code::DONE;
use super::failure::Failure;
use crate::engine;
use crate::lab::LabName;

/// Options of `nslab attend`.
#[derive(Debug, clap::Args)]
pub struct AttendArgs {
    /// The lab's name
    lab: LabName,
}

/// Becomes the process that holds the checks of a lab open on one of several machines.
///
/// # Errors
/// They cannot be opened.
pub(super) fn run(args: &AttendArgs) -> Result<u8, Failure> {
    engine::attend(&args.lab)?;
    Ok(DONE)
}
