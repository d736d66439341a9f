//! Where an interface is among all those of a file.

use super::net::{ResolvedInterface, Space};
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
pub fn at<'s>(spaces: &'s [Space<'_>], (space, place): Place) -> Option<&'s ResolvedInterface> {
    spaces.get(space)?.interfaces.get(place)
}
