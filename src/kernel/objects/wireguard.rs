//! WireGuard interfaces: their options, keys and peers, over generic netlink. Facts from linux/wireguard.h.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

use ipnet::IpNet;
use netlink_packet_core::{DecodeError, parse_ip, parse_u8, parse_u16, parse_u32, parse_u64};

use crate::kernel::KernelError;
use crate::kernel::netlink::{GENERIC_HEADER, GenericSocket, NetlinkError, append, attributes};
use crate::kernel::netns::run_in;
use crate::lab::{IfName, KeyedPeer, ObservedWireguard, PublicKey, SecretKey, Wireguard, WireguardPeer};
use crate::steps::{Change, Step, Update, WireguardKey, WireguardStep};

const FAMILY: &str = "wireguard";
const VERSION: u8 = 1;
const GET_DEVICE: u8 = 0;
const SET_DEVICE: u8 = 1;

const WGDEVICE_A_IFNAME: u16 = 2;
const WGDEVICE_A_PRIVATE_KEY: u16 = 3;
const WGDEVICE_A_LISTEN_PORT: u16 = 6;
const WGDEVICE_A_FWMARK: u16 = 7;
const WGDEVICE_A_PEERS: u16 = 8;

const WGPEER_A_PUBLIC_KEY: u16 = 1;
const WGPEER_A_PRESHARED_KEY: u16 = 2;
const WGPEER_A_FLAGS: u16 = 3;
const WGPEER_A_ENDPOINT: u16 = 4;
const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
const WGPEER_A_LAST_HANDSHAKE_TIME: u16 = 6;
const WGPEER_A_ALLOWEDIPS: u16 = 9;
const WGPEER_F_REMOVE_ME: u32 = 1;
const WGPEER_F_REPLACE_ALLOWEDIPS: u32 = 2;

const WGALLOWEDIP_A_FAMILY: u16 = 1;
const WGALLOWEDIP_A_IPADDR: u16 = 2;
const WGALLOWEDIP_A_CIDR_MASK: u16 = 3;

/// An attribute that holds others (NLA_F_NESTED in linux/netlink.h).
const NESTED: u16 = 1 << 15;

/// What the kernel says of an interface: its options, and what they do not say.
pub(in crate::kernel) type Device = (Wireguard, ObservedWireguard);

/// Sets the options of an interface.
pub(in crate::kernel) fn set_options(
    ns: BorrowedFd<'_>,
    name: &IfName,
    options: Wireguard,
    tried: &str,
) -> Result<(), KernelError> {
    let mut message = of(name);
    append(&mut message, WGDEVICE_A_LISTEN_PORT, &options.listen_port.to_ne_bytes());
    append(&mut message, WGDEVICE_A_FWMARK, &options.fwmark.to_ne_bytes());
    set(ns, &message, tried)
}

/// Runs a step.
pub(in crate::kernel) fn run(ns: BorrowedFd<'_>, step: &WireguardStep) -> Result<(), KernelError> {
    let tried = Step::Wireguard(step.clone()).text();
    let mut message = of(&step.interface().name);
    match step {
        WireguardStep::Key { change, .. } => match &change.to {
            WireguardKey::Known(key) => append(&mut message, WGDEVICE_A_PRIVATE_KEY, key.bytes()),
            WireguardKey::None => append(&mut message, WGDEVICE_A_PRIVATE_KEY, &[0; 32]),
            WireguardKey::New => return Err(KernelError::new(tried).said("none has been chosen")),
        },
        WireguardStep::Peer { change, .. } => {
            let peer = match change {
                Update::Add(peer) | Update::Replace(Change { to: peer, .. }) => encode(peer),
                Update::Remove(peer) => peer.public_key.map(|key| encode_key(key, WGPEER_F_REMOVE_ME)),
            };
            let Some(peer) = peer else { return Err(KernelError::new(tried).said("its key is not known")) };
            append_list(&mut message, WGDEVICE_A_PEERS, [peer]);
        }
    }
    set(ns, &message, &tried)
}

/// An interface of this thread's namespace.
pub(in crate::kernel) fn get(name: &IfName) -> Result<Device, NetlinkError> {
    let dump = GenericSocket::open(FAMILY, VERSION)?.dump(GET_DEVICE, &of(name))?;
    Ok(decode(dump.items())?)
}

fn set(ns: BorrowedFd<'_>, message: &[u8], tried: &str) -> Result<(), KernelError> {
    let change = || GenericSocket::open(FAMILY, VERSION)?.change(SET_DEVICE, message);
    run_in(ns, change)?.map_err(|error| error.about(tried))
}

fn of(name: &IfName) -> Vec<u8> {
    let mut message = Vec::new();
    append(&mut message, WGDEVICE_A_IFNAME, &[name.as_str().as_bytes(), &[0]].concat());
    message
}

/// Appends a list of things that have attributes each.
fn append_list(message: &mut Vec<u8>, kind: u16, items: impl IntoIterator<Item = Vec<u8>>) {
    let mut list = Vec::new();
    items.into_iter().for_each(|item| append(&mut list, NESTED, &item));
    append(message, kind | NESTED, &list);
}

/// A peer with all that it is to have; none as long as its key is not known.
fn encode(peer: &KeyedPeer) -> Option<Vec<u8>> {
    let KeyedPeer { public_key, preshared_key, peer } = peer;
    let mut message = encode_key((*public_key)?, WGPEER_F_REPLACE_ALLOWEDIPS);
    let preshared = preshared_key.as_ref().map_or([0; 32], |key| *key.bytes());
    append(&mut message, WGPEER_A_PRESHARED_KEY, &preshared);
    if let Some(endpoint) = peer.endpoint {
        append(&mut message, WGPEER_A_ENDPOINT, &encode_endpoint(endpoint));
    }
    append(&mut message, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, &peer.keepalive.to_ne_bytes());
    append_list(&mut message, WGPEER_A_ALLOWEDIPS, peer.allowed_ips.iter().map(encode_prefix));
    Some(message)
}

fn encode_key(key: PublicKey, flags: u32) -> Vec<u8> {
    let mut message = Vec::new();
    append(&mut message, WGPEER_A_PUBLIC_KEY, &key.0);
    append(&mut message, WGPEER_A_FLAGS, &flags.to_ne_bytes());
    message
}

fn encode_prefix(prefix: &IpNet) -> Vec<u8> {
    let (family, address) = match prefix.addr() {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let mut message = Vec::new();
    append(&mut message, WGALLOWEDIP_A_FAMILY, &(family as u16).to_ne_bytes());
    append(&mut message, WGALLOWEDIP_A_IPADDR, &address);
    append(&mut message, WGALLOWEDIP_A_CIDR_MASK, &[prefix.prefix_len()]);
    message
}

/// `struct sockaddr_in` or `struct sockaddr_in6`.
fn encode_endpoint(endpoint: SocketAddr) -> Vec<u8> {
    let port = endpoint.port().to_be_bytes();
    match endpoint {
        SocketAddr::V4(endpoint) => {
            [&(libc::AF_INET as u16).to_ne_bytes()[..], &port, &endpoint.ip().octets(), &[0; 8]].concat()
        }
        SocketAddr::V6(endpoint) => [
            &(libc::AF_INET6 as u16).to_ne_bytes()[..],
            &port,
            &endpoint.flowinfo().to_be_bytes(),
            &endpoint.ip().octets(),
            &endpoint.scope_id().to_ne_bytes(),
        ]
        .concat(),
    }
}

fn decode_endpoint(value: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(value.get(2..4)?.try_into().ok()?);
    let family = u16::from_ne_bytes(value.get(..2)?.try_into().ok()?);
    let address: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(value.get(4..8)?).ok()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(value.get(8..24)?).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// What a listing says of an interface. A peer for which one message has no room goes on in the next one.
pub(in crate::kernel) fn decode<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<Device, DecodeError> {
    let (mut options, mut observed) = (Wireguard { listen_port: 0, fwmark: 0 }, ObservedWireguard::default());
    for item in items {
        for attribute in attributes(item.get(GENERIC_HEADER..).unwrap_or_default()) {
            match attribute? {
                (WGDEVICE_A_PRIVATE_KEY, value) => observed.key = secret(value),
                (WGDEVICE_A_LISTEN_PORT, value) => options.listen_port = parse_u16(value)?,
                (WGDEVICE_A_FWMARK, value) => options.fwmark = parse_u32(value)?,
                (WGDEVICE_A_PEERS, list) => {
                    for peer in attributes(list) {
                        add_peer(peer?.1, &mut observed)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok((options, observed))
}

fn secret(value: &[u8]) -> Option<SecretKey> {
    SecretKey::from_bytes(value.try_into().ok()?)
}

fn add_peer(item: &[u8], observed: &mut ObservedWireguard) -> Result<(), DecodeError> {
    let peer = WireguardPeer { interface: None, endpoint: None, allowed_ips: BTreeSet::new(), keepalive: 0 };
    let mut peer = KeyedPeer { public_key: None, preshared_key: None, peer };
    let mut latest = 0;
    for attribute in attributes(item) {
        match attribute? {
            (WGPEER_A_PUBLIC_KEY, value) => peer.public_key = value.try_into().ok().map(PublicKey),
            (WGPEER_A_PRESHARED_KEY, value) => peer.preshared_key = secret(value),
            (WGPEER_A_ENDPOINT, value) => peer.peer.endpoint = decode_endpoint(value),
            (WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, value) => peer.peer.keepalive = parse_u16(value)?,
            // `struct __kernel_timespec`: seconds, and what is beyond them.
            (WGPEER_A_LAST_HANDSHAKE_TIME, value) => latest = parse_u64(value.get(..8).unwrap_or_default())?,
            (WGPEER_A_ALLOWEDIPS, list) => {
                for prefix in attributes(list) {
                    peer.peer.allowed_ips.extend(decode_prefix(prefix?.1)?);
                }
            }
            _ => {}
        }
    }
    observed.heard.extend(peer.public_key.filter(|_| latest > 0).map(|key| (key, latest)));
    match observed.peers.last_mut().filter(|last| last.public_key == peer.public_key) {
        Some(last) => last.peer.allowed_ips.append(&mut peer.peer.allowed_ips),
        None => observed.peers.push(peer),
    }
    Ok(())
}

fn decode_prefix(item: &[u8]) -> Result<Option<IpNet>, DecodeError> {
    let (mut address, mut length) = (None, None);
    for attribute in attributes(item) {
        match attribute? {
            (WGALLOWEDIP_A_IPADDR, value) => address = Some(parse_ip(value)?),
            (WGALLOWEDIP_A_CIDR_MASK, value) => length = Some(parse_u8(value)?),
            _ => {}
        }
    }
    Ok(address.zip(length).and_then(|(address, length)| IpNet::new(address, length).ok()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{ip, option_of, prefix};
    use super::*;

    fn peer() -> impl Strategy<Value = KeyedPeer> {
        let endpoint = (any::<bool>().prop_flat_map(ip), any::<u16>());
        let endpoint = option_of(endpoint.prop_map(|(address, port)| SocketAddr::new(address, port)));
        let prefixes = proptest::collection::btree_set(any::<bool>().prop_flat_map(prefix), 0..5);
        let secret = option_of(any::<[u8; 32]>()).prop_map(|bytes| bytes.and_then(SecretKey::from_bytes));
        (any::<[u8; 32]>(), secret, endpoint, prefixes, any::<u16>()).prop_map(
            |(key, preshared_key, endpoint, allowed_ips, keepalive)| KeyedPeer {
                public_key: Some(PublicKey(key)),
                preshared_key,
                peer: WireguardPeer { interface: None, endpoint, allowed_ips, keepalive },
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(first in peer(), second in peer()) {
            prop_assume!(first.public_key != second.public_key);
            let mut message = vec![0; GENERIC_HEADER];
            append_list(&mut message, WGDEVICE_A_PEERS, [encode(&first).unwrap(), encode(&second).unwrap()]);
            let (_, observed) = decode([message.as_slice()].into_iter()).unwrap();
            prop_assert_eq!(observed.peers, [first, second]);
        }
    }

    #[test]
    fn a_peer_goes_on_in_the_next_message() {
        let key = PublicKey([7; 32]);
        let part = |prefix: &str, endpoint: Option<&str>| {
            let peer = WireguardPeer {
                interface: None,
                endpoint: endpoint.map(|endpoint| endpoint.parse().unwrap()),
                allowed_ips: [prefix.parse().unwrap()].into(),
                keepalive: 0,
            };
            let peer = KeyedPeer { public_key: Some(key), preshared_key: None, peer };
            let mut message = vec![0; GENERIC_HEADER];
            append_list(&mut message, WGDEVICE_A_PEERS, [encode(&peer).unwrap()]);
            message
        };
        let parts = [part("10.0.0.0/24", Some("192.0.2.1:51820")), part("fd00::/64", None)];
        let (_, observed) = decode(parts.iter().map(Vec::as_slice)).unwrap();
        let [peer] = observed.peers.as_slice() else { panic!("{:?}", observed.peers) };
        assert_eq!(peer.peer.to_string(), " endpoint 192.0.2.1:51820 allowed-ips 10.0.0.0/24,fd00::/64");
    }
}
