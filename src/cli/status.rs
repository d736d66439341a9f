//! `nslab status`

use super::{DONE, Failure, Format, list, print, print_json};
use crate::kernel::process;
use crate::lab::LabName;
use crate::show::{self, StatusView};
use crate::{engine, plan, topology};

/// Options of `nslab status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The lab; without it, all labs are listed
    lab: Option<LabName>,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let Some(lab) = &args.lab else { return list::run(&list::ListArgs::with(args.format)) };
    // The file as applied says what should be; without it, what is there can still be shown.
    let saved = engine::saved_topology(lab)?.and_then(|text| topology::parse("the topology as applied", &text).ok());
    let desired = saved.as_ref().map(|topology| &topology.lab);
    let live = engine::observe(lab, desired)?;
    let own: Vec<_> =
        live.namespaces.iter().filter(|(_, ns)| ns.is.owner.as_ref() == Some(lab)).map(|(n, _)| n).collect();
    if own.is_empty() && saved.is_none() {
        return Err(Failure::System(format!("there is no lab {lab}; `nslab list` shows those that there are")));
    }
    let drift = desired.map(|desired| plan::plan(desired, &live));
    let processes = process::in_namespaces(own.iter().copied())?;
    let view = StatusView::new(lab, &live, drift.as_ref(), &processes);
    match args.format {
        Format::Json => print_json(&view)?,
        Format::Text => print(&show::status(&view))?,
    }
    Ok(DONE)
}
