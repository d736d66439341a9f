//! Where a packet goes, by the model alone: the route look-up of the kernel, and who is at the other side of an
//! interface.
//!
//! Pure functions on a [`Lab`](crate::lab::Lab): nothing here knows files, asks the kernel, or knows what is done with
//! the answer. What only runs at run time (learnt neighbours, ICMP redirects, router advertisements) is not modelled.

mod layer2;
mod lookup;
mod packet;
mod path;
mod table;

pub use layer2::Layer2;
pub use lookup::{Decision, Outcome, lookup};
pub use packet::Packet;
pub use path::{Hop, path};
