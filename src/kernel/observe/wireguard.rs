//! WireGuard interfaces: what they are set to, and whose the keys of their peers are.

use std::collections::BTreeMap;

use nix::errno::Errno;

use crate::kernel::netlink::NetlinkError;
use crate::kernel::objects::wireguard;
use crate::lab::{
    IfName, InterfaceKind, InterfaceRef, Namespace, Observed, ObservedWireguard, PublicKey, VirtualInterface,
};

/// The keys and peers of the interfaces of this thread's namespace, which get their options.
pub(super) fn here(is: &mut Namespace) -> Result<BTreeMap<IfName, ObservedWireguard>, NetlinkError> {
    let mut all = BTreeMap::new();
    for (name, interface) in &mut is.interfaces {
        if let InterfaceKind::Virtual(VirtualInterface::Wireguard(own)) = &mut interface.kind {
            let (options, observed) = match wireguard::get(name) {
                // It has gone since it was listed.
                Err(error) if error.errno == Errno::ENODEV => continue,
                got => got?,
            };
            *own = options;
            all.insert(name.clone(), observed);
        }
    }
    Ok(all)
}

/// Finds the interfaces that peers are, by their keys.
pub(super) fn connect(live: &mut Observed) {
    let mut holders: BTreeMap<PublicKey, InterfaceRef> = BTreeMap::new();
    for (ns, namespace) in &live.namespaces {
        for (name, own) in &namespace.wireguards {
            let public = own.key.as_ref().map(|key| key.public());
            holders.extend(public.map(|key| (key, InterfaceRef { ns: ns.clone(), name: name.clone() })));
        }
    }
    for namespace in live.namespaces.values_mut() {
        namespace.is.wireguard.clear();
        for (name, own) in &mut namespace.wireguards {
            for peer in &mut own.peers {
                peer.peer.interface = peer.public_key.and_then(|key| holders.get(&key).cloned());
            }
            let peers = own.peers.iter().map(|peer| peer.peer.clone()).collect();
            namespace.is.wireguard.insert(name.clone(), peers);
        }
    }
}
