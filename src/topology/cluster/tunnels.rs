//! Tunnels between the nodes: the network between them carries packets for pods inside of packets of its own.

use std::net::IpAddr;

use ipnet::IpNet;

use super::body::Body;
use super::layout::{Layout, Node as Endpoint};
use super::numbers;
use super::piece::{Entry, Place};
use crate::lab::{ETHERNET_MTU, IfName, InterfaceRef, Mac, VirtualKind};
use crate::topology::schema::Routing;
use crate::topology::yaml::Node;

/// The number of the VXLAN.
const VXLAN_ID: u32 = 42;
const VXLAN: &str = "vxlan0";
const IPIP: &str = "ipip0";

/// The kind of the tunnels, where there are any.
pub fn kind(routing: Routing) -> Option<VirtualKind> {
    match routing {
        Routing::Vxlan => Some(VirtualKind::Vxlan),
        Routing::Ipip => Some(VirtualKind::Ipip),
        Routing::Routes | Routing::Router | Routing::Routed => None,
    }
}

/// The MTU of both interfaces of a pod's link, if it is less than Ethernet's: what a tunnel puts before each packet has
/// to find room. VXLAN: the headers of IP, UDP (8), VXLAN (8) and Ethernet (14), see RFC 7348; IP-in-IP: another header
/// of IPv4 (20), RFC 2003. Its place in the file is that of the routing, which asks for it.
pub fn pod_mtu(layout: &Layout<'_>) -> Option<Entry> {
    let ipv6 = layout.node_networks.first().is_some_and(|network| network.addr().is_ipv6());
    let overhead = match layout.routing {
        Routing::Vxlan if ipv6 => 70,
        Routing::Vxlan => 50,
        Routing::Ipip => 20,
        Routing::Routes | Routing::Router | Routing::Routed => return None,
    };
    Some(Place(layout.routing_at).field("mtu", ETHERNET_MTU - overhead))
}

/// An end of a VXLAN that learns nothing: for each other node there is a route to its pods by way of its end of the
/// VXLAN, the MAC address of that end, and the node address to which packets for that are sent. Flannel does it
/// so.
pub fn vxlan(node: &Endpoint<'_>, others: &[&Endpoint<'_>], body: &mut Body) {
    let (Some(mac), Some(local)) = (end_mac(node), local(node)) else { return };
    let place = body.place;
    let mut fdb = Vec::new();
    for other in others {
        let place = Place(other.name.span);
        let (Some(mac), Some(to)) = (end_mac(other), self::local(other)) else { continue };
        fdb.push(place.map([place.field("mac", mac), place.field("to", to)]));
        for subnet in &other.subnets {
            let via = hop(mac, *subnet);
            let route = [place.field("to", subnet), place.field("via", via), place.field("dev", VXLAN)];
            let onlink = subnet.addr().is_ipv4().then(|| place.field("onlink", true));
            body.routes.push(place.map(route.into_iter().chain(onlink)));
            let entry = [place.field("to", via), place.field("mac", mac), place.field("dev", VXLAN)];
            body.neighbours.push(place.map(entry));
        }
    }
    let ipv4 = node.subnets.iter().filter(|subnet| subnet.addr().is_ipv4());
    let addresses = list(place, "addresses", ipv4.map(|subnet| place.scalar(IpNet::from(hop(mac, *subnet)))).collect());
    let end = [
        place.field("id", VXLAN_ID),
        place.field("local", local),
        place.field("learning", false),
        place.field("mac", mac),
    ];
    let end = end.into_iter().chain(addresses).chain(list(place, "fdb", fdb));
    body.vxlans.push(place.entry(VXLAN, place.map(end)));
}

/// A tunnel without another end: each route names the node that its packets are sent to. Calico does it so.
pub fn ipip(node: &Endpoint<'_>, others: &[&Endpoint<'_>], body: &mut Body) {
    let Some(local) = local(node) else { return };
    let place = body.place;
    for other in others {
        let place = Place(other.name.span);
        for subnet in &other.subnets {
            if let Some(via) = other.address_like(*subnet) {
                let route = [place.field("to", subnet), place.field("via", via), place.field("dev", IPIP)];
                body.routes.push(place.map(route.into_iter().chain([place.field("onlink", true)])));
            }
        }
    }
    let own = node.subnets.iter().filter_map(|subnet| numbers::nth(*subnet, 1)).map(IpNet::from);
    let addresses = list(place, "addresses", own.map(|own| place.scalar(own)).collect());
    let end = std::iter::once(place.field("local", local)).chain(addresses);
    body.ipips.push(place.entry(IPIP, place.map(end)));
}

/// The address under which a node sends tunnelled packets.
fn local(node: &Endpoint<'_>) -> Option<IpAddr> {
    node.addresses.first().map(|own| own.value.addr())
}

fn list(place: Place, key: &str, items: Vec<Node>) -> Option<Entry> {
    (!items.is_empty()).then(|| place.entry(key, place.list(items)))
}

/// The MAC address of a node's VXLAN interface.
fn end_mac(node: &Endpoint<'_>) -> Option<Mac> {
    let name: IfName = VXLAN.parse().ok()?;
    Some(Mac::made_for(&InterfaceRef { ns: node.name.value.clone(), name }))
}

/// The address on the VXLAN of the end with a MAC address: for IPv4 that of the node's subnet itself (10.244.1.0),
/// for IPv6 the link-local one.
fn hop(mac: Mac, subnet: IpNet) -> IpAddr {
    match subnet {
        IpNet::V4(subnet) => subnet.network().into(),
        IpNet::V6(_) => numbers::link_local(mac).into(),
    }
}
