//! What the tests of all objects need: random values of the model's plain types, and the bytes of a message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::Emitable;
use proptest::prelude::*;

use crate::lab::{Gre, IfName, Mac, Vxlan};

/// The index of the one interface.
pub(super) const INDEX: u32 = 7;

/// The name of the one interface.
pub(super) fn dev() -> IfName {
    "eth0".parse().unwrap()
}

/// A message as it is sent.
pub(super) fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

pub(super) fn option_of<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(of)
}

pub(super) fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    (1..=u32::MAX).prop_map(Ipv4Addr::from)
}

/// An address of one family.
pub(super) fn ip(ipv6: bool) -> impl Strategy<Value = IpAddr> {
    (1..=u128::MAX, ipv4()).prop_map(move |(six, four)| match ipv6 {
        true => Ipv6Addr::from(six).into(),
        false => four.into(),
    })
}

/// An address with a prefix length.
pub(super) fn address(ipv6: bool) -> impl Strategy<Value = IpNet> {
    let longest: u8 = if ipv6 { 128 } else { 32 };
    (ip(ipv6), 0..=longest).prop_map(|(ip, length)| IpNet::new(ip, length).unwrap())
}

/// A prefix: nothing behind its length.
pub(super) fn prefix(ipv6: bool) -> impl Strategy<Value = IpNet> {
    address(ipv6).prop_map(|address| address.trunc())
}

pub(super) fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

pub(super) fn vxlan() -> impl Strategy<Value = Vxlan> {
    let local = option_of(any::<bool>().prop_flat_map(ip));
    let dev = option_of(Just(dev()));
    (0..1_u32 << 24, local, any::<u16>(), dev, any::<bool>()).prop_map(|(id, local, port, dev, learning)| Vxlan {
        id,
        local,
        port,
        dev,
        learning,
    })
}

pub(super) fn gre() -> impl Strategy<Value = Gre> {
    let (local, remote) = (option_of(ipv4()), option_of(ipv4()));
    (local, remote, option_of(any::<u32>()), option_of(1..=u8::MAX)).prop_map(|(local, remote, key, ttl)| Gre {
        local,
        remote,
        key,
        ttl,
    })
}
