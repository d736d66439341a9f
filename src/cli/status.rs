//! `nslab status`

use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::list;
use super::output::{Format, print, print_json};
use crate::engine;
use crate::show::{self, StatusView};

/// Options of `nslab status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The lab's name, or its topology file; without it, all labs are listed
    #[arg(value_name = "LAB|FILE")]
    lab: Option<PathBuf>,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows the state of a lab.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let Some(lab) = &args.lab else { return list::run(&list::ListArgs::with(args.format)) };
    let lab = LabArg::of(lab)?.name()?;
    let view = StatusView::new(&lab, &engine::status(&lab)?);
    match args.format {
        Format::Json => print_json(&view)?,
        Format::Text => print(&show::status(&view))?,
    }
    Ok(DONE)
}
