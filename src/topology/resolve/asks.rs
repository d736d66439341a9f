//! What a check asks of a program, and which keys go with that.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lab::{Asks, DnsAnswer, DnsQuery, DnsType, Expect, HttpRequest};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Probing, Spanned, Text};

/// The status of an answer that is as it should be, where the file does not say (RFC 9110, section 15.3.1).
const OK: u16 = 200;

/// What a check asks; none where it is a bare connection, a datagram or a ping.
pub fn resolve(written: &schema::Check, expect: Expect, found: &mut Collector<'_>) -> Option<Asks> {
    let protocol = written.protocol.as_ref().map(|protocol| protocol.value);
    for (own, name, keys) in
        [(Probing::Http, "http", keys_of_http(written)), (Probing::Dns, "dns", keys_of_dns(written))]
    {
        for (key, span) in keys {
            if protocol != Some(own) {
                let message = format!("`{key}` needs `protocol: {name}`");
                found.add(Diagnostic::new(Code::KeyNotAllowed, span, message));
            } else if expect != Expect::Reachable && key != "type" {
                let message = format!("`{key}` needs `expect: reachable`: else it does not matter what is answered");
                found.add(Diagnostic::new(Code::ContradictoryKeys, span, message));
            }
        }
    }
    let asks = match protocol {
        Some(Probing::Http) => Asks::Http(http(written, found)),
        Some(Probing::Dns) => Asks::Dns(dns(written, expect, found)?),
        Some(Probing::Icmp | Probing::Tcp | Probing::Udp) | None => return None,
    };
    if let Some(size) = &written.size {
        let fault = Diagnostic::new(Code::KeyNotAllowed, size.span, "what programs are asked has a size of its own");
        found.add(fault.help("check `size` with `protocol: tcp` or `protocol: udp`".to_owned()));
    }
    Some(asks)
}

fn http(written: &schema::Check, found: &mut Collector<'_>) -> HttpRequest {
    let headers = written.header.entries.iter();
    let headers = headers.filter_map(|(name, text)| Some((name.value.0.clone(), one_line(text, found)?))).collect();
    HttpRequest {
        method: written.method.as_ref().map_or("GET", |method| method.value.0).to_owned(),
        host: written.host.as_ref().map(|host| host.value.0.clone()),
        path: written.path.as_ref().map_or_else(|| "/".to_owned(), |path| path.value.0.clone()),
        status: written.status.as_ref().map_or(OK, |status| status.value.0),
        contains: written.contains.as_ref().and_then(|text| some_text(text, found)),
        headers,
    }
}

fn dns(written: &schema::Check, expect: Expect, found: &mut Collector<'_>) -> Option<DnsQuery> {
    let missing = |what: &str| Diagnostic::new(Code::MissingKey, written.span, format!("a check of DNS needs {what}"));
    let Some(name) = &written.name else {
        found.add(missing("`name`, which is what it asks for"));
        return None;
    };
    if !is_name(&name.value.0) {
        let message = format!("`{}` is not a name that DNS can be asked for", name.value.0);
        found.add(Diagnostic::new(Code::BadValue, name.span, message));
    }
    let kind = written.kind.as_ref().map_or(DnsType::A, |kind| kind.value);
    let answer = match &written.answer {
        Some(answer) => Some(self::answer(kind, &answer.0, found)?),
        None if expect == Expect::Reachable => {
            found.add(missing("`answer`: records, or NXDOMAIN, NODATA or REFUSED"));
            return None;
        }
        None => None,
    };
    Some(DnsQuery { name: name.value.0.clone(), kind, answer })
}

/// What has to come: one of the words, or records.
fn answer(kind: DnsType, written: &[Spanned<Text>], found: &mut Collector<'_>) -> Option<DnsAnswer> {
    let word = |text: &str| match text {
        "NXDOMAIN" => Some(DnsAnswer::NoName),
        "NODATA" => Some(DnsAnswer::NoData),
        "REFUSED" => Some(DnsAnswer::Refused),
        _ => None,
    };
    if let [only] = written
        && let Some(answer) = word(&only.value.0)
    {
        return Some(answer);
    }
    let before = found.count();
    for Spanned { value: Text(text), span } in written {
        let fits = match kind {
            DnsType::A => text.parse::<Ipv4Addr>().is_ok(),
            DnsType::Aaaa => text.parse::<Ipv6Addr>().is_ok(),
            _ => !text.is_empty() && (kind == DnsType::Txt || word(text).is_none()),
        };
        if !fits {
            let message = format!("`{text}` is not what a record of the type {kind} has");
            let fault = Diagnostic::new(Code::BadValue, *span, message);
            found.add(fault.help("write its records, or one of NXDOMAIN, NODATA and REFUSED alone".to_owned()));
        }
    }
    let mut records: Vec<String> = written.iter().map(|record| kind.normal(&record.value.0)).collect();
    records.sort();
    records.dedup();
    if records.is_empty() {
        return Some(DnsAnswer::NoData);
    }
    (found.count() == before).then_some(DnsAnswer::Records(records))
}

/// Whether a text is a name of DNS: labels of up to 63 characters, 253 in all (RFC 1035, section 2.3.4).
fn is_name(text: &str) -> bool {
    let may_have = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(may_have);
    let name = text.strip_suffix('.').unwrap_or(text);
    text == "." || (name.len() <= 253 && name.split('.').all(is_label))
}

/// The keys that only DNS has, where they are written.
fn keys_of_dns(written: &schema::Check) -> Vec<(&'static str, Span)> {
    let answer = written.answer.as_ref().and_then(|answer| answer.0.first());
    let all = [("type", written.kind.as_ref().map(|kind| kind.span)), ("answer", answer.map(|answer| answer.span))];
    all.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
}

/// The keys that only HTTP has, where they are written.
fn keys_of_http(written: &schema::Check) -> Vec<(&'static str, Span)> {
    let header = written.header.entries.first();
    let all = [
        ("path", written.path.as_ref().map(|path| path.span)),
        ("method", written.method.as_ref().map(|method| method.span)),
        ("host", written.host.as_ref().map(|host| host.span)),
        ("status", written.status.as_ref().map(|status| status.span)),
        ("contains", written.contains.as_ref().map(|contains| contains.span)),
        ("header", header.map(|(name, _)| name.span)),
    ];
    all.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
}

/// A text that not everything contains.
pub fn some_text(text: &Spanned<Text>, found: &mut Collector<'_>) -> Option<String> {
    if text.value.0.is_empty() {
        found.add(Diagnostic::new(Code::BadValue, text.span, "everything contains a text of no characters"));
        return None;
    }
    Some(text.value.0.clone())
}

/// The text of a header's value, which has one line. An empty one asks for the header alone.
fn one_line(text: &Spanned<Text>, found: &mut Collector<'_>) -> Option<String> {
    if text.value.0.contains('\n') {
        found.add(Diagnostic::new(Code::BadValue, text.span, "the value of a header has one line"));
        return None;
    }
    Some(text.value.0.clone())
}
