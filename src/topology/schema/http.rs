//! Single values of an HTTP request and of its answer, as checks write them.

use schemars::{Schema, json_schema};

use super::scalar::{Scalar, Wrong, not, word, words};

/// What is asked for: a path, with its query.
#[derive(Debug, Clone)]
pub struct Path(pub String);

/// What is to be done with it.
#[derive(Debug, Clone, Copy)]
pub struct Method(pub &'static str);

/// The value of the `Host` header: a name or an address, with a port or without.
#[derive(Debug, Clone)]
pub struct Host(pub String);

/// The status of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Status(pub u16);

/// The name of a header.
#[derive(Debug, Clone)]
pub struct HeaderName(pub String);

/// Not TRACE, whose answer is the request, nor CONNECT, which asks for no document (RFC 9110, section 9.3).
const METHODS: [(&str, Method); 7] = [
    ("GET", Method("GET")),
    ("HEAD", Method("HEAD")),
    ("POST", Method("POST")),
    ("PUT", Method("PUT")),
    ("PATCH", Method("PATCH")),
    ("DELETE", Method("DELETE")),
    ("OPTIONS", Method("OPTIONS")),
];

impl Scalar for Path {
    const WHAT: &'static str = "a path, such as /index.html?page=2";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if !text.starts_with('/') {
            return Err(not::<Self>(text).help(format!("write /{text}")));
        }
        match text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
            None => Ok(Self(text.to_owned())),
            Some('#') => Err(not::<Self>(text).help("what is behind # is not sent: leave it out")),
            Some(c) => {
                let bytes: String = c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
                Err(not::<Self>(text).help(format!("write {bytes} for {c:?}")))
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT, "pattern": "^/[!-\"$-~]*$" })
    }
}

impl Scalar for Method {
    const WHAT: &'static str = "a method: GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &METHODS).map_err(|wrong| match METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((name, _)) => wrong.help(format!("write {name}")),
            None => wrong,
        })
    }

    fn schema() -> Schema {
        words(&METHODS)
    }
}

impl Scalar for Host {
    const WHAT: &'static str = "a host as in an address of the web, such as www.example.com or 10.0.0.1:8080";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let may_have = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        match !text.is_empty() && text.chars().all(may_have) {
            true => Ok(Self(text.to_owned())),
            false => Err(not::<Self>(text)),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT, "pattern": r"^[A-Za-z0-9._:\[\]-]+$" })
    }
}

impl Scalar for Status {
    const WHAT: &'static str = "a status from 200 to 599";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let status = text.parse().ok().filter(|status| (200..=599).contains(status) && text.len() == 3);
        status.map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 200, "maximum": 599 })
    }
}

impl Scalar for HeaderName {
    const WHAT: &'static str = "the name of a header, such as Content-Type";

    fn parse(text: &str) -> Result<Self, Wrong> {
        // A token of RFC 9110, section 5.6.2.
        let may_have = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        match !text.is_empty() && text.chars().all(may_have) {
            true => Ok(Self(text.to_owned())),
            false => Err(not::<Self>(text)),
        }
    }
}
