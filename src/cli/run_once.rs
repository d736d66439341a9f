//! `nslab run-once`, which nslab itself starts.

use super::exit_code::{DONE, REFUSED};
use super::failure::Failure;
use crate::engine;

/// Runs the command of a check, as standard input says, and writes what came of it.
///
/// # Errors
/// None: nobody is there to read them.
pub(super) fn run() -> Result<u8, Failure> {
    Ok(if engine::run_one().is_ok() { DONE } else { REFUSED })
}
