//! `nslab supervise`, which nslab itself starts.

use super::exit_code::DONE;
use super::failure::Failure;
use crate::engine;
use crate::lab::LabName;

/// Options of `nslab supervise`.
#[derive(Debug, clap::Args)]
pub struct SuperviseArgs {
    /// The lab's name
    lab: LabName,
}

/// Becomes the supervisor of a lab's programs.
///
/// # Errors
/// None: nobody is there to read them.
pub(super) fn run(args: &SuperviseArgs) -> Result<u8, Failure> {
    engine::supervise(args.lab.clone());
    Ok(DONE)
}
