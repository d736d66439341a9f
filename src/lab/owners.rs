//! Which namespaces have an address, according to the file: messages show both.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{FirewallRule, FirewallTarget, Lab, Namespace, NftStatement, NsName};

/// How many namespaces with one address are named.
const NAMED: usize = 3;

/// The namespaces that have each address.
#[derive(Debug, Default)]
pub struct Owners {
    of: HashMap<IpAddr, Vec<NsName>>,
    /// Namespaces with several ways out, that translate no sources: their packets leave with one address or another.
    several_ways: HashSet<NsName>,
}

impl Owners {
    /// Those of a lab.
    pub fn of(lab: &Lab) -> Self {
        let mut owners: HashMap<IpAddr, Vec<NsName>> = HashMap::new();
        for (ns, namespace) in &lab.namespaces {
            for address in namespace.interfaces.values().flat_map(|interface| &interface.addresses) {
                let of_this = owners.entry(address.ip()).or_default();
                if of_this.last() != Some(ns) {
                    of_this.push(ns.clone());
                }
            }
        }
        let several_ways = lab.namespaces.iter().filter(|(_, namespace)| has_several_ways(namespace));
        Self { of: owners, several_ways: several_ways.map(|(ns, _)| ns.clone()).collect() }
    }

    /// The first namespace that has an address.
    pub fn first(&self, address: IpAddr) -> Option<&NsName> {
        self.of.get(&address)?.first()
    }

    /// Whether a namespace may send from an address by one of several ways out, and is the only one that has it.
    pub fn may_leave_as(&self, ns: &NsName, address: IpAddr) -> bool {
        self.several_ways.contains(ns) && self.of.get(&address).is_some_and(|all| all.iter().eq([ns]))
    }

    /// Whether a namespace has an address; an address of one machine alone counts as its own.
    pub fn has(&self, ns: &NsName, address: IpAddr) -> bool {
        address.is_loopback() || self.of.get(&address).is_some_and(|all| all.contains(ns))
    }

    /// An address with the namespaces that have it: `10.0.0.2 (blue)`, `10.0.0.2 (blue or green)`.
    pub fn shown(&self, address: IpAddr) -> String {
        let all = self.of.get(&address).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = all.iter().take(NAMED).map(NsName::as_str).collect();
        match all.len().saturating_sub(NAMED) {
            _ if all.is_empty() => address.to_string(),
            0 => format!("{address} ({})", names.join(" or ")),
            more => format!("{address} ({} or {more} more)", names.join(", ")),
        }
    }
}

fn has_several_ways(namespace: &Namespace) -> bool {
    let translates = |rule: &FirewallRule| rule.target.masquerades() || matches!(rule.target, FirewallTarget::Snat(_));
    let by_nft = |statement: &NftStatement| matches!(statement, NftStatement::Masquerade { .. });
    let chains = namespace.nft.values().flat_map(|table| table.chains.values());
    let mut statements = chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.statements);
    namespace.routes.iter().any(|route| !route.nexthops.is_empty())
        && !namespace.firewall.chains.values().flatten().any(translates)
        && !statements.any(by_nft)
}
