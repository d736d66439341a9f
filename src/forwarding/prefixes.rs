//! Values by prefix, found as a routing table finds its routes: the most specific prefix that holds an address comes
//! first.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

/// Values by prefix, at most one for each.
#[derive(Debug)]
pub struct Prefixes<T> {
    values: HashMap<IpNet, T>,
    /// The lengths that there are of each family, so that no others are tried.
    ipv4: BTreeSet<u8>,
    ipv6: BTreeSet<u8>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), ipv4: BTreeSet::new(), ipv6: BTreeSet::new() }
    }
}

impl<T> Prefixes<T> {
    /// The value of a prefix; `new`, where it has none yet.
    pub fn get_or_insert(&mut self, prefix: IpNet, new: T) -> &mut T {
        let prefix = prefix.trunc();
        let lengths = if prefix.addr().is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        lengths.insert(prefix.prefix_len());
        self.values.entry(prefix).or_insert(new)
    }

    /// The value of a prefix.
    pub fn get(&self, prefix: &IpNet) -> Option<&T> {
        self.values.get(prefix)
    }

    /// All values.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.values.values_mut()
    }

    /// All prefixes, in no order.
    pub fn prefixes(&self) -> impl Iterator<Item = &IpNet> {
        self.values.keys()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The prefixes that hold an address, the most specific one first.
    pub fn holding(&self, address: IpAddr) -> impl Iterator<Item = (IpNet, &T)> {
        let lengths = if address.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        lengths.iter().rev().filter_map(move |length| {
            let prefix = IpNet::new(address, *length).ok()?.trunc();
            Some((prefix, self.values.get(&prefix)?))
        })
    }

    /// The most specific prefix that holds an address.
    pub fn longest(&self, address: IpAddr) -> Option<(IpNet, &T)> {
        self.holding(address).next()
    }
}
