//! The table that kube-proxy keeps on a node in its nftables mode: `kube-proxy`, with maps from addresses and ports to
//! chains. The facts are from kubernetes/kubernetes, `pkg/proxy/nftables/proxier.go` and `proxier_test.go` (1.34, 1.35).
//!
//! What differs from kube-proxy: a load balancer's source ranges are several conditions, not one set of the rule's own.

mod fixed;
mod names;
mod port;
#[cfg(test)]
mod tests;

use super::model::{Node, ServicePort};
use crate::lab::{Family, NftElement, NftFamily, NftTable, NftTableId, NftValue, NftVerdict, PortRange};

/// The table of a node for all ports of all services, those of other families left out.
pub fn table(node: &Node, ports: &[&ServicePort]) -> (NftTableId, NftTable) {
    let family = Family::of(node.cluster.addr());
    let id = match family {
        Family::Ipv4 => NftFamily::Ip,
        Family::Ipv6 => NftFamily::Ip6,
    };
    let mut table = NftTable { comment: Some("rules for kube-proxy".to_owned()), ..NftTable::default() };
    fixed::begin(node, family, &mut table);
    for port in ports.iter().filter(|port| Family::of(port.cluster_ip) == family) {
        port::add(node, port, &mut table);
    }
    (NftTableId::of_services(id), table)
}

/// Puts an element into a set or a map of the table.
fn insert(table: &mut NftTable, set: &str, key: Vec<NftValue>, element: NftElement) {
    if let Some(set) = table.sets.get_mut(set) {
        set.elements.insert(key, element);
    }
}

fn goto(chain: impl Into<String>) -> NftVerdict {
    NftVerdict::Goto(chain.into())
}

fn jump(chain: impl Into<String>) -> NftVerdict {
    NftVerdict::Jump(chain.into())
}

fn one_port(port: u16) -> NftValue {
    NftValue::Ports(PortRange::one(port))
}
