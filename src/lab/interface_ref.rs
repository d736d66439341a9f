//! Which interface of which namespace.

use super::{IfName, NsName, fnv1a};
use serde::Serialize;
use std::fmt;

/// One end of a link: an interface in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct InterfaceRef {
    /// The namespace it is in.
    pub ns: NsName,
    /// Its name there.
    pub name: IfName,
}

impl InterfaceRef {
    /// A name for the moment until the interface gets its own: one that nothing else has.
    pub(crate) fn temporary_name(&self) -> IfName {
        IfName::trusted(format!("nslab{:08x}", fnv1a(&self.to_string())))
    }
}

impl fmt::Display for InterfaceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ns, self.name)
    }
}
