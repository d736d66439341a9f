//! `nslab dns`

use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::output::{print, warn};
use crate::dns::{corefile, records};
use crate::lab::{DnsData, NsName, zones_of_text};

/// Options of `nslab dns`.
#[derive(Debug, clap::Args)]
pub struct DnsArgs {
    /// The topology file, where `-` is standard input; or the name of a lab, for its topology as applied
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// Only the name server of this namespace
    #[arg(value_name = "NAMESPACE")]
    ns: Option<NsName>,
    /// Show instead the Corefile with which CoreDNS answers the same in a real cluster
    #[arg(long)]
    corefile: bool,
}

/// Shows what name servers know.
///
/// # Errors
/// There is no such name server, or none of a cluster.
pub(super) fn run(args: &DnsArgs) -> Result<u8, Failure> {
    let topology = LabArg::of(&args.lab)?.topology()?.topology;
    warn(&topology.warnings);
    let of_etc = topology.lab.etc.namespaces.iter();
    let servers = of_etc.filter_map(|(ns, files)| Some((ns, zones_of_text(files.zones.as_deref()?)?)));
    let servers: Vec<(&NsName, DnsData)> =
        servers.filter(|(ns, _)| args.ns.as_ref().is_none_or(|own| own == *ns)).collect();
    if args.corefile {
        let text = servers.iter().find_map(|(_, data)| corefile(data));
        let none = "there is no name server of a cluster here: write `dns: {}` in `cluster`";
        print(&text.ok_or_else(|| Failure::Usage(none.to_owned()))?)?;
        return Ok(DONE);
    }
    if servers.is_empty() {
        let of = args.ns.as_ref().map(|ns| format!(" in `{ns}`")).unwrap_or_default();
        return Err(Failure::Usage(format!("there is no name server{of}: write `serve: [{{ dns: 53, zones: … }}]`")));
    }
    for (ns, data) in &servers {
        print(&format!("; {ns}\n{}", records(data)))?;
    }
    Ok(DONE)
}
