//! What services mean on a node: the chains and rules that kube-proxy writes there.
//!
//! `model` is what the rules depend on. For the iptables mode, `names` makes the chains' names, `fixed` has what is the
//! same on every node, `port` what one port of a service adds to the `rules`; `nftables` is the other mode. Pure functions on services whose addresses and endpoints are
//! known: nothing here knows files, checks or the kernel. The facts are from kubernetes/kubernetes,
//! `pkg/proxy/iptables/proxier.go` (1.31 to 1.35).

mod fixed;
mod model;
mod names;
mod nftables;
mod port;
mod rules;
#[cfg(test)]
mod tests;

pub use model::{Node, ServicePort};
pub use nftables::table;
pub use rules::Chains;
use rules::Rules;

use crate::lab::Family;

/// The chains of a node in the iptables mode, for all ports of all services, those of other families left out. The built-in chains have what
/// leads to the others.
pub fn chains(node: &Node, ports: &[&ServicePort]) -> Chains {
    let mut rules = Rules { family: Family::of(node.cluster.addr()), chains: Chains::new() };
    fixed::begin(&mut rules);
    let mut ports: Vec<&ServicePort> =
        ports.iter().copied().filter(|port| Family::of(port.cluster_ip) == rules.family).collect();
    ports.sort_by_cached_key(|port| (port.full_name(), port.protocol));
    for port in ports {
        port::add(node, port, &mut rules);
    }
    fixed::end(&mut rules);
    rules.chains
}
