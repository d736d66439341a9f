//! Where an interface is among all those of a file.

use super::net::{ResolvedInterface, ResolvedNamespace};
use crate::lab::IfName;
use crate::topology::schema::{self, Spanned};

/// Which interface: its namespace, and its place there.
pub type Place = (usize, usize);

/// A virtual interface and the interface through which its packets leave, as far as the file says so.
pub struct Placed<'f> {
    pub at: Place,
    pub under: Option<Place>,
    pub name: &'f Spanned<IfName>,
    pub written: schema::VirtualInterface<'f>,
}

/// The interface at a place.
pub fn at<'s>(namespaces: &'s [ResolvedNamespace<'_>], (namespace, place): Place) -> Option<&'s ResolvedInterface> {
    namespaces.get(namespace)?.interfaces.get(place)
}
