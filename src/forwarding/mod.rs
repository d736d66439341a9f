//! Where a packet goes, by the model alone: what the firewall of a namespace makes of it.
//!
//! Pure functions on a [`Namespace`](crate::lab::Namespace): nothing here knows files, asks the kernel, or knows what
//! is done with the answer.

mod filter;
mod firewall;
mod nat;

pub use filter::{Verdict, filter};
pub use firewall::{Flow, RuleAt};
pub use nat::{Translated, translate};
