//! `nslab explain`

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

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
    /// The destination; of a link-local IPv6 address with the interface: fe80::1%eth0
    address: Destination,
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

/// An address, and the interface on whose link it is meant.
#[derive(Debug, Clone)]
struct Destination {
    address: IpAddr,
    scope: Option<IfName>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, scope) = text.split_once('%').map_or((text, None), |(address, scope)| (address, Some(scope)));
        let address = address.parse().map_err(|_| format!("{address} is no IP address"))?;
        let scope = scope.map(IfName::from_str).transpose().map_err(|error| error.to_string())?;
        Ok(Self { address, scope })
    }
}

/// Shows what a namespace does with packets to an address.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ExplainArgs) -> Result<u8, Failure> {
    let topology = LabArg::of(&args.lab)?.topology()?.topology;
    let Destination { address, scope } = &args.address;
    if args.source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
        return Err(Failure::Usage("--source and the destination are of two families".to_owned()));
    }
    let protocol = match (args.tcp, args.udp) {
        (Some(port), _) => Protocol::Tcp(port),
        (None, Some(port)) => Protocol::Udp(port),
        (None, None) => Protocol::Icmp,
    };
    let probing = Flow::probing(protocol, *address);
    let flow = Flow { source: args.source, input: args.input.clone(), out: scope.clone(), ..probing };
    let mut tracer = Tracer::new(&topology.lab)?;
    if let (Some(input), Some(interfaces)) =
        (args.input.as_ref().or(scope.as_ref()), tracer.interfaces(&args.namespace))
        && !interfaces.contains(&input)
    {
        let names: Vec<&str> = interfaces.into_iter().map(IfName::as_str).collect();
        let message = format!("{} has no interface {input}, but {}", args.namespace, names.join(", "));
        return Err(Failure::Usage(message));
    }
    let unknown = || {
        let message = || format!("the lab {} has no namespace {}", topology.lab.name, args.namespace);
        Failure::Usage(topology.elsewhere(args.namespace.as_str()).unwrap_or_else(message))
    };
    let lookup = tracer.lookup(&args.namespace, &flow).ok_or_else(unknown)?;
    match args.format {
        Format::Text => print(&show::lookup(&lookup, colour()))?,
        Format::Json => print_json(&lookup)?,
    }
    Ok(DONE)
}
