//! What a check sends: the protocol and the port, which a service may know, and how many connections.

use super::selectors::{Endpoint, SelectorList};
use super::services::{Port, Resolved, Services};
use crate::lab::{Expect, IpProtocol, Probe, Protocol, enough_connections};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, CheckPort, Probing, Spanned};

/// The protocol of a check with its port; none: what the author has written does not say it.
pub fn resolve(
    written: &schema::Check,
    to: &[Endpoint],
    services: &Services,
    found: &mut Collector<'_>,
) -> Option<Protocol> {
    let wanted = written.protocol.as_ref().map(|protocol| (transport(protocol.value), protocol.span));
    let of_services = to.iter().filter_map(|to| match to.side {
        SelectorList::Service(service) => Some((services.all.get(service)?, to.span)),
        SelectorList::Namespace(_) | SelectorList::Address(_) | SelectorList::DnsName(_) => None,
    });
    let of_services: Vec<_> = of_services.collect();
    let is_ping = matches!(wanted, Some((Probing::Icmp, _)));
    if !of_services.is_empty() && !is_ping {
        return one_of_all(written, wanted.map(|(protocol, _)| protocol), of_services, found);
    }
    match (wanted, &written.port) {
        (_, Some(Spanned { value: CheckPort::Name(name), span })) if !is_ping => {
            // That there is no such service is told already.
            if written.to.0.iter().any(|to| matches!(to.value, schema::Selector::Service(_))) {
                return None;
            }
            let message = format!("`{name}` is no number: only ports of services have names");
            found.add(Diagnostic::new(Code::BadValue, *span, message));
            None
        }
        (None | Some((Probing::Tcp | Probing::Http, _)), Some(Spanned { value: CheckPort::Number(port), .. })) => {
            Some(Protocol::Tcp(*port))
        }
        (Some((Probing::Udp | Probing::Dns, _)), Some(Spanned { value: CheckPort::Number(port), .. })) => {
            Some(Protocol::Udp(*port))
        }
        (None | Some((Probing::Icmp, _)), None) => Some(Protocol::Icmp),
        (_, Some(port)) => {
            found.add(
                Diagnostic::new(Code::PortNotAllowed, port.span, "ICMP has no ports")
                    .help("write `protocol: tcp` or `protocol: udp`".to_owned()),
            );
            None
        }
        (Some((Probing::Tcp | Probing::Udp | Probing::Http | Probing::Dns, span)), None) => {
            let by_default = written.protocol.as_ref().and_then(|protocol| default_port(protocol.value));
            if by_default.is_none() {
                found.add(Diagnostic::new(Code::NoPort, span, "this check needs a `port`"));
            }
            by_default
        }
    }
}

/// The one port of some services that a check goes to.
fn one_of_all(
    written: &schema::Check,
    protocol: Option<Probing>,
    services: Vec<(&Resolved, Span)>,
    found: &mut Collector<'_>,
) -> Option<Protocol> {
    let mut ports: Vec<Protocol> = Vec::new();
    for (service, span) in services {
        match port(service, protocol, written.port.as_ref()) {
            Ok(port) if ports.contains(&port) => {}
            Ok(port) => ports.push(port),
            Err((code, message, help)) => {
                let span = written.port.as_ref().map_or(span, |port| port.span);
                found.add(Diagnostic::new(code, span, message).help(help));
                return None;
            }
        }
    }
    if ports.len() > 1 {
        let message = "these services have different ports: write a check for each";
        found.add(Diagnostic::new(Code::ContradictoryKeys, written.span, message));
    }
    ports.first().copied()
}

/// What carries it.
fn transport(protocol: Probing) -> Probing {
    match protocol {
        Probing::Http => Probing::Tcp,
        Probing::Dns => Probing::Udp,
        Probing::Icmp | Probing::Tcp | Probing::Udp => protocol,
    }
}

/// Where servers of a protocol listen by default (RFC 9110, section 4.2.1; RFC 1035, section 4.2.1).
fn default_port(protocol: Probing) -> Option<Protocol> {
    match protocol {
        Probing::Http => Some(Protocol::Tcp(80)),
        Probing::Dns => Some(Protocol::Udp(53)),
        Probing::Icmp | Probing::Tcp | Probing::Udp => None,
    }
}

/// The port of a service that a check goes to: that of the number or the name, or the only one. A number that the
/// service does not have is right, too: nothing leads there.
fn port(
    service: &Resolved,
    protocol: Option<Probing>,
    wanted: Option<&Spanned<CheckPort>>,
) -> Result<Protocol, (Code, String, Option<String>)> {
    let is_of = |port: &&Port| match protocol {
        None | Some(Probing::Icmp) => true,
        Some(Probing::Tcp | Probing::Http) => port.model.protocol == IpProtocol::Tcp,
        Some(Probing::Udp | Probing::Dns) => port.model.protocol == IpProtocol::Udp,
    };
    // At each of its addresses it has the same.
    let at_first = service.ports.iter().filter(|port| Some(&port.model.cluster_ip) == service.addresses.first());
    let fitting = at_first.filter(is_of);
    let fitting: Vec<&Port> = match wanted.map(|wanted| &wanted.value) {
        None => fitting.collect(),
        Some(CheckPort::Number(number)) => fitting.filter(|port| port.model.port == *number).collect(),
        Some(CheckPort::Name(name)) => fitting.filter(|port| port.model.name.as_ref() == Some(name)).collect(),
    };
    if let [first, ..] = fitting.as_slice()
        && fitting.iter().all(|port| port.model.protocol == IpProtocol::Sctp)
    {
        let message = format!("the port {} of the service `{}` is of SCTP", first.model.port, service.name);
        return Err((
            Code::NotModelled,
            message,
            Some("checks send ICMP, TCP and UDP; nodes have the rules all the same".to_owned()),
        ));
    }
    match (fitting.as_slice(), wanted.map(|wanted| &wanted.value)) {
        ([only], _) => Ok(sent(only.model.protocol, only.model.port)),
        ([], Some(CheckPort::Number(number))) if protocol == Some(Probing::Udp) => Ok(Protocol::Udp(*number)),
        ([], Some(CheckPort::Number(number))) => Ok(Protocol::Tcp(*number)),
        ([], Some(CheckPort::Name(name))) => {
            let names: Vec<&str> = service.ports.iter().filter_map(|port| port.model.name.as_deref()).collect();
            let help = (!names.is_empty()).then(|| format!("its ports are {}", names.join(", ")));
            Err((Code::UnknownService, format!("the service `{}` has no port `{name}`", service.name), help))
        }
        ([], None) => Err((Code::UnknownService, format!("the service `{}` has no such port", service.name), None)),
        ([..], None) => {
            let help = "write its `port`, by number or by name".to_owned();
            Err((Code::UnknownService, format!("the service `{}` has several ports", service.name), Some(help)))
        }
        ([first, ..], Some(_)) => Ok(sent(first.model.protocol, first.model.port)),
    }
}

fn sent(protocol: IpProtocol, port: u16) -> Protocol {
    match protocol {
        IpProtocol::Udp => Protocol::Udp(port),
        IpProtocol::Tcp | IpProtocol::Sctp | IpProtocol::Icmp | IpProtocol::Icmpv6 => Protocol::Tcp(port),
    }
}

/// Over how many connections endpoints must get even shares: enough that none of them is missed by chance.
pub fn spread(written: &schema::Check, expect: Expect, probes: &[Probe], found: &mut Collector<'_>) -> Option<u32> {
    let Spanned { value: connections, span } = written.spread.clone()?;
    if expect != Expect::Reachable || written.answered_by.is_some() {
        let message = "`spread` needs `expect: reachable`, and no `answered_by`";
        found.add(Diagnostic::new(Code::ContradictoryKeys, span, message));
    } else if probes.iter().any(|probe| probe.endpoints.is_empty()) {
        let fault = Diagnostic::new(Code::KeyNotAllowed, span, "`spread` is for services that have endpoints");
        found.add(fault.help("check `to: service/NAME`, or a `nodePort`".to_owned()));
    } else if connections > MOST_CONNECTIONS {
        let message = format!("{connections} connections; {MOST_CONNECTIONS} are the most");
        found.add(Diagnostic::new(Code::NumberOutOfRange, span, message));
    } else if let Some(most) = probes.iter().map(|probe| probe.endpoints.len()).max() {
        let enough = enough_connections(most);
        if connections < enough {
            let message = format!("of {connections} connections, one of {most} endpoints may get none by chance");
            let fault = Diagnostic::new(Code::NumberOutOfRange, span, message);
            found.add(fault.help(format!("write {enough} or more")));
        }
    }
    Some(connections)
}

/// More take too long for what they show.
const MOST_CONNECTIONS: u32 = 10_000;
