//! Which namespaces have an address, according to the file: messages show both.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::lab::{Lab, NsName};

/// How many namespaces with one address are named.
const NAMED: usize = 3;

/// The namespaces that have each address.
#[derive(Debug, Default)]
pub(super) struct Owners(HashMap<IpAddr, Vec<NsName>>);

impl Owners {
    /// Those of a lab.
    pub(super) fn of(lab: &Lab) -> Self {
        let mut owners: HashMap<IpAddr, Vec<NsName>> = HashMap::new();
        for (ns, namespace) in &lab.namespaces {
            for address in namespace.interfaces.values().flat_map(|interface| &interface.addresses) {
                let of_this = owners.entry(address.ip()).or_default();
                if of_this.last() != Some(ns) {
                    of_this.push(ns.clone());
                }
            }
        }
        Self(owners)
    }

    /// Whether a namespace has an address, and is the only one.
    pub(super) fn has(&self, ns: &NsName, address: IpAddr) -> bool {
        self.0.get(&address).is_some_and(|all| all.iter().eq([ns]))
    }

    /// An address with the namespaces that have it: `10.0.0.2 (blue)`, `10.0.0.2 (blue or green)`.
    pub(super) fn shown(&self, address: IpAddr) -> String {
        let all = self.0.get(&address).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = all.iter().take(NAMED).map(NsName::as_str).collect();
        match all.len().saturating_sub(NAMED) {
            _ if all.is_empty() => address.to_string(),
            0 => format!("{address} ({})", names.join(" or ")),
            more => format!("{address} ({} or {more} more)", names.join(", ")),
        }
    }
}
