//! Desired − live = ordered steps. Pure: nothing here asks the kernel or knows what a topology file looks like.

mod describe;
mod step;

pub use describe::ROUTE_PROTOCOL;
pub use step::{Description, Step, VethEnd};
