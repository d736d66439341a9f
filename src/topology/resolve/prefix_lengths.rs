//! Warnings about interfaces of one segment that disagree on how large its subnet is: one of them sends packets for
//! neighbours to a router, or asks for neighbours that are elsewhere.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use ipnet::IpNet;

use super::net::{Net, ResolvedInterface};
use crate::lab::{Address, IfName, Namespace, NsName, is_global};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};

/// The first interface of a segment with a subnet.
#[derive(Clone, Copy)]
struct Use<'n> {
    subnet: IpNet,
    interface: (&'n NsName, &'n IfName),
    address: Address,
    span: Span,
}

pub fn check(net: &Net<'_>, namespaces: &IndexMap<NsName, Namespace>, found: &mut Collector<'_>) {
    let mut segments: HashMap<usize, HashMap<IpNet, Use<'_>>> = HashMap::new();
    // Where a router answers for all others, hosts need not know how a subnet is divided (RFC 1027).
    let mut answered: HashSet<usize> = HashSet::new();
    for namespace in &net.namespaces {
        let model = namespaces.get(&namespace.name);
        let answers = |own: &&ResolvedInterface| model.is_some_and(|model| model.answers_for_others(&own.name));
        let answering = namespace.interfaces.iter().filter(answers);
        answered.extend(answering.map(|interface| interface.broadcast_domain));
        for (interface, own) in namespace.addresses().filter(|(_, own)| is_global(own.value.ip())) {
            // An address alone has no subnet, and that of a peer is a link of two.
            for subnet in own.value.connected().filter(|_| own.value.peer().is_none()) {
                let interface_name = (&namespace.name, &interface.name);
                let this = Use { subnet, interface: interface_name, address: own.value, span: own.span };
                segments.entry(interface.broadcast_domain).or_default().entry(subnet).or_insert(this);
            }
        }
    }
    for (_, subnets) in segments.into_iter().filter(|(segment, _)| !answered.contains(segment)) {
        disagreements(subnets.into_values().collect(), found);
    }
}

/// Reports each subnet that lies in a larger one of the segment.
fn disagreements(mut subnets: Vec<Use<'_>>, found: &mut Collector<'_>) {
    // Larger subnets first, so that those around one are the ones still open.
    subnets.sort_by_key(|one| (one.subnet.network(), one.subnet.prefix_len()));
    let mut open: Vec<Use<'_>> = Vec::new();
    for this in subnets {
        open.retain(|around| around.subnet.contains(&this.subnet));
        if let Some(other) = open.iter().find(|around| around.interface != this.interface) {
            // The one that comes later in the file is shown with what is before it.
            let (first, second) = if other.span.start < this.span.start { (other, &this) } else { (&this, other) };
            let name = |(ns, interface): (&NsName, &IfName)| format!("{ns}/{interface}");
            let message = format!(
                "{} is on one segment with {}, and they disagree on its subnet: {} and {}",
                name(second.interface),
                name(first.interface),
                second.address,
                first.address
            );
            let help = "give both the same prefix length, or different subnets".to_owned();
            let warning = Diagnostic::warning(Code::PrefixLengths, second.span, message).help(help);
            found.add(warning.also(first.span, "the other"));
        }
        open.push(this);
    }
}
