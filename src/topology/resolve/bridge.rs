//! Bridges as the kernel is to have them.

use super::bridge_port::Masters;
use super::mtu::plausible_mtu;
use super::net::ResolvedInterface;
use super::vlans;
use crate::lab::{BridgeOptions, IfName, Interface, InterfaceKind};
use crate::topology::diagnostics::Collector;
use crate::topology::schema::{Bridge, Spanned};

/// The bridge; its ports are elsewhere.
pub fn bridge(
    name: &Spanned<IfName>,
    written: &Bridge,
    masters: &Masters,
    found: &mut Collector<'_>,
) -> ResolvedInterface {
    let default = BridgeOptions::default();
    let options = BridgeOptions {
        stp: Spanned::is_on(written.stp.as_ref(), default.stp),
        vlan_filtering: vlans::filtering(written, found),
        forward_delay: written.forward_delay.as_ref().map(|delay| delay.value.0).or(default.forward_delay),
        ageing_time: written.ageing_time.as_ref().map(|time| time.value.0).or(default.ageing_time),
        mcast_snooping: Spanned::is_on(written.mcast_snooping.as_ref(), default.mcast_snooping),
        group_fwd_mask: written.group_fwd_mask.as_ref().map_or(default.group_fwd_mask, |mask| mask.value.0),
        nf_call_iptables: Spanned::is_on(written.nf_call_iptables.as_ref(), default.nf_call_iptables),
    };
    let addresses = written.addresses.clone();
    let interface = Interface {
        up: Spanned::is_on(written.up.as_ref(), true),
        mac: written.mac.as_ref().map(|mac| mac.value),
        mtu: plausible_mtu(written.mtu.as_ref(), &written.addresses, found),
        master: masters.get(&name.value).map(|attachment| attachment.master.clone()),
        vlans: vlans::of(written.vlan.as_ref(), written.vlans.as_ref(), found),
        addresses: addresses.iter().map(|address| address.value).collect(),
        ..Interface::new(InterfaceKind::Bridge(options))
    };
    ResolvedInterface { name: name.value.clone(), span: name.span, model: interface, addresses, broadcast_domain: 0 }
}
