//! WireGuard interfaces: their keys and peers. A private key is in no text and no command, only in files and pipes.

use super::Phase;
use super::change::{Change, Update};
use super::command::inside;
use super::operation::{Operation, Reach};
use crate::lab::{InterfaceRef, KeyedPeer, LabName, NsName, SecretKey};

/// A step on a WireGuard interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireguardStep {
    /// It gets another private key.
    Key {
        /// Which.
        interface: InterfaceRef,
        /// The lab that keeps the key.
        lab: LabName,
        /// The key.
        change: Change<WireguardKey>,
    },
    /// One of its peers comes, goes or changes.
    Peer {
        /// Which.
        interface: InterfaceRef,
        /// The peer.
        change: Update<Box<KeyedPeer>>,
    },
}

/// The private key of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireguardKey {
    /// It has none.
    None,
    /// One that is chosen when the lab is applied.
    New,
    /// This one.
    Known(SecretKey),
}

impl WireguardStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        match self {
            Self::Key { interface, lab, change } => {
                Self::Key { interface: interface.clone(), lab: lab.clone(), change: change.inverse() }
            }
            Self::Peer { interface, change } => Self::Peer { interface: interface.clone(), change: change.inverse() },
        }
    }

    /// The interface.
    pub fn interface(&self) -> &InterfaceRef {
        match self {
            Self::Key { interface, .. } | Self::Peer { interface, .. } => interface,
        }
    }
}

impl Operation for WireguardStep {
    fn text(&self) -> String {
        match self {
            Self::Key { interface, change, .. } => match change.to {
                WireguardKey::None => format!("take its private key from {interface}"),
                WireguardKey::New => format!("give {interface} a new private key"),
                WireguardKey::Known(_) => format!("give {interface} its private key"),
            },
            Self::Peer { interface, change } => match change {
                Update::Add(peer) => format!("give {interface} the peer {}{}", peer.name(), peer.peer),
                Update::Remove(peer) => format!("take the peer {} from {interface}", peer.name()),
                Update::Replace(change) => {
                    format!("set{} on the peer {} of {interface}", settings(change), change.to.name())
                }
            },
        }
    }

    fn command(&self) -> String {
        let interface = self.interface();
        let set = format!("{}wg set {}", inside(&interface.ns), interface.name);
        match self {
            Self::Key { lab, change, .. } => match change.to {
                WireguardKey::None => format!("{set} private-key /dev/null"),
                WireguardKey::New => format!("wg genkey | {set} private-key /dev/stdin"),
                WireguardKey::Known(_) => format!("{set} private-key {}", key_file(lab, interface)),
            },
            Self::Peer { change: Update::Add(peer), .. } => format!("{set} peer {}{}", key_of(peer, true), peer.peer),
            Self::Peer { change: Update::Replace(change), .. } => {
                format!("{set} peer {}{}", key_of(&change.to, true), settings(change))
            }
            Self::Peer { change: Update::Remove(peer), .. } => format!("{set} peer {} remove", key_of(peer, false)),
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Key { .. } => Phase::SetVirtualInterfaces,
            Self::Peer { change: Update::Remove(_), .. } => Phase::RemoveRoutes,
            Self::Peer { change: Update::Add(to) | Update::Replace(Change { to, .. }), .. } => {
                if to.peer.keepalive == 0 { Phase::AddPeers } else { Phase::AddPeersKeptAlive }
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Key { .. } => "change a key",
            Self::Peer { .. } => "change a peer",
        }
    }

    fn namespace(&self) -> NsName {
        self.interface().ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}

/// The commands that set the options of an interface.
pub(super) fn options(interface: &InterfaceRef, options: &str) -> String {
    format!("{}wg set {}{options}", inside(&interface.ns), interface.name)
}

/// The words of `wg set` that make a peer into another one.
fn settings(Change { from, to }: &Change<Box<KeyedPeer>>) -> String {
    let never = (to.peer.keepalive == 0 && from.peer.keepalive > 0).then_some(" persistent-keepalive 0");
    let unshared = (to.preshared_key.is_none() && from.preshared_key.is_some()).then_some(" preshared-key /dev/null");
    format!("{}{}{}", to.peer, never.unwrap_or_default(), unshared.unwrap_or_default())
}

/// The file in which the lab keeps the private key of an interface.
fn key_file(lab: &LabName, interface: &InterfaceRef) -> String {
    format!("/run/nslab/{lab}/wireguard/{}:{}", interface.ns, interface.name)
}

/// The public key of a peer: that of an interface of the lab is asked for there, where it `is_there`.
fn key_of(peer: &KeyedPeer, is_there: bool) -> String {
    match (&peer.peer.interface, peer.public_key) {
        (Some(InterfaceRef { ns, name }), _) if is_there => format!("$({}wg show {name} public-key)", inside(ns)),
        (_, Some(key)) => key.to_string(),
        (Some(InterfaceRef { ns, name }), None) => format!("$({}wg show {name} public-key)", inside(ns)),
        (None, None) => "''".to_owned(),
    }
}
