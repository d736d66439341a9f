//! What a check asks of a program, and which keys go with that.

use crate::lab::{Asks, Expect, HttpRequest};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Probing, Spanned, Text};

/// The status of an answer that is as it should be, where the file does not say (RFC 9110, section 15.3.1).
const OK: u16 = 200;

/// What a check asks; none where it is a bare connection, a datagram or a ping.
pub fn resolve(written: &schema::Check, expect: Expect, found: &mut Collector<'_>) -> Option<Asks> {
    let is_http = matches!(written.protocol, Some(Spanned { value: Probing::Http, .. }));
    let of_http = keys_of_http(written);
    if !is_http {
        for (key, span) in of_http {
            let fault = Diagnostic::new(Code::KeyNotAllowed, span, format!("`{key}` needs `protocol: http`"));
            found.add(fault);
        }
        return None;
    }
    if expect != Expect::Reachable {
        for (key, span) in of_http {
            let message = format!("`{key}` needs `expect: reachable`: else it does not matter what is answered");
            found.add(Diagnostic::new(Code::ContradictoryKeys, span, message));
        }
    }
    if let Some(size) = &written.size {
        let fault = Diagnostic::new(Code::KeyNotAllowed, size.span, "how large packets of HTTP are is up to programs");
        found.add(fault.help("check `size` with `protocol: tcp`".to_owned()));
    }
    let headers = written.header.entries.iter();
    let headers = headers.filter_map(|(name, text)| Some((name.value.0.clone(), one_line(text, found)?))).collect();
    Some(Asks::Http(HttpRequest {
        method: written.method.as_ref().map_or("GET", |method| method.value.0).to_owned(),
        host: written.host.as_ref().map(|host| host.value.0.clone()),
        path: written.path.as_ref().map_or_else(|| "/".to_owned(), |path| path.value.0.clone()),
        status: written.status.as_ref().map_or(OK, |status| status.value.0),
        contains: written.contains.as_ref().and_then(|text| some_text(text, found)),
        headers,
    }))
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
