//! `nslab list`

use super::exit_code::DONE;
use super::failure::Failure;
use super::output::{Format, print, print_json, tell_oddities};
use crate::{engine, show};

/// Options of `nslab list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// How to show them
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl ListArgs {
    /// The list in a format, for commands that end up here.
    pub(super) fn with(format: Format) -> Self {
        Self { format }
    }
}

/// Lists the labs.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ListArgs) -> Result<u8, Failure> {
    tell_oddities();
    let labs = show::labs(&engine::labs()?);
    match args.format {
        Format::Json => print_json(&labs)?,
        Format::Text => print(&show::list(&labs, show::narrow()))?,
    }
    Ok(DONE)
}
