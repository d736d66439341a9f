//! Ends of VXLANs: whose address their packets come from, and where frames are sent.

use std::collections::HashMap;
use std::net::IpAddr;

use super::net::{ResolvedInterface, ResolvedNamespace};
use super::place::Place;
use crate::lab::{IfName, VXLAN_PORT, Vxlan};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Spanned};

/// What VXLAN puts around a packet: Ethernet (14), VXLAN (8), UDP (8) and IP (20 or 40) headers.
pub fn overhead(written: &schema::Vxlan) -> u32 {
    if written.local.value.is_ipv6() { 70 } else { 50 }
}

/// The end as it is written.
pub fn vxlan(written: &schema::Vxlan) -> Vxlan {
    Vxlan {
        id: written.id.value.0,
        local: Some(written.local.value),
        port: written.port.as_ref().map_or(VXLAN_PORT, |port| port.value),
        dev: written.dev.as_ref().map(|dev| dev.value.clone()),
        learning: written.learning.as_ref().is_none_or(|learning| learning.value),
    }
}

/// Checks the ends of a namespace against each other.
pub fn check(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) {
    // By their numbers: each is compared with few others.
    let mut ends: HashMap<u32, Vec<(Vxlan, Span)>> = HashMap::new();
    for (_, written) in &namespace.written.vxlans.entries {
        let vxlan = vxlan(written);
        let of_number = ends.entry(vxlan.id).or_default();
        let first = of_number.iter().find(|(other, _)| other.slot() == vxlan.slot());
        if let Some((_, first)) = first {
            let message =
                format!("{} already has an interface of VXLAN {} on port {}", namespace.name, vxlan.id, vxlan.port);
            let help = "packets for both would arrive at the same port with the same number: change `id` or `port`";
            found.add(
                Diagnostic::new(Code::IdentityTwice, written.id.span, message)
                    .help(help.to_owned())
                    .also(*first, "here"),
            );
        }
        if let Some(dev) = &written.dev
            && namespace.interface(&dev.value).is_some_and(|dev| end(dev).is_some())
        {
            let help = "name the interface that leads to the other VTEPs".to_owned();
            found.add(
                Diagnostic::new(Code::BadParent, dev.span, format!("`{}` is a vxlan itself", dev.value)).help(help),
            );
        }
        if first.is_none() {
            of_number.push((vxlan, written.id.span));
        }
    }
}

/// The first interface with each address of a namespace.
pub type Holders<'s> = HashMap<IpAddr, &'s IfName>;

pub fn holders<'s>(namespace: &'s ResolvedNamespace<'_>) -> Holders<'s> {
    let mut holders = HashMap::new();
    for (interface, own) in namespace.addresses() {
        holders.entry(own.value.ip()).or_insert(&interface.name);
    }
    holders
}

/// The interface that has a tunnel's local address; none where that is the loopback, or the machine's own.
pub fn holder(
    namespace: &ResolvedNamespace<'_>,
    holders: &Holders<'_>,
    local: &Spanned<IpAddr>,
    found: &mut Collector<'_>,
) -> Option<IfName> {
    let holder = holders.get(&local.value).map(|&name| name.clone());
    // The machine may have addresses that the file does not speak of.
    if holder.is_none() && namespace.written.whole && !namespace.name.is_host() {
        let own = namespace.addresses().map(|(_, own)| own.value.ip().to_string());
        let help = found.did_you_mean(&local.value.to_string(), own);
        let help = help.unwrap_or_else(|| "add it to the interface that leads to the other VTEPs".to_owned());
        let message = format!("{} is not an address of {}", local.value, namespace.name);
        found.add(Diagnostic::new(Code::NoSuchAddress, local.span, message).help(help));
    }
    holder.filter(|name| !name.is_lo())
}

fn end(interface: &ResolvedInterface) -> Option<&Vxlan> {
    interface.model.virtual_interface()?.vxlan()
}

/// Ends that an end sends to: of the same number and port, with the address. None where several have it.
pub struct Ends(HashMap<(u32, u16, IpAddr), Option<usize>>);

impl Ends {
    /// All ends of a lab; `number` gives every interface its own, by its namespace and its place there.
    pub fn new(namespaces: &[ResolvedNamespace<'_>], number: impl Fn(Place) -> usize) -> Self {
        let mut ends = HashMap::new();
        for (at, namespace) in namespaces.iter().enumerate() {
            for (place, interface) in namespace.interfaces.iter().enumerate() {
                if let Some(Vxlan { id, port, local: Some(local), .. }) = end(interface) {
                    let one = Some(number((at, place)));
                    ends.entry((*id, *port, *local)).and_modify(|one| *one = None).or_insert(one);
                }
            }
        }
        Self(ends)
    }

    /// The ends that an end sends to.
    pub fn of<'s>(&'s self, written: &'s schema::Vxlan) -> impl Iterator<Item = usize> + 's {
        let Vxlan { id, port, .. } = vxlan(written);
        written.fdb.iter().filter_map(move |entry| *self.0.get(&(id, port, entry.to.value))?)
    }
}
