//! The small parts of which the table is made.

use crate::lab::{NftElement, NftTable, NftValue, NftVerdict, PortRange};

/// Puts an element into a set or a map of the table.
pub(super) fn insert(table: &mut NftTable, set: &str, key: Vec<NftValue>, element: NftElement) {
    if let Some(set) = table.sets.get_mut(set) {
        set.elements.insert(key, element);
    }
}

/// Leads to a chain, and does not come back.
pub(super) fn goto(chain: impl Into<String>) -> NftVerdict {
    NftVerdict::Goto(chain.into())
}

/// Leads to a chain and back.
pub(super) fn jump(chain: impl Into<String>) -> NftVerdict {
    NftVerdict::Jump(chain.into())
}

/// A port, as it is looked up.
pub(super) fn one_port(port: u16) -> NftValue {
    NftValue::Ports(PortRange::one(port))
}
