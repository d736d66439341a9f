//! Where a packet goes, by the model alone: the route look-up of the kernel, what the firewall of a namespace makes of
//! a packet, and who is at the other side of an interface.
//!
//! Pure functions on a [`Lab`](crate::lab::Lab): nothing here knows files, asks the kernel, or knows what is done with
//! the answer. What only runs at run time (learnt neighbours, ICMP redirects, router advertisements) is not modelled.

mod asked;
mod decision;
mod filter;
mod firewall;
mod flood;
mod layer2;
mod link_local;
mod links;
mod lookup;
mod nat;
mod nft;
mod obstacle;
mod packet;
mod prefixes;
mod reverse_path;
mod segment;
mod table;
mod trace;
mod walk;
mod way;
mod wireguard;

pub use asked::{Asked, Chosen};
pub use filter::{Verdict, filter};
pub use firewall::{ChainAt, Flow, RuleAt};
pub use layer2::Layer2;
pub use lookup::{Decision, Outcome, Router, source_towards};
pub use nat::{Translated, may_lead_elsewhere, translate, translations};
pub use obstacle::{Cause, Obstacle, PeerCause};
pub use packet::Packet;
pub use prefixes::Prefixes;
pub use reverse_path::{reverse_path, rp_filter};
pub use segment::Crossing;
pub use trace::{Hop, came_in_or_sent, leaving, trace};
pub use walk::{EPHEMERAL_PORT, forwards, round_trip};
pub use way::{Leg, RoundTrip, Way, WayEnd};
