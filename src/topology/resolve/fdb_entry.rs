//! Forwarding entries of VXLAN interfaces: where each sends frames.

use super::net::ResolvedNamespace;
use crate::lab::{FdbEntry, Mac};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The forwarding entries of all ends of a namespace.
pub fn entries(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) -> BTreeSet<FdbEntry> {
    let mut entries = BTreeSet::new();
    for (name, written) in &namespace.written.vxlans.entries {
        let mut seen: HashMap<(Mac, Option<IpAddr>), Span> = HashMap::new();
        for entry in &written.fdb {
            let mac = entry.mac.as_ref().map_or(Mac::ANY, |mac| mac.value.0);
            let to = entry.to.value;
            if let Some(fault) = unusable(entry, written.local.value) {
                found.add(fault);
            }
            // The kernel keeps several ends for what is flooded, and one for a MAC address.
            let key = (mac, (mac == Mac::ANY).then_some(to));
            if let Some(first) = seen.insert(key, entry.to.span) {
                let what = if mac == Mac::ANY { to.to_string() } else { mac.to_string() };
                found.add(
                    Diagnostic::new(Code::EntryTwice, entry.to.span, format!("{what} has an entry already"))
                        .also(first, "here"),
                );
            }
            entries.insert(FdbEntry { dev: name.value.clone(), mac, to });
        }
    }
    entries
}

/// What is wrong with the other end's address.
fn unusable(entry: &schema::FdbEntry, local: IpAddr) -> Option<Diagnostic> {
    let to = entry.to.value;
    let (message, help) = if to.is_ipv6() != local.is_ipv6() {
        (format!("{to} and the local address {local} are of different families"), None)
    } else if to == local {
        (format!("{to} is this end's own address"), Some("write that of another end".to_owned()))
    } else if to.is_multicast() || to.is_unspecified() {
        let help = "name each of the other ends in an entry of its own".to_owned();
        (format!("{to} is not the address of an end"), Some(help))
    } else {
        return None;
    };
    Some(Diagnostic::new(Code::BadFdbAddress, entry.to.span, message).help(help))
}
