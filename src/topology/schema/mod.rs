//! The language: what may stand in a topology file, type by type, and how each is read from the YAML tree.
//!
//! A field here is a key there, with its documentation, from which the JSON Schema is made. Values are checked as
//! far as one value alone can be; what names mean and how things fit together is not known here.

mod bridge;
mod check;
mod cluster;
mod file;
mod firewall;
mod namespace;
mod read;
mod routing;
mod scalar;
mod scalar_lab;
mod scalar_net;
mod virtual_interface;
mod vxlan;

pub use bridge::{Bridge, VlanIds};
pub use check::{Check, Protocol as Probing, SeenBy, Selector};
pub use cluster::{Cluster, Egress, Node as ClusterNode, Pods, Routing};
pub use file::File;
pub use firewall::{Action, Chain, Dnat, Filter, FilterProtocol, Masquerade, Nat, Publish, Snat, State, Transport};
pub use namespace::{Interface, Namespace};
pub use read::{Named, Read, Spanned};
pub use routing::{PolicyRule, Route, RuleType};
pub use scalar_lab::Text;
pub use scalar_net::{Address, Destination, Ports, Prefix, PublishTo};
pub use virtual_interface::{Ipip, Ipvlan, Macvlan, Parent, VirtualInterface, Vlan, VlanId, Vrf};
pub use vxlan::{Forward, Vxlan};
