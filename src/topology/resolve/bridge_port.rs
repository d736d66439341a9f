//! Ports: which bridge or VRF each interface of a namespace is attached to.

use std::collections::HashMap;

use super::veth::Veths;
use super::{vlans, vrf};
use crate::lab::{IfName, Interface, NsName, PortOptions, Vlans};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Bridge, Namespace, Port, Spanned, VirtualInterface};

/// A bridge has port numbers of ten bits, of which 0 is none (BR_MAX_PORTS in the kernel's br_private.h).
const MAX_PORTS: usize = 1023;

/// What each port is a port of.
pub type Masters = HashMap<IfName, Attachment>;

/// A port's place in a bridge or a VRF.
pub struct Attachment {
    pub master: IfName,
    pub is_bridge: bool,
    /// Where it is attached.
    span: Span,
    vlans: Option<Vlans>,
    options: PortOptions,
}

impl Attachment {
    /// Makes an interface a port.
    pub fn apply(&self, interface: &mut Interface) {
        interface.master = Some(self.master.clone());
        interface.vlans.clone_from(&self.vlans);
        interface.port = self.options;
    }
}

/// What each port of a namespace is a port of.
pub fn masters(ns: &NsName, written: &Namespace, veths: &Veths<'_>, found: &mut Collector<'_>) -> Masters {
    let mut masters = Masters::new();
    let others: HashMap<&IfName, VirtualInterface<'_>> =
        written.virtual_interfaces().map(|(name, own)| (&name.value, own)).collect();
    for (name, bridge) in &written.bridges.entries {
        too_many(name, bridge, found);
        for (port, has) in &bridge.ports.0 {
            let vlans = vlans::of(has.vlan.as_ref(), has.vlans.as_ref(), found);
            if can_be_port(ns, port, veths, &others, found) {
                let (master, span, options) = (name.value.clone(), port.span, options(has));
                let attachment = Attachment { master, span, is_bridge: true, vlans, options };
                once(port, attachment, &mut masters, found);
            }
        }
    }
    for (name, own) in &written.vrfs.entries {
        vrf::check(ns, name, own, found);
        for port in &own.ports {
            if vrf::can_be_port(port, written, veths.by_name.contains_key(&port.value), found) {
                let master = name.value.clone();
                let options = PortOptions::default();
                let attachment = Attachment { master, span: port.span, is_bridge: false, vlans: None, options };
                once(port, attachment, &mut masters, found);
            }
        }
    }
    masters
}

fn options(written: &Port) -> PortOptions {
    let new = PortOptions::default();
    PortOptions {
        hairpin: Spanned::is_on(written.hairpin.as_ref(), new.hairpin),
        isolated: Spanned::is_on(written.isolated.as_ref(), new.isolated),
        learning: Spanned::is_on(written.learning.as_ref(), new.learning),
        flood: Spanned::is_on(written.flood.as_ref(), new.flood),
        ..new
    }
}

fn too_many(name: &Spanned<IfName>, bridge: &Bridge, found: &mut Collector<'_>) {
    let ports = &bridge.ports.0;
    let Some((port, _)) = ports.get(MAX_PORTS) else { return };
    let count = ports.len();
    let message = format!("bridge `{}` has {count} ports; Linux bridges have {MAX_PORTS} at most", name.value);
    let help = "use several bridges and connect them with links".to_owned();
    found.add(Diagnostic::new(Code::TooMany, port.span, message).help(help));
}

/// Notes whose port an interface is; a second time is a mistake.
fn once(port: &Spanned<IfName>, attachment: Attachment, masters: &mut Masters, found: &mut Collector<'_>) {
    match masters.get(&port.value) {
        Some(Attachment { span: first, is_bridge, .. }) => {
            let place = if *is_bridge { "a port of a bridge" } else { "a port of a vrf" };
            let message = format!("`{}` is already {place}", port.value);
            found.add(Diagnostic::new(Code::PortTwice, port.span, message).also(*first, "here"));
        }
        None => drop(masters.insert(port.value.clone(), attachment)),
    }
}

/// Whether an interface can be a port of a bridge; if not, that is a mistake.
fn can_be_port(
    ns: &NsName,
    port: &Spanned<IfName>,
    veths: &Veths<'_>,
    others: &HashMap<&IfName, VirtualInterface<'_>>,
    found: &mut Collector<'_>,
) -> bool {
    let name = &port.value;
    if name.is_lo() {
        let message = "`lo` is the loopback; it cannot be a port of a bridge";
        found.add(Diagnostic::new(Code::Loopback, port.span, message));
        return false;
    }
    if veths.by_name.contains_key(name) {
        return true;
    }
    let Some(other) = others.get(name) else {
        veths.unknown(ns, port, "a port of a bridge", found);
        return false;
    };
    if !other.can_be_port() {
        let message = format!("{} such as `{name}` cannot be a port of a bridge", other.called());
        found.add(Diagnostic::new(Code::BadPort, port.span, message));
    }
    other.can_be_port()
}
