//! The names of kube-proxy's chains and sets for a port: a word, a hash, and what has been hashed.

use std::net::SocketAddr;

use super::super::model::ServicePort;
use super::super::names::hash;

/// The most characters behind the word (`chainNameBaseLengthMax`).
const LONGEST: usize = 240;
/// How many letters of the hash are used.
const LETTERS: usize = 8;

/// The names of the chains of a port.
pub(super) struct Names {
    /// All endpoints.
    pub cluster: String,
    /// Those of the node.
    pub local: String,
    /// Packets from outside.
    pub external: String,
    /// Who may use the load balancer's address.
    pub firewall: String,
    base: String,
}

impl Names {
    pub(super) fn of(port: &ServicePort) -> Self {
        let base = format!("{}/{}/{}", port.service, port.protocol, port.name.as_deref().unwrap_or_default());
        let of = |kind: &str| format!("{kind}-{}", hashed(&base));
        Self { cluster: of("service"), local: of("local"), external: of("external"), firewall: of("firewall"), base }
    }

    /// The chain of an endpoint.
    pub(super) fn endpoint(&self, endpoint: &SocketAddr) -> String {
        format!("endpoint-{}", self.of_endpoint(endpoint))
    }

    /// The set of the clients of an endpoint.
    pub(super) fn affinity(&self, endpoint: &SocketAddr) -> String {
        format!("affinity-{}", self.of_endpoint(endpoint))
    }

    fn of_endpoint(&self, endpoint: &SocketAddr) -> String {
        // A colon is no letter of a name.
        let address = endpoint.ip().to_string().replace(':', ".");
        hashed(&format!("{}__{address}/{}", self.base, endpoint.port()))
    }
}

/// A name behind its hash; one that is too long ends with dots.
fn hashed(name: &str) -> String {
    let mut name = format!("{}-{name}", hash(name, LETTERS));
    if name.len() > LONGEST {
        name.truncate(LONGEST - 3);
        name.push_str("...");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kube_proxy() {
        for (base, expected) in [
            ("ns1/svc1/tcp/p80", "ULMVA6XW-ns1/svc1/tcp/p80"),
            ("ns2/svc2/tcp/p80", "42NFTM6N-ns2/svc2/tcp/p80"),
            ("ns5/svc5/tcp/p80", "HVFWP5L3-ns5/svc5/tcp/p80"),
            ("ns1/svc1/tcp/p80__10.180.0.1/80", "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"),
            ("ns5/svc5/tcp/p80__10.180.0.3/80", "GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80"),
            ("default/web/tcp/http", "SUSTUHLJ-default/web/tcp/http"),
        ] {
            assert_eq!(hashed(base), expected);
        }
        let long = hashed(&"a".repeat(300));
        assert!(long.len() == LONGEST && long.ends_with("a..."), "{long}");
    }
}
