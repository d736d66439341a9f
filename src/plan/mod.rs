//! Wanted − observed = ordered steps. Pure: nothing here asks the kernel or knows what a topology file looks like.
//!
//! Each object has a file under its own name, which plans the steps on it; [`Phase`](crate::steps::Phase) puts them in
//! order.

mod address;
mod bridge;
mod bridge_port;
mod compare;
mod compared;
mod conflicts;
mod draft;
mod etc_files;
mod fdb_entry;
mod firewall;
mod firewall_chain;
mod foreign;
mod gateways;
mod interface;
mod lost;
mod namespace;
mod neighbour;
mod nft;
mod planned;
mod policy_rule;
mod program;
mod route;
mod services;
mod side_by_side;
mod sysctl;
mod teardown;
mod unread;
mod unrestored;
mod veth;
mod virtual_interface;
mod vlans;
mod way_back;
mod wireguard;

pub use compare::plan;
pub use conflicts::{Conflict, ConflictCode, adoption, conflicts, removed_by_adoption};
pub use planned::{Plan, PlannedStep};
pub use teardown::{as_built, teardown};
pub use unrestored::unrestored;
pub use way_back::way_back;
