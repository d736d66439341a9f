//! What a check asks of the program at the other end, and what that has to answer.

use serde::Serialize;

/// What a check asks of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// An HTTP request, over the connection of a TCP probe.
    Http(HttpRequest),
}

/// An HTTP request, and what the answer has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpRequest {
    /// `GET`.
    pub method: String,
    /// The `Host` header; none: what the file calls the destination.
    pub host: Option<String>,
    /// The path, with its query: `/index.html?page=2`.
    pub path: String,
    /// The status that the answer must have.
    pub status: u16,
    /// A text that the body must contain.
    pub contains: Option<String>,
    /// Headers, by name, with a text that a value of each must contain.
    pub headers: Vec<(String, String)>,
}
