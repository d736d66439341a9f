//! `nslab trace`

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::lab_arg::{LabArg, Source};
use super::output::{colour, print, print_json};
use crate::engine::{self, Tracer, Tracing};
use crate::forwarding::Chosen;
use crate::lab::{Check, NsName};
use crate::show;
use crate::topology::{LoadError, Topology, nearest};
use crate::trace::Trace;

/// Options of `nslab trace`.
#[derive(Debug, clap::Args)]
pub struct TraceArgs {
    /// The lab's name, or its topology file
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// The namespace that sends
    from: NsName,
    /// Where to: a namespace, an address, or a service, such as service/web
    to: String,
    /// Open a TCP connection to this port; without --tcp and --udp, an echo request is sent
    #[arg(long, value_name = "PORT", conflicts_with = "udp", value_parser = clap::value_parser!(u16).range(1..))]
    tcp: Option<u16>,
    /// Send a UDP datagram to this port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    udp: Option<u16>,
    /// The size of the IP packet in bytes, which must not be cut into fragments
    #[arg(long, value_name = "BYTES", conflicts_with = "tcp")]
    size: Option<u16>,
    /// The source address; the kernel chooses by default
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// Follow so many packets, one after the other
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    /// How long to wait for the answer, in milliseconds; what is lost for no known reason is sent again
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60000))]
    timeout: u32,
    /// Send nothing: say what would happen by the file alone
    #[arg(long, conflicts_with = "count")]
    expected: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: TraceFormat,
}

/// How a trace is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum TraceFormat {
    /// For people
    #[default]
    Text,
    /// For programs; `nslab schema trace` describes it
    Json,
    /// A sequence diagram in Mermaid
    Mermaid,
}

/// Follows packets; the exit code says whether the last one was answered as by the file.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &TraceArgs) -> Result<u8, Failure> {
    let lab = LabArg::of(&args.lab)?;
    let Source { topology, file } = lab.topology()?;
    let node = topology.machine.as_ref().map(|own| format!("--as {} ", own.share.node));
    let file = node.unwrap_or_default() + &file;
    let check = check(args, &topology)?;
    let Some(probe) = check.probes.first() else {
        return Err(Failure::Usage(format!("{} cannot send to {}", args.from, args.to)));
    };
    if probe.to.name.is_some() {
        let how = format!("`nslab exec {} {} -- getent ahosts NAME` shows its addresses", topology.lab.name, args.from);
        return Err(Failure::Usage(format!("a trace goes to an address, and {} is a name: {how}", args.to)));
    }
    let timeout = Duration::from_millis(args.timeout.into());
    let tracing = Tracing { check: &check, probe, answers: false, timeout, file: &file, chosen: &Chosen::default() };
    if args.expected {
        return show(&engine::trace_expected(&topology.lab, &tracing), args.format);
    }
    let mut tracer = Tracer::new(&topology.lab)?;
    let mut code = DONE;
    for _ in 0..args.count {
        code = show(&tracer.trace(&tracing)?, args.format)?;
    }
    Ok(code)
}

/// The check that the arguments stand for: what is sent to whom is read as in a file.
fn check(args: &TraceArgs, topology: &Topology) -> Result<Check, Failure> {
    let lab = &topology.lab;
    let has = |name: &str| lab.namespaces.keys().any(|ns| ns.as_str() == name);
    if !has(args.from.as_str()) && !args.from.is_host() {
        return Err(unknown(topology, args.from.as_str()));
    }
    let party = args.to.split('%').next().unwrap_or_default();
    if !party.contains('/') && party.parse::<IpAddr>().is_err() && !has(party) {
        return Err(unknown(topology, &args.to));
    }
    let quoted = |text: &str| format!("\"{}\"", text.replace(['"', '\\'], ""));
    let mut written = format!("{{ from: {}, to: {}", quoted(args.from.as_str()), quoted(&args.to));
    let mut add = |key: &str, value: String| written += &format!(", {key}: {value}");
    if let Some(port) = args.tcp.or(args.udp) {
        add("protocol", if args.tcp.is_some() { "tcp" } else { "udp" }.to_owned());
        add("port", port.to_string());
    }
    args.size.iter().for_each(|size| add("size", size.to_string()));
    args.source.iter().for_each(|source| add("source", quoted(&source.to_string())));
    // That nothing may have the address is for the trace to find out.
    add("expect", "unreachable".to_owned());
    written += " }";
    let check = topology.check("the command line, as a check", &written).map_err(LoadError::Invalid)?;
    check.ok_or_else(|| Failure::Usage(format!("{} cannot send to {}", args.from, args.to)))
}

/// That a lab has no namespace of a name.
fn unknown(topology: &Topology, name: &str) -> Failure {
    let lab = &topology.lab;
    if let Some(elsewhere) = topology.elsewhere(name) {
        return Failure::Usage(elsewhere);
    }
    let near = nearest(name, lab.namespaces.keys().map(NsName::as_str));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    Failure::Usage(format!("the lab {} has no namespace {name}{near}", lab.name))
}

fn show(trace: &Trace, format: TraceFormat) -> Result<u8, Failure> {
    match format {
        TraceFormat::Text => print(&show::trace(trace, colour()))?,
        TraceFormat::Json => print_json(trace)?,
        TraceFormat::Mermaid => print(&show::mermaid(trace))?,
    }
    Ok(if trace.end.answered && trace.end.namespace.is_none() { DONE } else { OUT_OF_SYNC })
}
