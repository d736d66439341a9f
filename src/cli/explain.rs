//! `nslab explain`

use std::net::IpAddr;
use std::path::PathBuf;

use super::exit_code::DONE;
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::output::{Format, colour, print, print_json};
use crate::engine::Tracer;
use crate::forwarding::Flow;
use crate::lab::{IfName, NsName, Protocol};
use crate::show;

/// Options of `nslab explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The lab's name, or its topology file
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// The namespace
    namespace: NsName,
    /// The destination
    address: IpAddr,
    /// A TCP connection to this port; without --tcp and --udp, an echo request
    #[arg(long, value_name = "PORT", conflicts_with = "udp", value_parser = clap::value_parser!(u16).range(1..))]
    tcp: Option<u16>,
    /// A UDP datagram to this port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp: Option<u16>,
    /// Of packets that come in through this interface; of the namespace's own by default
    #[arg(long = "in", value_name = "INTERFACE", requires = "source")]
    input: Option<IfName>,
    /// Their source address
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows what a namespace does with packets to an address.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ExplainArgs) -> Result<u8, Failure> {
    let topology = LabArg::of(&args.lab)?.topology()?.topology;
    if args.source.is_some_and(|source| source.is_ipv4() != args.address.is_ipv4()) {
        return Err(Failure::Usage("--source and the destination are of two families".to_owned()));
    }
    let protocol = match (args.tcp, args.udp) {
        (Some(port), _) => Protocol::Tcp(port),
        (None, Some(port)) => Protocol::Udp(port),
        (None, None) => Protocol::Icmp,
    };
    let probing = Flow::probing(protocol, args.address);
    let flow = Flow { source: args.source, input: args.input.clone(), ..probing };
    let lookup = Tracer::new(&topology.lab)?
        .lookup(&args.namespace, &flow)
        .ok_or_else(|| Failure::Usage(format!("the lab {} has no namespace {}", topology.lab.name, args.namespace)))?;
    match args.format {
        Format::Text => print(&show::lookup(&lookup, colour()))?,
        Format::Json => print_json(&lookup)?,
    }
    Ok(DONE)
}
