//! `nslab commands`

use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;
use super::output::print;
use crate::{show, topology};

/// Options of `nslab commands`.
#[derive(Debug, clap::Args)]
pub struct CommandsArgs {
    /// The topology file; `-` reads standard input
    file: PathBuf,
    /// Print the script that removes the lab again
    #[arg(long)]
    undo: bool,
}

/// Prints the lab of a file as a shell script.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &CommandsArgs) -> Result<u8, Failure> {
    let lab = topology::load(&args.file)?.lab;
    print(&if args.undo { show::undo_script(&lab) } else { show::script(&lab) })?;
    Ok(DONE)
}
