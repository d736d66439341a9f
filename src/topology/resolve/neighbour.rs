//! Neighbour entries, each with its interface.

use super::net::ResolvedNamespace;
use crate::lab::Neighbour;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use std::collections::{BTreeSet, HashMap};

pub fn neighbours(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) -> BTreeSet<Neighbour> {
    let mut neighbours = BTreeSet::new();
    let mut seen = HashMap::new();
    for written in &namespace.written.neighbours {
        let dev = match &written.dev {
            Some(dev) => namespace.find(dev, false, found),
            None => namespace.connected(written.to.value).map(|(interface, _)| interface.name.clone()),
        };
        let Some(dev) = dev else {
            if written.dev.is_none() && namespace.written.whole {
                let message = format!("no connected subnet of {} contains {}", namespace.name, written.to.value);
                found.add(
                    Diagnostic::new(Code::NotConnected, written.to.span, message)
                        .help("name the interface with `dev`".to_owned()),
                );
            }
            continue;
        };
        if let Some(first) = seen.insert((dev.clone(), written.to.value), written.to.span) {
            let message = format!("{} has an entry already", written.to.value);
            found.add(Diagnostic::new(Code::EntryTwice, written.to.span, message).also(first, "here"));
        }
        neighbours.insert(Neighbour { dev, address: written.to.value, mac: written.mac.value });
    }
    neighbours
}
