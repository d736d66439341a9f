//! An HTTP request over a connection that is there, what comes back, and whether that is what was promised.
//!
//! One connection carries one request (`Connection: close`), so no answer can be that of another one. HTTP itself is
//! the library's (hyper); RFC 9110 names the parts.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::exec::contains;
use crate::lab::{HttpRequest, Probe, Target};

/// So much of a body is read.
const MOST: usize = 1 << 20;

/// So much of a body's first line is shown.
const SHOWN: usize = 120;

/// The port that a `Host` header need not name.
const DEFAULT_PORT: u16 = 80;

/// An answer, the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpAnswer {
    status: u16,
    headers: HeaderMap,
    /// Its beginning, where it is long.
    body: Vec<u8>,
    is_whole: bool,
}

/// Sends a request, and waits for the end of the answer, or until enough of it is there.
///
/// # Errors
/// What came instead of an HTTP answer, in words.
pub(super) async fn ask(stream: TcpStream, request: &HttpRequest, host: &str) -> Result<HttpAnswer, String> {
    let message = Request::builder()
        .method(request.method.as_str())
        .uri(request.path.as_str())
        .header(header::HOST, host)
        .header(header::USER_AGENT, "nslab")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("nslab cannot ask for it: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| instead(&error))?;
    // Ends, with the connection, where this is left.
    let mut driving = JoinSet::new();
    driving.spawn_local(connection);
    read(sender.send_request(message).await.map_err(|error| instead(&error))?).await
}

async fn read(response: Response<Incoming>) -> Result<HttpAnswer, String> {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut is_whole) = (Vec::new(), true);
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| {
            format!("connected, but the HTTP answer (status {}) broke off: {}", head.status.as_u16(), cause(&error))
        })?;
        body.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        if body.len() > MOST {
            is_whole = false;
            body.truncate(MOST);
            break;
        }
    }
    Ok(HttpAnswer { status: head.status.as_u16(), headers: head.headers, body, is_whole })
}

/// What came instead of an answer.
fn instead(error: &hyper::Error) -> String {
    let what = match error {
        error if error.is_parse() => "what came back is not HTTP".to_owned(),
        error if error.is_incomplete_message() => "it was closed without an HTTP answer".to_owned(),
        error => format!("no HTTP answer came: {}", cause(error)),
    };
    format!("connected, but {what}")
}

/// What the kernel said, if it did.
fn cause(error: &hyper::Error) -> String {
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(error) if error.kind() == ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        Some(error) => error.to_string(),
        None => error.to_string(),
    }
}

/// The `Host` header of a request: what the check says, or what its `to` says, with the port where browsers write it.
pub(super) fn host(request: &HttpRequest, probe: &Probe, port: u16) -> String {
    if let Some(host) = &request.host {
        return host.clone();
    }
    let name = name(&probe.to);
    if port == DEFAULT_PORT { name } else { format!("{name}:{port}") }
}

/// A destination as a browser's address has it; a service of a Kubernetes namespace as its DNS does.
fn name(to: &Target) -> String {
    let label = to.label.split('%').next().unwrap_or_default();
    if to.address.is_ipv6() && label == to.address.to_string() {
        return format!("[{label}]");
    }
    if let Some(name) = &to.name {
        return name.name.trim_end_matches('.').to_owned();
    }
    match label.strip_prefix("service/").map(|service| service.split_once('/').ok_or(service)) {
        None => label.to_owned(),
        Some(Err(service)) => service.to_owned(),
        Some(Ok((namespace, service))) => format!("{service}.{namespace}"),
    }
}

/// What a check promises of the answer, in words.
pub(super) fn promise(request: &HttpRequest) -> String {
    let mut text = format!("status {}", request.status);
    if let Some(contains) = &request.contains {
        text += &format!(", with {contains:?}");
    }
    for (name, part) in &request.headers {
        text += &match part.as_str() {
            "" => format!(", header {name}"),
            part => format!(", header {name} with {part:?}"),
        };
    }
    text
}

impl HttpAnswer {
    /// Whether it is what was promised.
    ///
    /// # Errors
    /// What it is instead, in words.
    pub(super) fn judge(&self, request: &HttpRequest) -> Result<(), String> {
        if self.status != request.status {
            return Err(format!("{} instead of {}{}", self.in_short(), request.status, self.beginning()));
        }
        for (name, part) in &request.headers {
            let values: Vec<_> =
                self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            if values.is_empty() {
                return Err(format!("{}, without a header {name}", self.in_short()));
            }
            if !values.iter().any(|value| value.contains(part)) {
                return Err(format!("{}, but the header {name} is {:?}, without {part:?}", self.in_short(), values));
            }
        }
        match &request.contains {
            Some(text) if !contains(&self.body, text.as_bytes()) => {
                let place = if self.is_whole { "the body" } else { "the first MiB of the body" };
                Err(format!("{}, but {place} does not contain {text:?}{}", self.in_short(), self.beginning()))
            }
            _ => Ok(()),
        }
    }

    /// Its status, in words.
    pub(super) fn in_short(&self) -> String {
        format!("status {}", self.status)
    }

    /// How its body begins: the first line that is not empty.
    fn beginning(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        match body.lines().map(str::trim).find(|line| !line.is_empty()) {
            None => "; its body is empty".to_owned(),
            Some(line) => format!("; its body begins with {:?}", line.chars().take(SHOWN).collect::<String>()),
        }
    }
}
