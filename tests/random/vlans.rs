//! VLANs of bridges and of their ports: as random data, and as the file spells them.

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
