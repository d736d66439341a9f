//! What is asked of one host.

use super::path::{Path, PathType, Rewrite};

/// The rules of one host, or of all hosts that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// Its rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// Who takes what no rule does; none: nobody, which is the status 404.
    pub default: Option<Backend>,
    /// The certificate of a host for which requests over HTTP are led to HTTPS.
    pub certificate: Option<String>,
}

/// A path, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The path.
    pub path: Path,
    /// How it is compared.
    pub kind: PathType,
    /// Who answers.
    pub backend: Backend,
    /// What the path is rewritten to.
    pub rewrite: Option<Rewrite>,
    /// Whether paths are regular expressions even without that.
    pub use_regex: bool,
    /// Whether requests over HTTP are led to HTTPS, where the host has a certificate.
    pub ssl_redirect: bool,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    /// The service's Kubernetes namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// The number or the name of its port.
    pub port: String,
}

impl Site {
    /// Whether all paths of the host are regular expressions: one rule that needs that makes it so for all of them.
    pub fn has_expressions(&self) -> bool {
        self.rules.iter().any(|rule| rule.rewrite.is_some() || rule.use_regex)
    }
}

impl Rule {
    /// What it is found by: two rules of a host with the same are for the same requests.
    pub fn key(&self) -> (bool, String) {
        match self.kind {
            PathType::Exact => (true, self.path.as_str().to_owned()),
            PathType::Prefix => (false, self.path.with_slash()),
            PathType::ImplementationSpecific => (false, self.path.as_str().to_owned()),
        }
    }
}

impl Backend {
    /// Its name in the configuration. None of its parts has a dot.
    pub(super) fn upstream(&self) -> String {
        format!("{}.{}.{}", self.namespace, self.service, self.port)
    }
}
