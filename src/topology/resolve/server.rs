//! Built-in servers: what each namespace serves.

use std::net::IpAddr;

use super::net::ResolvedNamespace;
use crate::lab::{HttpAnswer, LabName, STATUS_CODES, Server, ServerKind, zones_file};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Spanned};

/// The servers of a namespace, each with the place of its port.
pub fn servers(namespace: &ResolvedNamespace<'_>, lab: &LabName, found: &mut Collector<'_>) -> Vec<(Span, Server)> {
    let mut servers: Vec<(Span, Server)> = Vec::new();
    for written in &namespace.written.serve {
        let Some((port, server)) = server((namespace, lab), written, found) else { continue };
        if let Some((first, other)) = servers.iter().find(|(_, other)| other.excludes(&server)) {
            let message = format!("port {} is taken already", server.port);
            found
                .add(Diagnostic::new(Code::ProgramPortTwice, port, message).also(*first, format!("by {}", other.kind)));
        }
        servers.push((port, server));
    }
    servers
}

fn server(
    (namespace, lab): (&ResolvedNamespace<'_>, &LabName),
    written: &schema::Server,
    found: &mut Collector<'_>,
) -> Option<(Span, Server)> {
    let plain = HttpAnswer::default();
    let http = ServerKind::Http(HttpAnswer {
        status: written.status.as_ref().map_or(plain.status, |status| status_code(status, found)),
        text: written.text.as_ref().map(|text| text.value.0.clone()),
    });
    let dns = ServerKind::Dns(zones_file(lab, &namespace.name));
    let kinds =
        [(&written.http, http), (&written.tcp, ServerKind::Tcp), (&written.udp, ServerKind::Udp), (&written.dns, dns)];
    let mut kinds = kinds.into_iter().filter_map(|(port, kind)| Some((port.as_ref()?, kind)));
    let Some((port, kind)) = kinds.next() else {
        // A port that could not be read is a fault already.
        if namespace.written.whole {
            let fault = Diagnostic::new(Code::MissingKey, written.span, "a server needs one of http, tcp, udp and dns");
            found.add(fault.help("write `http: 80`".to_owned()));
        }
        return None;
    };
    if let Some((second, _)) = kinds.next() {
        let message = "a server is one of http, tcp, udp and dns";
        let fault = Diagnostic::new(Code::ContradictoryKeys, second.span, message).also(port.span, "the first");
        found.add(fault.help("begin another entry with a dash: `- …`".to_owned()));
    }
    only_its_own(written, &kind, found);
    let address = written.address.as_ref();
    address.into_iter().for_each(|address| check_address(namespace, address, found));
    Some((port.span, Server { kind, port: port.value, address: address.map(|address| address.value) }))
}

/// Keys of other kinds.
fn only_its_own(written: &schema::Server, kind: &ServerKind, found: &mut Collector<'_>) {
    let span = |is_there: bool| is_there.then_some(written.span);
    let of_http =
        [("status", written.status.as_ref().map(|own| own.span)), ("text", written.text.as_ref().map(|own| own.span))];
    let of_dns = [
        ("zones", written.zones.entries.first().map(|(name, _)| name.span)),
        ("cluster_names", span(written.cluster_names.is_some())),
        ("ttl", written.ttl.as_ref().map(|own| own.span)),
        ("forward", written.forward.as_ref().map(|own| own.span)),
    ];
    let of_http = of_http.iter().filter(|_| !matches!(kind, ServerKind::Http(_))).map(|key| ("http", key));
    let of_dns = of_dns.iter().filter(|_| !matches!(kind, ServerKind::Dns(_))).map(|key| ("dns", key));
    for (of, (key, span)) in of_http.chain(of_dns) {
        let message = format!("only a server of {of} has a `{key}`");
        if let Some(span) = span {
            found.add(Diagnostic::new(Code::KeyNotAllowed, *span, message));
        }
    }
}

fn status_code(written: &Spanned<u32>, found: &mut Collector<'_>) -> u16 {
    let code = u16::try_from(written.value).ok().filter(|code| STATUS_CODES.contains(code));
    code.unwrap_or_else(|| {
        let message = format!("{} is not a status code that an answer can have: 200 to 599", written.value);
        found.add(Diagnostic::new(Code::NumberOutOfRange, written.span, message));
        HttpAnswer::default().status
    })
}

/// A server answers at an address that the namespace has, or gets: by a local route, or from a program.
fn check_address(namespace: &ResolvedNamespace<'_>, address: &Spanned<IpAddr>, found: &mut Collector<'_>) {
    let written = namespace.written;
    let may_get_others = !written.whole || !written.routes.is_empty() || written.keep.is_some();
    if matches!(address.value, IpAddr::V6(own) if own.is_unicast_link_local()) {
        let message =
            format!("{} is an address of one link; a server answers at those that all can ask", address.value);
        found.add(Diagnostic::new(Code::LocalAddress, address.span, message));
    } else if address.value.is_unspecified() {
        let fault = Diagnostic::new(Code::ReservedAddress, address.span, format!("{} is no address", address.value));
        found.add(fault.help("leave `address` out, for all addresses of both families".to_owned()));
    } else if !may_get_others && !address.value.is_loopback() && !namespace.holds(address.value) {
        let message = format!("no interface of {} has the address {}", namespace.name, address.value);
        let help = "leave `address` out, for all addresses of both families".to_owned();
        found.add(Diagnostic::new(Code::NoSuchAddress, address.span, message).help(help));
    }
}
