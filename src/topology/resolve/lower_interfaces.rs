//! Virtual interfaces with parents: which go together, and what one has from its parent.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::net::{ResolvedInterface, ResolvedNamespace};
use super::place::{Place, Placed};
use crate::lab::{MacvlanMode, VirtualInterface, VirtualKind};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, VirtualInterface as Written};

/// What there can be one of.
#[derive(PartialEq, Eq, Hash)]
enum Single {
    /// A VLAN of an interface.
    Vlan(Option<Place>, u16),
    /// The VRF of a namespace with a routing table.
    Vrf(usize, u32),
    /// A tunnel of a namespace between two addresses.
    Ipip(usize, Ipv4Addr, Option<Ipv4Addr>),
    /// The same of GRE, with a key.
    Gre(usize, Ipv4Addr, Ipv4Addr, Option<u32>),
}

/// Why an interface cannot be the parent.
pub fn unfit(namespace: &ResolvedNamespace<'_>, parent: &ResolvedInterface, written: Written<'_>) -> Option<String> {
    let (name, called) = (&parent.name, written.called());
    let kind = parent.model.virtual_interface().map(VirtualInterface::kind);
    if name.is_lo() {
        return Some(format!("{called} cannot have the loopback as its parent"));
    }
    if kind.is_some_and(|kind| !kind.is_ethernet()) {
        return Some(format!("{called} cannot have `{name}` as its parent: an IP tunnel carries no Ethernet frames"));
    }
    if kind == Some(VirtualKind::Vrf) {
        return Some(format!("{called} cannot have the vrf `{name}` as its parent: name one of its ports"));
    }
    if matches!(written, Written::Vlan(_)) {
        return None;
    }
    if matches!(kind, Some(VirtualKind::Macvlan | VirtualKind::Ipvlan)) {
        let kind = parent.model.kind_name();
        return Some(format!("{called} cannot have the {kind} `{name}` as its parent: name the parent of `{name}`"));
    }
    // A parent and a port each give away all frames that arrive there (netdev_rx_handler_register).
    let bridge = namespace.bridge_of(parent)?;
    Some(format!("{called} cannot have `{name}` as its parent, which is a port of bridge `{bridge}`: name the bridge"))
}

/// Checks devices that share a parent or a namespace against each other, and each against what it takes over.
pub fn check(all: &[Placed<'_>], found: &mut Collector<'_>) {
    let mut singles: HashMap<Single, Span> = HashMap::new();
    let mut sharing: HashMap<Place, (Written<'_>, Span)> = HashMap::new();
    for placed in all {
        let span = placed.name.span;
        if let Some(first) = single(placed).and_then(|single| singles.insert(single, span)) {
            let same = match placed.written {
                Written::Vlan(_) => "the same id and parent",
                Written::Vrf(_) => "the same table",
                Written::Gre(_) => "the same ends and key",
                _ => "the same ends",
            };
            let message = format!("`{}` has {same} as another one", placed.name.value);
            found.add(Diagnostic::new(Code::IdentityTwice, span, message).also(first, "the other"));
        }
        if let (Some(parent), Written::Macvlan(_) | Written::Ipvlan(_)) = (placed.under, placed.written) {
            let (first, at) = *sharing.entry(parent).or_insert((placed.written, span));
            let goes_together = first.called() == placed.written.called();
            if at != span && (!goes_together || is_alone(first) || is_alone(placed.written)) {
                let message = format!("`{}` cannot share its parent with the other one on it", placed.name.value);
                let help = "macvlans and ipvlans cannot share a parent, and `passthru` needs a parent of its own";
                found.add(
                    Diagnostic::new(Code::SharedParent, span, message).help(help.to_owned()).also(at, "the other"),
                );
            }
        }
        taken_over(placed.written, found);
    }
}

fn single(placed: &Placed<'_>) -> Option<Single> {
    match placed.written {
        Written::Vlan(vlan) => Some(Single::Vlan(placed.under, vlan.id.value.0)),
        Written::Vrf(vrf) => Some(Single::Vrf(placed.at.0, vrf.table.value.0)),
        Written::Ipip(ipip) => {
            let remote = ipip.remote.as_ref().map(|remote| remote.value);
            Some(Single::Ipip(placed.at.0, ipip.local.value, remote))
        }
        Written::Gre(schema::Gre { local, remote, key, .. }) => {
            Some(Single::Gre(placed.at.0, local.value, remote.value, key.as_ref().map(|key| key.value)))
        }
        _ => None,
    }
}

/// Whether it has its parent for itself.
fn is_alone(written: Written<'_>) -> bool {
    match written {
        Written::Macvlan(macvlan) => macvlan.mode.as_ref().is_some_and(|mode| mode.value == MacvlanMode::Passthru),
        _ => false,
    }
}

/// What a virtual interface cannot have of its own.
fn taken_over(written: Written<'_>, found: &mut Collector<'_>) {
    let common = written.common();
    let has_no_mac = matches!(written, Written::Ipvlan(_) | Written::Ipip(_) | Written::Gre(_) | Written::Wireguard(_))
        || is_alone(written);
    if let Some(mac) = common.mac.as_ref().filter(|_| has_no_mac) {
        let message = match written {
            Written::Ipip(_) | Written::Gre(_) | Written::Wireguard(_) => "an IP tunnel has no MAC address".to_owned(),
            _ => format!("{} like this has the MAC address of its parent", written.called()),
        };
        found.add(Diagnostic::new(Code::KeyNotAllowed, mac.span, message));
    }
    let ipv6 = common.addresses.iter().find(|address| address.value.is_ipv6());
    if let (Written::Ipip(_), Some(address)) = (written, ipv6) {
        found.add(Diagnostic::new(Code::Ipv4Only, address.span, "an ipip tunnel carries IPv4 only"));
    }
}
