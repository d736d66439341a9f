//! Addresses: which are missing, which go, and which have to be added again, in the order of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use indexmap::{IndexMap, IndexSet};

use super::compared::Sides;
use super::draft::{Draft, EXTRA, MISSING};
use super::lost::Lost;
use crate::lab::{Address, AlteredAddress, Family, IfName, Interface};
use crate::steps::{AddressStep, Presence, Step};

/// Plans the addresses of all interfaces of a namespace, and notes what goes along with those that are removed.
pub(super) fn compare(sides: &Sides<'_>, lost: &mut Lost, draft: &mut Draft) {
    let mut gone = BTreeSet::new();
    for (name, want) in &sides.want.interfaces {
        let live = sides.is.interfaces.get(name).filter(|_| !lost.interfaces.contains(name));
        let kept = |address: &&Address| address.family() == Family::Ipv4 || !lost.brought_down.contains(name);
        let is = live.into_iter().flat_map(|live| &live.addresses).filter(kept).copied().collect();
        let dropped = of_interface(sides, name, &want.addresses, &is, lost, draft);
        gone.extend(dropped.into_iter().map(|address| (name, address)));
    }
    // What another interface of the same VRF has as well stays an address of the namespace (fib_del_ifaddr).
    let stays = |dev: &IfName, ip: IpAddr| {
        let table = |live: &Interface| sides.is.vrf_of(live);
        let vrf = sides.is.interfaces.get(dev).map(table);
        sides.is.interfaces.iter().filter(|(name, _)| !lost.interfaces.contains(*name)).any(|(name, live)| {
            let has = |own: &Address| own.ip() == ip && !gone.contains(&(name, *own));
            vrf == Some(table(live)) && live.addresses.iter().any(has)
        })
    };
    let lost_ips: Vec<IpAddr> =
        gone.iter().filter(|(dev, address)| !stays(dev, address.ip())).map(|(_, address)| address.ip()).collect();
    lost.addresses.extend(lost_ips);
}

/// Plans the addresses of an interface; which are removed.
fn of_interface(
    sides: &Sides<'_>,
    name: &IfName,
    want: &IndexSet<Address>,
    is: &IndexSet<Address>,
    lost: &mut Lost,
    draft: &mut Draft,
) -> Vec<Address> {
    let interface = sides.interface(name);
    let stays = |address: &Address| is_kernels(name, address) || is_kept(sides, name, *address);
    let extra: Vec<Address> = is.difference(want).filter(|address| !stays(address)).copied().collect();
    let renewed = renewed(sides, name, want, is);
    let drops = extra.iter().map(|address| (address, why_extra(sides, name, *address)));
    let drops = drops.chain(renewed.iter().map(|(address, (why, _))| (address, why.clone())));
    for (&address, why) in drops {
        let change = Presence::Remove(address);
        draft.add(Step::Address(AddressStep { interface: interface.clone(), change }), why);
    }
    let ipv4 = |addresses: &mut dyn Iterator<Item = &Address>| addresses.filter(|a| a.family() == Family::Ipv4).count();
    let gone = ipv4(&mut extra.iter().chain(renewed.keys()));
    if gone > 0 && gone == ipv4(&mut is.iter()) {
        lost.without_ipv4.insert(name.clone());
    }
    for &address in want {
        // With a subnet's first address, the kernel removes the others (promote_secondaries is off by default).
        let place = |address: &Address| is.get_index_of(address);
        let before_it = |gone: &&Address| gone.subnet() == address.subnet() && place(gone) < place(&address);
        let endangered =
            || extra.iter().chain(renewed.keys()).filter(|gone| gone.family() == Family::Ipv4).find(before_it);
        let why = if !is.contains(&address) {
            MISSING.to_owned()
        } else if let Some((_, why)) = renewed.get(&address) {
            why.clone()
        } else if let Some(gone) = endangered() {
            format!("the kernel removes it together with {gone}")
        } else if let Some(altered) = altered(sides, name, &address) {
            said(altered)
        } else {
            continue;
        };
        let change = Presence::Add(address);
        draft.add(Step::Address(AddressStep { interface: interface.clone(), change }), why);
        lost.comes_with_address.extend(address.connected().map(|subnet| (interface.name.clone(), subnet)));
    }
    extra.into_iter().chain(renewed.into_keys()).collect()
}

/// Which addresses have to go and come again: why they go, and why they come.
fn renewed(
    sides: &Sides<'_>,
    name: &IfName,
    want: &IndexSet<Address>,
    is: &IndexSet<Address>,
) -> IndexMap<Address, (String, String)> {
    let misplaced = misplaced(want, is).into_iter();
    let mut renewed: IndexMap<Address, (String, String)> = misplaced
        .map(|(address, first)| (address, (format!("{first} comes before it"), format!("it comes after {first}"))))
        .collect();
    for address in is.iter().filter(|address| want.contains(*address)) {
        if let Some(altered) = altered(sides, name, address).filter(|altered| !altered.in_place) {
            let again = || (said(altered), "without what somebody has changed".to_owned());
            renewed.entry(*address).or_insert_with(again);
        }
    }
    renewed
}

/// What somebody has made of an address; in `host`, on an interface of the lab.
fn altered<'a>(sides: &Sides<'a>, name: &IfName, address: &Address) -> Option<&'a AlteredAddress> {
    sides.observed.altered_addresses.get(&(name.clone(), *address)).filter(|_| sides.may_clear(name))
}

fn said(altered: &AlteredAddress) -> String {
    format!("somebody has changed it: {}", altered.words.join(", "))
}

/// Addresses that come before the one that the file has first in their subnet, which is the one that packets leave with
/// (`IFA_F_SECONDARY` is what the kernel says of the others); with that one. For IPv6, the order says nothing.
fn misplaced(want: &IndexSet<Address>, is: &IndexSet<Address>) -> IndexMap<Address, Address> {
    let mut firsts = BTreeMap::new();
    for address in want.iter().filter(|address| address.family() == Family::Ipv4) {
        firsts.entry(address.subnet()).or_insert(*address);
    }
    let comes_before = |address: &Address, first: &Address| match is.get_index_of(first) {
        Some(place) => is.get_index_of(address) < Some(place),
        None => true,
    };
    let wanted = is.iter().filter(|address| want.contains(*address));
    let with_first = wanted.filter_map(|address| Some((*address, *firsts.get(&address.subnet())?)));
    with_first.filter(|(address, first)| comes_before(address, first)).collect()
}

/// Whether the file leaves an address alone that a program has added.
fn is_kept(sides: &Sides<'_>, name: &IfName, address: Address) -> bool {
    sides.want.keep.has_address(address, protocol(sides, name, address))
}

fn protocol(sides: &Sides<'_>, name: &IfName, address: Address) -> Option<u8> {
    sides.observed.address_protocols.get(&(name.clone(), address)).copied()
}

/// Why an address goes. Not every program marks its addresses, and not every kernel keeps the mark.
fn why_extra(sides: &Sides<'_>, name: &IfName, address: Address) -> String {
    let is_unmarked = || protocol(sides, name, address).is_none();
    match !sides.want.keep.addresses_by.is_empty() && is_unmarked() {
        true => format!("{EXTRA}, and no program has marked it as its own"),
        false => EXTRA.to_owned(),
    }
}

/// Whether it is an address that the kernel gives the loopback by itself.
fn is_kernels(name: &IfName, address: &Address) -> bool {
    name.is_lo() && address.ip().is_loopback()
}
