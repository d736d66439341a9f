//! Namespaces, observing and steps, against the kernel's own account.

// The lints spare `#[test]` functions, but not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "kernel_netlink/foreign.rs"]
mod foreign;
#[path = "kernel_netlink/observe.rs"]
mod observed;
#[path = "kernel_netlink/routing.rs"]
mod routing;
#[path = "kernel_netlink/steps.rs"]
mod steps;
#[path = "kernel_netlink/trouble.rs"]
mod trouble;
#[path = "kernel_netlink/virtual_interfaces.rs"]
mod virtual_interfaces;
#[path = "kernel_netlink/vlans.rs"]
mod vlans;

use nslab::kernel::{Kernel, Scope};
use nslab::lab::{IfName, InterfaceRef, Lab, LabName, Namespace, NsName, Observed};

fn lab() -> LabName {
    "t".parse().unwrap()
}

fn ns(name: &str) -> NsName {
    name.parse().unwrap()
}

fn name(name: &str) -> IfName {
    name.parse().unwrap()
}

/// `red/veth-red`.
fn end(text: &str) -> InterfaceRef {
    let (ns_name, interface) = text.split_once('/').unwrap();
    InterfaceRef { ns: ns(ns_name), name: name(interface) }
}

/// A lab that wants these namespaces, whatever is in them.
fn wanting(namespaces: impl IntoIterator<Item = NsName>) -> Lab {
    let namespaces = namespaces.into_iter().map(|ns| (ns, Namespace::default())).collect();
    Lab::of(lab(), namespaces)
}

fn observe(kernel: &mut Kernel, desired: &Lab) -> Observed {
    kernel.observe(&Scope { lab: &lab(), desired: Some(desired), inside: true }).unwrap()
}
