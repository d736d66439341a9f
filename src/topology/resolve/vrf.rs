//! VRFs: which table and which ports each can have.

use super::super::diagnostics::{Collector, Diagnostic};
use crate::lab::{IfName, NsName};
use crate::topology::code::Code;
use crate::topology::schema::{Namespace, Spanned, Vrf};

/// The tables that every namespace has: `default`, `main` and `local` (linux/rtnetlink.h).
const EVERYBODYS_TABLES: [u32; 3] = [253, 254, 255];

/// Checks a VRF by itself.
pub fn check(ns: &NsName, name: &Spanned<IfName>, vrf: &Vrf, found: &mut Collector<'_>) {
    if ns.is_host() {
        let help = "put its ports and it into a namespace".to_owned();
        let message =
            "with its first VRF, the kernel adds a policy rule to `host` that would stay after the lab is removed";
        found.add(Diagnostic::new(Code::VrfInHost, name.span, message).help(help));
    }
    if EVERYBODYS_TABLES.contains(&vrf.table.value.0) {
        let message = "the kernel uses this table for everything; a VRF needs its own";
        found.add(
            Diagnostic::new(Code::ReservedTable, vrf.table.span, message)
                .help("write another number, such as 100".to_owned()),
        );
    }
}

/// Whether an interface can be a port of a VRF; else that is a fault.
pub fn can_be_port(port: &Spanned<IfName>, written: &Namespace, is_end: bool, found: &mut Collector<'_>) -> bool {
    let name = &port.value;
    let is_bridge = written.bridges.entries.iter().any(|(bridge, _)| bridge.value == *name);
    let is_vrf = written.vrfs.entries.iter().any(|(vrf, _)| vrf.value == *name);
    if is_end || is_bridge || (!is_vrf && written.virtual_interfaces().any(|(device, _)| device.value == *name)) {
        return true;
    }
    if name.is_lo() {
        found.add(Diagnostic::new(Code::Loopback, port.span, "`lo` is the loopback; it cannot be a port of a vrf"));
    } else if is_vrf {
        found.add(Diagnostic::new(Code::BadPort, port.span, format!("the vrf `{name}` cannot be a port of a vrf")));
    } else if written.whole {
        let ends = written.interfaces.entries.iter().map(|(name, _)| name.value.as_str());
        let bridges = written.bridges.entries.iter().map(|(name, _)| name.value.as_str());
        let help = found.did_you_mean(name.as_str(), ends.chain(bridges));
        found.add(
            Diagnostic::new(Code::UnknownInterface, port.span, format!("there is no interface `{name}` here"))
                .help(help),
        );
    }
    false
}
