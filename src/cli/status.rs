//! `nslab status`

use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::list;
use super::output::{Format, print, print_json, tell_oddities};
use crate::engine;
use crate::lab::NsName;
use crate::show::{self, NamespaceStatusView, StatusView};

/// Options of `nslab status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The lab's name, or its topology file; without it, all labs are listed
    #[arg(value_name = "LAB|FILE")]
    lab: Option<PathBuf>,
    /// Show this namespace of it in full: MTUs, routes, policy rules, neighbours, NAT and filters with their counters
    #[arg(value_name = "NAMESPACE")]
    namespace: Option<NsName>,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows the state of a lab, or of one of its namespaces.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let Some(lab) = &args.lab else { return list::run(&list::ListArgs::with(args.format)) };
    tell_oddities();
    let lab = LabArg::of(lab)?.name()?;
    if let Some(ns) = &args.namespace {
        let view = NamespaceStatusView::new(&lab, ns, &engine::namespace_status(&lab, ns)?);
        match args.format {
            Format::Json => print_json(&view)?,
            Format::Text => print(&show::namespace(&view, show::narrow()))?,
        }
        return Ok(DONE);
    }
    let view = StatusView::new(&lab, &engine::status(&lab)?);
    match args.format {
        Format::Json => print_json(&view)?,
        Format::Text => print(&show::status(&view, show::narrow()))?,
    }
    Ok(DONE)
}
