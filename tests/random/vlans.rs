//! VLANs of bridges and of their ports: as random data, as the file spells them, and what somebody may do to them.

use nslab::lab::{Interface, InterfaceKind, Namespace};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// VLANs of a port: the one without a tag, and those with one, the first and how many follow.
#[derive(Debug, Clone, Default)]
pub struct Vlans {
    pub access: Option<u16>,
    pub tagged: Option<(u16, u16)>,
}

impl Vlans {
    /// What the file says of them, if it says anything of VLANs.
    pub fn written(&self, says: bool) -> Map<String, Value> {
        let mut written = Map::new();
        if let Some(vlan) = self.access.filter(|_| says) {
            written.insert("vlan".to_owned(), vlan.into());
        }
        if let Some((first, more)) = self.tagged.filter(|_| says) {
            let all = (first..=first + more).filter(|vlan| Some(*vlan) != self.access);
            written.insert("vlans".to_owned(), all.collect::<Vec<_>>().into());
        }
        written
    }
}

pub fn vlans() -> impl Strategy<Value = Vlans> {
    let access = option::weighted(0.3, 1..=3_u16);
    let tagged = option::weighted(0.2, (1..=3_u16, prop_oneof![Just(0), 2..=9_u16]));
    (access, tagged).prop_map(|(access, tagged)| Vlans { access, tagged })
}

/// What can be done to the VLANs of an interface. Only where a bridge keeps them apart does anybody look at them.
pub fn damage(exec: &str, name: &str, namespace: &Namespace, link: &Interface) -> Vec<String> {
    let bridge = link.master.as_ref().and_then(|master| namespace.interfaces.get(master)).unwrap_or(link);
    if !matches!(bridge.kind, InterfaceKind::Bridge(options) if options.vlan_filtering) {
        return Vec::new();
    }
    let of = if link.master.is_none() { " self" } else { "" };
    let one = |words: &'static str| (1..=3).map(move |vlan| format!("{words} dev {name} vid {vlan}{of}"));
    let all = one("del")
        .chain(one("add"))
        .chain([format!("add dev {name} vid 2 pvid untagged{of}"), format!("add dev {name} vid 7-20{of}")]);
    all.map(|words| format!("{exec}bridge vlan {words}")).collect()
}
