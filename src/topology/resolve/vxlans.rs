//! Ends of VXLANs: whose address their packets come from, how large these may be, and where frames are sent.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use super::interfaces::{blank, nets, plausible_mtu};
use super::net::{Interface, Space};
use crate::lab::{Device, Fdb, IfName, Link, LinkKind, Mac, VXLAN_PORT, Vxlan, vxlan_overhead};
use crate::topology::fault::{Fault, Found, Span};
use crate::topology::written::{self, At};

/// MTU of an Ethernet interface that nobody has changed.
const ETHERNET_MTU: u32 = 1500;

/// The end as it is written; its MTU is known once all interfaces are.
pub fn interface(name: &At<IfName>, written: &written::Vxlan, found: &mut Found<'_>) -> Interface {
    let on = |flag: &Option<At<bool>>| flag.as_ref().is_none_or(|flag| flag.value);
    let vxlan = Vxlan {
        id: written.id.value.0,
        local: Some(written.local.value),
        port: written.port.as_ref().map_or(VXLAN_PORT, |port| port.value),
        dev: written.dev.as_ref().map(|dev| dev.value.clone()),
        learning: on(&written.learning),
        remote: None,
    };
    let addresses = nets(&written.addresses);
    let link = Link {
        up: on(&written.up),
        mac: written.mac.as_ref().map(|mac| mac.value),
        mtu: plausible_mtu(written.mtu.as_ref(), &written.addresses, found),
        addresses: addresses.iter().map(|address| address.value).collect(),
        ..blank(LinkKind::Device(Device::Vxlan(vxlan)))
    };
    Interface { name: name.value.clone(), span: name.span, link, addresses, segment: 0 }
}

/// Checks every end of a namespace against its other interfaces, and gives each its MTU.
pub fn finish(space: &mut Space<'_>, found: &mut Found<'_>) {
    let mut ids: Vec<(Vxlan, Span)> = Vec::new();
    for (name, written) in &space.written.vxlans.entries {
        let Some(vxlan) = space.interface(&name.value).and_then(vxlan) else { continue };
        let vxlan = vxlan.clone();
        if let Some((_, first)) = ids.iter().find(|(other, _)| other.collides(&vxlan)) {
            let message = format!("{} has an end of VXLAN {} on port {} already", space.name, vxlan.id, vxlan.port);
            let help = "packets for both would arrive at the same port with the same number: change `id` or `port`";
            found.add(Fault::new(written.id.span, message).help(help.to_owned()).also(*first, "here"));
        }
        ids.push((vxlan.clone(), written.id.span));
        let underlay = underlay(space, &vxlan, written, found);
        let room = underlay_mtu(space, underlay.as_ref()).saturating_sub(vxlan_overhead(written.local.value));
        if let (Some(mtu), Some(dev)) = (&written.mtu, &vxlan.dev)
            && mtu.value > room
        {
            let message = format!("`{dev}` has no room for packets of {} bytes in a VXLAN", mtu.value);
            found
                .add(Fault::new(mtu.span, message).help(format!("write {room} at most, or give `{dev}` a larger MTU")));
        }
        if let Some(end) = space.interface_mut(&name.value) {
            end.link.mtu.get_or_insert(room);
        }
    }
}

/// The interface that the packets leave through, as far as the file says so.
fn underlay(space: &Space<'_>, vxlan: &Vxlan, written: &written::Vxlan, found: &mut Found<'_>) -> Option<IfName> {
    let local = written.local.value;
    let holder = space.addresses().find(|(_, own)| own.value.addr() == local).map(|(interface, _)| &interface.name);
    // The machine may have addresses that the file does not speak of.
    if holder.is_none() && space.written.whole && !space.name.is_host() {
        let own = space.addresses().map(|(_, own)| own.value.addr().to_string());
        let help = found.did_you_mean(&local.to_string(), own);
        let help = help.unwrap_or_else(|| "give it to the interface that leads to the other ends".to_owned());
        let message = format!("{local} is no address of {}", space.name);
        found.add(Fault::new(written.local.span, message).help(help));
    }
    if let Some(dev) = &written.dev {
        space.find(dev, false, found);
        if space.interface(&dev.value).is_some_and(|dev| self::vxlan(dev).is_some()) {
            let help = "name the interface that leads to the other ends".to_owned();
            found.add(Fault::new(dev.span, format!("`{}` is a vxlan itself", dev.value)).help(help));
        }
    }
    vxlan.dev.as_ref().or(holder).filter(|name| !name.is_lo()).cloned()
}

/// The MTU of an interface: what the file says; a bridge's is that of its smallest port.
fn underlay_mtu(space: &Space<'_>, name: Option<&IfName>) -> u32 {
    let Some(interface) = name.and_then(|name| space.interface(name)) else { return ETHERNET_MTU };
    let ports = space.interfaces.iter().filter(|port| port.link.master.as_ref() == Some(&interface.name));
    let smallest = ports.filter_map(|port| port.link.mtu).min().map(|mtu| mtu.min(ETHERNET_MTU));
    interface.link.mtu.or(smallest).unwrap_or(ETHERNET_MTU)
}

fn vxlan(interface: &Interface) -> Option<&Vxlan> {
    match interface.link.device()? {
        Device::Vxlan(vxlan) => Some(vxlan),
    }
}

/// The forwarding entries of all ends of a namespace.
pub fn fdb(space: &Space<'_>, found: &mut Found<'_>) -> BTreeSet<Fdb> {
    let mut entries = BTreeSet::new();
    for (name, written) in &space.written.vxlans.entries {
        let mut seen: HashMap<(Mac, Option<IpAddr>), Span> = HashMap::new();
        for entry in &written.fdb {
            let mac = entry.mac.as_ref().map_or(Mac::ANY, |mac| mac.value.0);
            let to = entry.to.value;
            if let Some(fault) = unusable(entry, written.local.value) {
                found.add(fault);
            }
            // The kernel keeps several ends for what is flooded, and one for a hardware address.
            let key = (mac, (mac == Mac::ANY).then_some(to));
            if let Some(first) = seen.insert(key, entry.to.span) {
                let what = if mac == Mac::ANY { to.to_string() } else { mac.to_string() };
                found.add(Fault::new(entry.to.span, format!("{what} has an entry already")).also(first, "here"));
            }
            entries.insert(Fdb { dev: name.value.clone(), mac, to: Some(to) });
        }
    }
    entries
}

/// What is wrong with the other end's address.
fn unusable(entry: &written::Forward, local: IpAddr) -> Option<Fault> {
    let to = entry.to.value;
    let (message, help) = if to.is_ipv6() != local.is_ipv6() {
        (format!("{to} and the local address {local} are of different families"), None)
    } else if to == local {
        (format!("{to} is this end's own address"), Some("write that of another end".to_owned()))
    } else if to.is_multicast() || to.is_unspecified() {
        let help = "name each of the other ends in an entry of its own".to_owned();
        (format!("{to} is not the address of an end"), Some(help))
    } else {
        return None;
    };
    Some(Fault::new(entry.to.span, message).help(help))
}

/// Ends that an end sends to: of the same number and port, with the address. None where several have it.
pub struct Ends(HashMap<(u32, u16, IpAddr), Option<usize>>);

impl Ends {
    /// All ends of a lab; `number` gives every interface its own, by its namespace and its place there.
    pub fn new(spaces: &[Space<'_>], number: impl Fn(usize, usize) -> usize) -> Self {
        let mut ends = HashMap::new();
        for (at, space) in spaces.iter().enumerate() {
            for (place, interface) in space.interfaces.iter().enumerate() {
                if let Some(Vxlan { id, port, local: Some(local), .. }) = vxlan(interface) {
                    let one = Some(number(at, place));
                    ends.entry((*id, *port, *local)).and_modify(|one| *one = None).or_insert(one);
                }
            }
        }
        Self(ends)
    }

    /// The ends that an interface of a namespace sends to.
    pub fn of<'s>(&'s self, space: &'s Space<'_>, interface: &Interface) -> impl Iterator<Item = usize> + 's {
        let is = |name: &At<IfName>| name.value == interface.name;
        let written = space.written.vxlans.entries.iter().find(|(name, _)| is(name)).map(|(_, written)| written);
        let key = vxlan(interface).map(|vxlan| (vxlan.id, vxlan.port));
        let to = written.into_iter().flat_map(|written| &written.fdb).map(|entry| entry.to.value);
        to.filter_map(move |to| *self.0.get(&(key?.0, key?.1, to))?)
    }
}
