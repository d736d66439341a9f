//! Numbers and what is made from them: subnets, addresses, interface names. Everything here depends on the name and the
//! number that it is made for, and on nothing else, so that no node and no pod can move another one.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::lab::{Family, IfName, Mac, fnv1a};

/// How many pods a node can have: a /24 without its own address, that of the bridge (.1) and the broadcast address.
pub const PODS: u32 = 253;

/// The longest name of an interface in bytes (`IFNAMSIZ` of linux/if.h, less the zero at the end).
const IFNAME: usize = 15;

/// The number that a name ends in, and what is before it.
fn split(name: &str) -> (&str, Option<u32>) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem, name.get(stem.len()..).and_then(|digits| digits.parse().ok()))
}

/// The number that a node's name ends in.
pub fn of_node(name: &str) -> Option<u32> {
    split(name).1
}

/// The name of the pod of a number, where only their count is given.
pub fn pod_name(node: u32, pod: u32) -> String {
    format!("pod-{node}-{pod}")
}

/// Which address of its node's subnet is a pod's, from 2 to 254. The first of a series (`web-1`, `web-2`, …) has a
/// place that is made from what is before the number, and the others follow it. The series that nslab names itself
/// begins at 2.
pub fn of_pod(node: u32, name: &str) -> u32 {
    let (stem, number) = split(name);
    let number = number.unwrap_or(0) % PODS;
    let start = if stem == format!("pod-{node}-") { PODS - 1 } else { fnv1a(stem) % PODS };
    2 + (start + number) % PODS
}

/// The length of a node's subnet of the pod network, as Kubernetes has it: 24 for IPv4, 64 for IPv6.
pub fn node_prefix(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    }
}

/// The subnet of the node of a number, if the network has so many.
pub fn subnet(network: IpNet, number: u32) -> Option<IpNet> {
    let length = node_prefix(Family::of(network.addr()));
    let step = 1_u128.checked_shl(u32::from(network.max_prefix_len() - length))?;
    let address = nth(network, u128::from(number).checked_mul(step)?)?;
    IpNet::new(address, length).ok().filter(|subnet| network.contains(subnet))
}

/// The address of a number in a subnet, if it has so many.
pub fn nth(subnet: IpNet, number: u128) -> Option<IpAddr> {
    let address = match subnet.network() {
        IpAddr::V4(first) => IpAddr::V4(u32::from(first).checked_add(u32::try_from(number).ok()?)?.into()),
        IpAddr::V6(first) => IpAddr::V6(u128::from(first).checked_add(number)?.into()),
    };
    subnet.contains(&address).then_some(address)
}

/// Which address of the node network is a node's, by default: `.11` and `::11` for the first.
pub fn node_place(network: IpNet, number: u32) -> u128 {
    let before = match Family::of(network.addr()) {
        Family::Ipv4 => 10,
        Family::Ipv6 => 0x10,
    };
    before + u128::from(number)
}

/// The address of a node in the node network, by default.
pub fn node_address(network: IpNet, number: u32) -> Option<IpAddr> {
    let place = node_place(network, number);
    nth(network, place).filter(|_| place <= room(network))
}

/// Why no interface can have an address of a subnet, if that is so.
pub fn unusable(subnet: IpNet, address: IpAddr) -> Option<String> {
    match subnet {
        _ if subnet.max_prefix_len() - subnet.prefix_len() < 2 => None,
        _ if address == subnet.network() => Some(format!("the address of the subnet {subnet} itself")),
        IpNet::V4(subnet) if address == subnet.broadcast() => Some(format!("the broadcast address of {subnet}")),
        _ => None,
    }
}

/// How many addresses of a subnet interfaces can have: all but that of the subnet itself and the broadcast address.
pub fn room(subnet: IpNet) -> u128 {
    let all = 1_u128.checked_shl(u32::from(subnet.max_prefix_len() - subnet.prefix_len())).unwrap_or(u128::MAX);
    match subnet {
        IpNet::V4(subnet) if subnet.prefix_len() < 31 => all - 2,
        IpNet::V6(subnet) if subnet.prefix_len() < 127 => all - 1,
        _ => all,
    }
}

/// The smallest network around one that has so many addresses.
pub fn with_room(network: IpNet, addresses: u128) -> Option<IpNet> {
    let larger = (0..network.prefix_len()).rev().filter_map(|length| IpNet::new(network.addr(), length).ok());
    larger.map(|larger| larger.trunc()).find(|larger| room(*larger) >= addresses)
}

/// The link-local address that the kernel makes from a MAC address (RFC 4291, appendix A).
pub fn link_local(Mac([a, b, c, d, e, f]): Mac) -> Ipv6Addr {
    let pair = u16::from_be_bytes;
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair([a ^ 2, b]), pair([c, 0xff]), pair([0xfe, d]), pair([e, f]))
}

/// The name of an interface for a namespace. One that is too long is cut and ends in a part of its hash.
pub fn interface(before: &str, name: &str, after: &str) -> Option<IfName> {
    let room = IFNAME.saturating_sub(before.len() + after.len());
    let name = match name.get(..room.saturating_sub(6)) {
        Some(start) if name.len() > room => format!("{start}-{:05x}", fnv1a(name) & 0xf_ffff),
        _ => name.to_owned(),
    };
    format!("{before}{name}{after}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stands_together_and_alone() {
        assert_eq!([1, 2, 253].map(|pod| of_pod(3, &pod_name(3, pod))), [2, 3, 254]);
        let web = of_pod(1, "web-1");
        assert_eq!(of_pod(1, "web-2"), if web == 254 { 2 } else { web + 1 });
        let places: std::collections::BTreeSet<u32> = (1..=PODS).map(|n| of_pod(1, &format!("web-{n}"))).collect();
        assert_eq!((places.len(), places.first(), places.last()), (253, Some(&2), Some(&254)));
        assert!((2..=254).contains(&of_pod(1, "db")) && (2..=254).contains(&of_pod(1, "a4294967295")));
    }

    #[test]
    fn subnets_and_addresses_stay_in_their_network() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!(subnet(net("10.244.0.0/16"), 3), Some(net("10.244.3.0/24")));
        assert_eq!(subnet(net("10.244.0.0/16"), 256), None);
        assert_eq!(subnet(net("10.244.0.0/25"), 0), None);
        assert_eq!(subnet(net("fd00:10:244::/48"), 0xffff), Some(net("fd00:10:244:ffff::/64")));
        assert_eq!(subnet(net("fd00:10:244::/48"), 0x1_0000), None);
        assert_eq!(node_address(net("192.168.1.0/24"), 1), Some([192, 168, 1, 11].into()));
        assert_eq!(node_address(net("192.168.1.0/24"), 244), Some([192, 168, 1, 254].into()));
        assert_eq!(node_address(net("192.168.1.0/24"), 245), None, "the broadcast address");
        assert_eq!(
            ["0.0.0.0/0", "10.0.0.0/29", "10.0.0.0/32", "::/0"].map(|of| room(net(of))),
            [0xffff_fffe, 6, 1, u128::MAX - 1]
        );
        assert_eq!(with_room(net("192.168.1.8/29"), 11), Some(net("192.168.1.0/28")));
        assert_eq!(with_room(net("0.0.0.0/0"), 1 << 40), None);
        assert_eq!(node_address(net("fd00:1::/64"), 1), Some("fd00:1::11".parse().unwrap()));
        assert_eq!(link_local("ee:ee:ee:ee:ee:ee".parse().unwrap()).to_string(), "fe80::ecee:eeff:feee:eeee");
    }

    #[test]
    fn long_names_make_short_interfaces() {
        let name = |name: &str| interface("veth-", name, "").unwrap().to_string();
        assert_eq!(name("pod-1-1234"), "veth-pod-1-1234");
        assert_eq!(name("frontend-web-1").len(), 15);
        assert!(name("frontend-web-1").starts_with("veth-fron-"));
        assert_ne!(name("frontend-web-1"), name("frontend-web-2"));
        assert_eq!(interface("", "node1", "-lan").unwrap().to_string(), "node1-lan");
    }
}
