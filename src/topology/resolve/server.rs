//! Built-in servers: what each namespace serves.

use std::net::IpAddr;

use super::net::ResolvedNamespace;
use crate::lab::{HttpAnswer, STATUS_CODES, Server, ServerKind};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Spanned};

/// The servers of a namespace, each with the place of its port.
pub fn servers(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) -> Vec<(Span, Server)> {
    let mut servers: Vec<(Span, Server)> = Vec::new();
    for written in &namespace.written.serve {
        let Some((port, server)) = server(namespace, written, found) else { continue };
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
    namespace: &ResolvedNamespace<'_>,
    written: &schema::Server,
    found: &mut Collector<'_>,
) -> Option<(Span, Server)> {
    let plain = HttpAnswer::default();
    let http = ServerKind::Http(HttpAnswer {
        status: written.status.as_ref().map_or(plain.status, |status| status_code(status, found)),
        text: written.text.as_ref().map(|text| text.value.0.clone()),
    });
    let kinds = [(&written.http, http), (&written.tcp, ServerKind::Tcp), (&written.udp, ServerKind::Udp)];
    let mut kinds = kinds.into_iter().filter_map(|(port, kind)| Some((port.as_ref()?, kind)));
    let Some((port, kind)) = kinds.next() else {
        // A port that could not be read is a fault already.
        if namespace.written.whole {
            let fault = Diagnostic::new(Code::MissingKey, written.span, "a server needs one of http, tcp and udp");
            found.add(fault.help("write `http: 80`".to_owned()));
        }
        return None;
    };
    if let Some((second, _)) = kinds.next() {
        let message = "a server is one of http, tcp and udp";
        let fault = Diagnostic::new(Code::ContradictoryKeys, second.span, message).also(port.span, "the first");
        found.add(fault.help("begin another entry with a dash: `- …`".to_owned()));
    }
    let of_http =
        [("status", written.status.as_ref().map(|own| own.span)), ("text", written.text.as_ref().map(|own| own.span))];
    for (key, span) in of_http.iter().filter(|_| !matches!(kind, ServerKind::Http(_))) {
        let message = format!("only a server of http has a `{key}`");
        span.into_iter().for_each(|span| found.add(Diagnostic::new(Code::KeyNotAllowed, *span, message.clone())));
    }
    let address = written.address.as_ref();
    address.into_iter().for_each(|address| check_address(namespace, address, found));
    Some((port.span, Server { kind, port: port.value, address: address.map(|address| address.value) }))
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
