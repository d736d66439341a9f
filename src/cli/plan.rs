//! `nslab plan`

use std::path::PathBuf;

use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::output::{Format, colour, print, print_json, tell_oddities, warn};
use crate::engine::{self, EngineError};
use crate::lab::NsName;
use crate::show;

/// Options of `nslab plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The topology file, where `-` is standard input; or the name of a lab, to compare it with its topology as applied
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// Plan for this machine of the lab, which several machines make together; see `nslab apply --as`
    #[arg(long = "as", value_name = "NODE")]
    node: Option<NsName>,
    /// Exit with 1 if there is something to do
    #[arg(long)]
    exit_code: bool,
    /// Print the file without shorthand, as a topology file that describes the same lab, instead of a plan. Comments
    /// are dropped. Needs no privileges
    #[arg(long, conflicts_with_all = ["exit_code", "format"])]
    expanded: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows the plan for a lab.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &PlanArgs) -> Result<u8, Failure> {
    tell_oddities();
    let topology = LabArg::of(&args.lab)?.topology_as(args.node.as_ref())?.topology;
    if args.expanded {
        print(&topology.expanded())?;
        return Ok(DONE);
    }
    warn(&topology.warnings);
    let mut planned = engine::plan(&topology.lab)?;
    if let Some(machine) = &topology.machine {
        planned.findings.extend(engine::uplink_differs(machine)?);
    }
    match args.format {
        Format::Json => {
            let (plan, conflicts, findings) = (&planned.plan, &planned.conflicts, &planned.findings);
            let view = show::PlanView::new(plan, conflicts, findings, &topology.warnings);
            print_json(&view.unread(&planned.unread))?;
        }
        Format::Text if !planned.unread.is_empty() && planned.plan.is_empty() && planned.conflicts.is_empty() => {}
        Format::Text => {
            print(&(show::plan(&planned.plan, &planned.conflicts, colour()) + &show::findings(&planned.findings)))?;
        }
    }
    if !planned.unread.is_empty() {
        return Err(EngineError::NotRead(planned.unread).into());
    }
    Ok(if args.exit_code && !planned.plan.is_empty() { OUT_OF_SYNC } else { DONE })
}
