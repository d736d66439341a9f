//! The names of kube-proxy's chains: a word, and for those of a service a hash.

use std::net::SocketAddr;

use sha2::{Digest, Sha256};

use super::model::ServicePort;
use crate::lab::ChainName;

/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// How many letters of a hash are in the name of a chain of iptables.
const LETTERS: usize = 16;

/// The first characters of the SHA-256 of a text in base32, at most 16.
pub(super) fn hash(text: &str, letters: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let bits = digest.iter().take(10).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let letter = |at: u32| BASE32.get((bits >> (75 - 5 * at) & 31) as usize).copied().unwrap_or_default();
    (0..16).take(letters).map(|at| char::from(letter(at))).collect()
}

/// A chain's name, which always fits.
pub(super) fn chain(name: &str) -> ChainName {
    ChainName::of_services(name)
}

/// The names of the chains of a port.
pub(super) struct Names {
    /// Its endpoints.
    pub cluster: ChainName,
    /// Those of the node.
    pub local: ChainName,
    /// Packets from outside.
    pub external: ChainName,
    /// Who may use the load balancer's address.
    pub firewall: ChainName,
    base: String,
}

impl Names {
    pub(super) fn of(port: &ServicePort) -> Self {
        let base = format!("{}{}", port.full_name(), port.protocol);
        let hash = hash(&base, LETTERS);
        let of = |kind: &str| chain(&format!("{kind}-{hash}"));
        Self { cluster: of("SVC"), local: of("SVL"), external: of("EXT"), firewall: of("FW"), base }
    }

    /// The chain of an endpoint.
    pub(super) fn endpoint(&self, endpoint: &SocketAddr) -> ChainName {
        chain(&format!("SEP-{}", hash(&format!("{}{endpoint}", self.base), LETTERS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kube_proxy() {
        for (text, expected) in [
            ("ns4/svc4:p80tcp", "4SW47YFZTEDKD3PK"),
            ("default/kubernetes:httpstcp", "NPX46M4PTMTKRN6Y"),
            ("kube-system/kube-dns:dnsudp", "TCOU7JCQXEZGVUNU"),
            ("default/nginxtcp", "2CMXP7HKUVJN7L6M"),
            ("default/web:httptcp", "CDGGSHYLG3RE2FKL"),
            ("default/web:httptcp10.244.1.2:8080", "UIQK3OSOSTRHRPBX"),
        ] {
            assert_eq!(hash(text, LETTERS), expected, "{text}");
        }
    }
}
