//! WireGuard interfaces: their private keys, and their peers.

use super::compared::{Compared, Sides};
use super::draft::{Draft, EXTRA, MISSING};
use super::lost::Lost;
use crate::lab::{
    InterfaceRef, KeyedPeer, NsName, ObservedWireguard, Part, PublicKey, SecretKey, VirtualInterface, WireguardPeer,
};
use crate::steps::{Change, Step, Update, WireguardKey, WireguardStep};

/// Plans the keys and peers of a namespace's interfaces.
pub(super) fn compare(sides: &Sides<'_>, lost: &Lost, draft: &mut Draft) {
    let nothing = ObservedWireguard::default();
    for (name, want) in &sides.want.interfaces {
        if !matches!(want.virtual_interface(), Some(VirtualInterface::Wireguard(_))) {
            continue;
        }
        let (interface, is_new) = (sides.interface(name), lost.interfaces.contains(name));
        if !is_new && is_unread(sides.compared, sides.ns) {
            continue;
        }
        let live = sides.observed.wireguards.get(name).filter(|_| !is_new).unwrap_or(&nothing);
        key(sides, &interface, live, draft);
        let wanted = sides.want.wireguard.get(name).map_or(&[][..], Vec::as_slice);
        peers(sides.compared, &interface, wanted, live, draft);
    }
}

/// Whether the WireGuard interfaces of a namespace could not be read.
fn is_unread(compared: &Compared<'_>, ns: &NsName) -> bool {
    [Part::Everything, Part::Wireguard].iter().any(|part| compared.live.lacks(ns, part))
}

/// Plans the private key. Where the lab keeps none, the one that is there counts.
fn key(sides: &Sides<'_>, interface: &InterfaceRef, live: &ObservedWireguard, draft: &mut Draft) {
    let kept = sides.compared.live.wireguard_keys.get(interface);
    let to = match (kept, &live.key) {
        (None, Some(_)) => return,
        (Some(kept), Some(live)) if kept == live => return,
        (Some(kept), _) => WireguardKey::Known(kept.clone()),
        (None, None) => WireguardKey::New,
    };
    let (from, why) = match &live.key {
        Some(key) => (WireguardKey::Known(key.clone()), "it has another"),
        None => (WireguardKey::None, "it has none"),
    };
    let (interface, lab) = (interface.clone(), sides.compared.lab.name.clone());
    draft.add(Step::Wireguard(WireguardStep::Key { interface, lab, change: Change { from, to } }), why);
}

/// The public key that an interface is to have; none, as long as its private key has not been chosen.
fn key_of(compared: &Compared<'_>, interface: &InterfaceRef, draft: &Draft) -> Option<PublicKey> {
    let live = || {
        let live = compared.live.namespaces.get(&interface.ns)?.wireguards.get(&interface.name)?;
        live.key.as_ref().filter(|_| !draft.fresh.contains(interface))
    };
    compared.live.wireguard_keys.get(interface).or_else(live).map(SecretKey::public)
}

/// Plans the peers of an interface.
fn peers(
    compared: &Compared<'_>,
    interface: &InterfaceRef,
    wanted: &[WireguardPeer],
    live: &ObservedWireguard,
    draft: &mut Draft,
) {
    let mut extra: Vec<&KeyedPeer> = live.peers.iter().collect();
    // What a file cannot ask for is wanted on the way back to what was there before, and then is there already; whose
    // key could not be read may be any.
    let mut may_be_any = false;
    for want in wanted {
        let known = |of: &&InterfaceRef| compared.live.wireguard_keys.contains_key(of) || !is_unread(compared, &of.ns);
        let Some(of) = want.interface.as_ref().filter(known) else {
            may_be_any = true;
            continue;
        };
        let public_key = key_of(compared, of, draft);
        let to = Box::new(KeyedPeer { public_key, preshared_key: None, peer: want.clone() });
        let at = extra.iter().position(|is| public_key.is_some() && is.public_key == public_key);
        let (change, why) = match at.map(|at| extra.remove(at)) {
            None => (Update::Add(to), MISSING.to_owned()),
            Some(is) => match difference(is, want, public_key.is_some_and(|key| live.heard.contains_key(&key))) {
                None => continue,
                Some(why) => (Update::Replace(Change { from: Box::new(is.clone()), to }), why),
            },
        };
        draft.add(Step::Wireguard(WireguardStep::Peer { interface: interface.clone(), change }), why);
    }
    for is in extra.into_iter().filter(|_| !may_be_any) {
        let change = Update::Remove(Box::new(is.clone()));
        draft.add(Step::Wireguard(WireguardStep::Peer { interface: interface.clone(), change }), EXTRA);
    }
}

/// In what a peer differs from what is wanted. Once it `is_heard`, the kernel sends to where it was heard from last.
fn difference(is: &KeyedPeer, want: &WireguardPeer, is_heard: bool) -> Option<String> {
    let KeyedPeer { preshared_key, peer, .. } = is;
    if preshared_key.is_some() {
        return Some("it has a preshared key".to_owned());
    }
    if peer.allowed_ips != want.allowed_ips || peer.keepalive != want.keepalive {
        return Some(format!("it is{peer}"));
    }
    match (peer.endpoint, want.endpoint) {
        (None, Some(_)) => Some("it has no endpoint".to_owned()),
        (Some(is), Some(to)) if is != to && !is_heard => Some(format!("its endpoint is {is}")),
        _ => None,
    }
}
