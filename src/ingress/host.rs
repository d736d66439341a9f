//! Hosts of rules: a name, or `*.` and a name, of which the `*` is exactly one label.

use std::fmt;
use std::str::FromStr;

/// A host of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// Of a wildcard what stands behind the `*.`.
    name: String,
    is_wildcard: bool,
}

/// The longest name of DNS, and its longest label, in bytes (RFC 1035, section 2.3.4).
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

impl Host {
    /// Whether a certificate for this host is one for the other, too.
    pub fn covers(&self, other: &Self) -> bool {
        let of_one_label = || other.name.split_once('.').is_some_and(|(_, rest)| rest == self.name);
        self == other || self.is_wildcard && !other.is_wildcard && of_one_label()
    }

    /// Its name for nginx. The wildcards of nginx take any number of labels: this is what ingress-nginx writes instead.
    pub(super) fn server_name(&self) -> String {
        match self.is_wildcard {
            true => format!("\"~^[\\w-]+\\.{}$\"", self.name.replace('.', "\\.")),
            false => self.name.clone(),
        }
    }
}

impl FromStr for Host {
    type Err = &'static str;

    /// # Errors
    /// Why it is no host of a rule (`ValidateDNS1123Subdomain`, `ValidateWildcardDNS1123Subdomain` of Kubernetes).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if text == "*" || text.is_empty() {
            return Err("is no host: for all hosts, leave `host` out");
        }
        if name.contains('*') {
            return Err("is no host: `*` stands for the first label only, as in *.example.com");
        }
        if name.parse::<std::net::IpAddr>().is_ok() || name.starts_with('[') {
            return Err("is an address; a host is a name");
        }
        if name.contains(':') {
            return Err("is no host: the port is left out");
        }
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("is no host: it is written in small letters");
        }
        let is_label = |label: &str| {
            let is_plain = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            (1..=LONGEST_LABEL).contains(&label.len()) && is_plain && !label.starts_with('-') && !label.ends_with('-')
        };
        match text.len() <= LONGEST && name.split('.').all(is_label) {
            true => Ok(Self { name: name.to_owned(), is_wildcard }),
            false => Err("is no host: labels of small letters, digits and `-`, with dots between them"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.name)
    }
}
