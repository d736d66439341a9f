//! VLANs of bridges and their ports, as they are written.

use crate::lab::{Tagging, VlanRange, Vlans};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Bridge, Spanned, VlanId, VlanIds};

/// The VLANs of a port, or of a bridge's own interface; none where they are the kernel's default.
pub fn of(
    vlan: Option<&Spanned<VlanId>>,
    tagged: Option<&Vec<Spanned<VlanIds>>>,
    found: &mut Collector<'_>,
) -> Option<Vlans> {
    if vlan.is_none() && tagged.is_none() {
        return None;
    }
    let mut ranges: Vec<VlanRange> = vlan.iter().map(|vlan| VlanRange::one(vlan.value.0, Tagging::ACCESS)).collect();
    for Spanned { value: VlanIds { first, last }, span } in tagged.into_iter().flatten() {
        match vlan.filter(|vlan| (first..=last).contains(&&vlan.value.0)) {
            Some(vlan) => {
                let message = format!("VLAN {} is the one without a tag, and cannot have one as well", vlan.value.0);
                found.add(Diagnostic::new(Code::VlanTwice, *span, message).also(vlan.span, "without a tag"));
            }
            None => ranges.push(VlanRange { first: *first, last: *last, tagging: Tagging::TAGGED }),
        }
    }
    Some(Vlans::new(ranges)).filter(|vlans| *vlans != Vlans::default())
}

/// Whether a bridge keeps VLANs apart: where some are written, it does.
pub fn filtering(bridge: &Bridge, found: &mut Collector<'_>) -> bool {
    let of_ports = bridge.ports.0.iter().any(|(_, port)| port.vlan.is_some() || port.vlans.is_some());
    let written = of_ports || bridge.vlan.is_some() || bridge.vlans.is_some();
    match &bridge.vlan_filtering {
        Some(Spanned { value: false, span }) if written => {
            let help = "remove this line, or the VLANs of the bridge and its ports".to_owned();
            found.add(
                Diagnostic::new(Code::ContradictoryKeys, *span, "a bridge with VLANs needs `vlan_filtering`")
                    .help(help),
            );
            false
        }
        Some(filtering) => filtering.value,
        None => written,
    }
}
