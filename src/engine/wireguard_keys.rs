//! The private keys of WireGuard interfaces: chosen once, and kept with the lab's state.

use std::collections::BTreeSet;

use crate::kernel::KernelError;
use crate::lab::{InterfaceRef, Lab, Namespace, NsName, Observed, SecretKey};
use crate::state::LabFolder;

/// The WireGuard interfaces of a lab.
fn interfaces(lab: &Lab) -> impl Iterator<Item = InterfaceRef> {
    let of = |(ns, namespace): (&NsName, &Namespace)| {
        let names = namespace.wireguard.keys().cloned();
        names.map(|name| InterfaceRef { ns: ns.clone(), name }).collect::<Vec<_>>()
    };
    lab.namespaces.iter().flat_map(of)
}

/// Chooses a key for each interface for which the lab keeps none: the one that it has, or else a new one.
pub(super) fn choose(lab: &Lab, live: &mut Observed) {
    for interface in interfaces(lab) {
        let namespace = live.namespaces.get(&interface.ns);
        let there = namespace.and_then(|namespace| namespace.wireguards.get(&interface.name)?.key.clone());
        live.wireguard_keys.entry(interface).or_insert_with(|| there.unwrap_or_else(SecretKey::random));
    }
}

/// Keeps the keys of a lab that is as its file says, and forgets those of interfaces that it had before.
pub(super) fn settle(folder: &LabFolder, lab: &Lab, live: &Observed) -> Result<(), KernelError> {
    let wanted: BTreeSet<InterfaceRef> = interfaces(lab).collect();
    folder.forget_other_wireguard_keys(&wanted.iter().collect())?;
    let keys = live.wireguard_keys.iter().filter(|(interface, _)| wanted.contains(interface));
    folder.keep_wireguard_keys(&keys.map(|(interface, key)| (interface.clone(), key.clone())).collect())
}
