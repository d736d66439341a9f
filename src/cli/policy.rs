//! `nslab policy`

use std::net::IpAddr;
use std::path::PathBuf;

use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::output::{Format, print, print_json, warn};
use crate::lab::{Family, Lab, NetworkPolicies, NsName, PortProtocol};
use crate::policies::{Connection, Judge, matrix};
use crate::show::{self, PolicyView, VerdictView};
use crate::{engine, topology};

/// Options of `nslab policy`.
#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    /// The topology file, where `-` is standard input; or the name of a lab, for its topology as applied
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// Who sends: a pod, a node or an address. Shows which policy and rule allow it, or which policies isolate
    #[arg(requires = "port", conflicts_with = "prove")]
    from: Option<String>,
    /// Who receives: likewise
    to: Option<String>,
    /// The port at the receiver, such as 80, 80/tcp, 53/udp or 36412/sctp
    #[arg(value_name = "PORT[/PROTOCOL]")]
    port: Option<String>,
    /// Take pods together by the value of this label, such as `app`
    #[arg(long, value_name = "LABEL", conflicts_with = "from")]
    by: Option<String>,
    /// Compare with the live lab: probe all pairs over TCP and UDP, and exit with 1 if any of them says something else
    #[arg(long)]
    prove: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows who may reach whom, or why.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &PolicyArgs) -> Result<u8, Failure> {
    let topology = LabArg::of(&args.lab)?.topology()?.topology;
    warn(&topology.warnings);
    let lab = topology.lab;
    if let (Some(from), Some(to), Some(port)) = (&args.from, &args.to, &args.port) {
        return explain(&lab, (from, to, port), args.format);
    }
    let mut matrix = matrix(&lab.network_policies);
    if let Some(label) = &args.by {
        if !lab.network_policies.pods.values().any(|pod| pod.labels.contains_key(label)) {
            return Err(Failure::Usage(format!("no pod has a label `{label}`{}", labels(&lab, label))));
        }
        matrix = matrix.by(&lab.network_policies, label);
    }
    let file = args.lab.display().to_string();
    let mut progress = show::Progress::new();
    let told = &mut |made: usize, all: usize| progress.at(made, all, "probes");
    let proof = if args.prove { Some(engine::prove(&lab, &file, told)) } else { None };
    progress.end();
    let proof = proof.transpose()?;
    if proof.as_ref().is_some_and(|report| report.pairs() == 0) {
        let why = "nothing to prove: there are no policies, or no two pods to probe";
        return Err(Failure::Usage(why.to_owned()));
    }
    match args.format {
        Format::Json => print_json(&PolicyView::new(&lab, &matrix, proof.as_ref()))?,
        Format::Text => print(&show::policies(&lab, &matrix, proof.as_ref()))?,
    }
    Ok(if proof.is_none_or(|report| report.passed()) { DONE } else { OUT_OF_SYNC })
}

fn explain(lab: &Lab, (from, to, port): (&str, &str, &str), format: Format) -> Result<u8, Failure> {
    let (protocol, number) = parsed(port)?;
    let (sources, destinations) = (addresses(lab, from)?, addresses(lab, to)?);
    // What is no pod has several addresses, and sends with the one that its route says.
    let other = from.parse().ok().filter(|name| !lab.network_policies.pods.contains_key(name));
    let judge = Judge::new(&lab.network_policies);
    let of_family = |family: Family| {
        let is_of = |address: &&IpAddr| Family::of(**address) == family;
        let (source, destination) = (*sources.iter().find(is_of)?, *destinations.iter().find(is_of)?);
        let source = other.as_ref().and_then(|name| engine::source(lab, name, destination)).unwrap_or(source);
        Some((family, judge.verdict(&Connection { source, destination, port: Some((protocol, number)) })))
    };
    let verdicts: Vec<_> = [Family::Ipv4, Family::Ipv6].into_iter().filter_map(of_family).collect();
    if verdicts.is_empty() {
        return Err(Failure::Usage(format!("{from} and {to} have no addresses of one family")));
    }
    let words = (from, to, format!("{protocol}/{number}"));
    let words = (words.0, words.1, words.2.as_str());
    match format {
        Format::Json => print_json(&VerdictView::new(words, &verdicts))?,
        Format::Text => print(&show::verdict(words, &verdicts))?,
    }
    Ok(DONE)
}

/// "did you mean", for a label that no pod has.
fn labels(lab: &Lab, label: &str) -> String {
    let all = lab.network_policies.pods.values().flat_map(|pod| pod.labels.keys());
    topology::nearest(label, all).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn parsed(port: &str) -> Result<(PortProtocol, u16), Failure> {
    let wrong = || Failure::Usage(format!("`{port}` is not a port, such as 80, 80/tcp, 53/udp or 36412/sctp"));
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        "sctp" => PortProtocol::Sctp,
        _ => return Err(wrong()),
    };
    let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
    Ok((protocol, number))
}

/// The addresses of somebody: those of pods in their network come first, as policies go by these.
fn addresses(lab: &Lab, who: &str) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(address) = who.parse() {
        return Ok(vec![address]);
    }
    let NetworkPolicies { pods, .. } = &lab.network_policies;
    let found = who.parse::<NsName>().ok().and_then(|name| lab.namespaces.get_key_value(&name));
    let Some((name, namespace)) = found else {
        if who.starts_with("service/") {
            let message = format!("`{who}` is a service, and policies are about pods: name one of its pods");
            return Err(Failure::Usage(message));
        }
        let names = || lab.namespaces.keys().map(NsName::as_str);
        let is_pod = |name: &&str| name.split_once('.').is_some_and(|(_, own)| own == who);
        let meant = topology::nearest(who, names()).or_else(|| names().find(is_pod).map(str::to_owned));
        let help = meant.map(|near| format!("; did you mean `{near}`?"));
        return Err(Failure::Usage(format!("there is no namespace `{who}`{}", help.unwrap_or_default())));
    };
    let of_pod = pods.get(name).map(|pod| pod.addresses.clone()).unwrap_or_default();
    let all = namespace.interfaces.values().flat_map(|interface| &interface.addresses).map(|own| own.ip());
    let others = all.filter(|own| !own.is_loopback() && !of_pod.contains(own)).collect::<Vec<_>>();
    Ok(if of_pod.is_empty() { others } else { of_pod })
}
