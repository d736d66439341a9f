//! The interfaces of a namespace: which there are, and what each has.

use std::collections::HashMap;

use super::bridge_port::{self, Attachment, Masters};
use super::mtu::plausible_mtu;
use super::net::{ResolvedInterface, ResolvedNamespace};
use super::veth::Veths;
use super::{bridge, virtual_interface};
use crate::lab::{Address, IfName, Interface, InterfaceKind, NsName};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Namespace, Spanned};

/// A namespace with its interfaces.
pub fn namespace<'f>(
    ns: &NsName,
    written: &'f Namespace,
    veths: Veths<'f>,
    found: &mut Collector<'_>,
) -> ResolvedNamespace<'f> {
    let masters = bridge_port::masters(ns, written, &veths, found);
    Maker::new(ns, written, veths, masters, found).namespace()
}

/// Makes the interfaces of one namespace.
struct Maker<'n, 'f, 't> {
    ns: &'n NsName,
    written: &'f Namespace,
    veths: Veths<'f>,
    masters: Masters,
    /// What has each name: an interface that is described, or else the first bridge or virtual interface.
    named: HashMap<&'f IfName, Claim>,
    found: &'n mut Collector<'t>,
}

/// Where a name is claimed, and for what: "a bridge".
type Claim = (Span, &'static str);

impl<'n, 'f, 't> Maker<'n, 'f, 't> {
    fn new(
        ns: &'n NsName,
        written: &'f Namespace,
        veths: Veths<'f>,
        masters: Masters,
        found: &'n mut Collector<'t>,
    ) -> Self {
        let interfaces = written.interfaces.entries.iter().map(|(name, _)| (name, "an interface"));
        let bridges = written.bridges.entries.iter().map(|(name, _)| (name, "a bridge"));
        let others = written.virtual_interfaces().map(|(name, own)| (name, own.called()));
        // Of two with one name, the later one is at fault.
        let mut later: Vec<(&Spanned<IfName>, &str)> = bridges.chain(others).collect();
        later.sort_by_key(|(name, _)| name.span.start);
        let mut named = HashMap::new();
        for (name, what) in interfaces.chain(later) {
            named.entry(&name.value).or_insert((name.span, what));
        }
        Self { ns, written, veths, masters, named, found }
    }

    fn namespace(mut self) -> ResolvedNamespace<'f> {
        let mut interfaces: Vec<ResolvedInterface> = Vec::new();
        if !self.ns.is_host() && !self.written.interfaces.entries.iter().any(|(name, _)| name.value.is_lo()) {
            interfaces.extend(self.loopback(Span::default(), None));
        }
        for (name, interface) in &self.written.interfaces.entries {
            let made = match name.value.is_lo() {
                true => self.loopback(name.span, Some(interface)),
                false => self.veth(name, interface),
            };
            interfaces.extend(made);
        }
        for (name, bridge) in &self.written.bridges.entries {
            if self.is_free(name, "a bridge") {
                interfaces.push(bridge::bridge(name, bridge, &self.masters, self.found));
            }
        }
        for (name, own) in self.written.virtual_interfaces() {
            if self.is_free(name, own.called()) {
                let mut interface = virtual_interface::interface(self.ns, name, own, self.found);
                self.attach(name, &own.common().addresses, &mut interface.model);
                interfaces.push(interface);
            }
        }
        interfaces.sort_by_key(|interface| interface.span.start);
        for (name, veth) in std::mem::take(&mut self.veths.by_name) {
            let mut model = veth.interface();
            if let Some(attachment) = self.masters.get(&name) {
                attachment.apply(&mut model);
            }
            model.mtu = plausible_mtu(veth.mtu, &[], self.found);
            interfaces.push(ResolvedInterface {
                name,
                span: veth.span,
                model,
                addresses: Vec::new(),
                broadcast_domain: 0,
            });
        }
        ResolvedNamespace::new(self.ns.clone(), self.written, interfaces)
    }

    fn loopback(&mut self, span: Span, written: Option<&schema::Interface>) -> Option<ResolvedInterface> {
        let mut model = Interface::new(InterfaceKind::Loopback);
        if self.ns.is_host() {
            self.found.add(Diagnostic::new(
                Code::Loopback,
                span,
                "`lo` of `host` belongs to the machine; nslab leaves it alone",
            ));
            return None;
        }
        let other = written.and_then(|lo| {
            let (mac, mtu, up) = (lo.mac.as_ref(), lo.mtu.as_ref(), lo.up.as_ref());
            mac.map(|mac| mac.span).or(mtu.map(|mtu| mtu.span)).or(up.map(|up| up.span))
        });
        if let Some(other) = other {
            self.found.add(Diagnostic::new(Code::Loopback, other, "`lo` may have further addresses and nothing else"));
        }
        let addresses = written.map(|lo| lo.addresses.clone()).unwrap_or_default();
        model.addresses = addresses.iter().map(|address| address.value).collect();
        let name = IfName::lo();
        Some(ResolvedInterface { name, span, model, addresses, broadcast_domain: 0 })
    }

    /// An interface of a link that the namespace describes.
    fn veth(&mut self, name: &Spanned<IfName>, written: &schema::Interface) -> Option<ResolvedInterface> {
        let Some(veth) = self.veths.by_name.remove(&name.value) else {
            // That it is a virtual interface as well is reported there.
            if !self.written.virtual_interfaces().any(|(own, _)| own.value == name.value) {
                self.veths.unknown(self.ns, name, "an interface", self.found);
            }
            return None;
        };
        let mut model = veth.interface();
        self.attach(name, &written.addresses, &mut model);
        if let (Some(both), Some(own)) = (veth.mtu, &written.mtu) {
            let fault = Diagnostic::new(Code::KeyTwice, own.span, "the MTU is given here and in the link")
                .also(both.span, "in the link");
            self.found.add(fault.help("keep one of them".to_owned()));
        }
        let addresses = written.addresses.clone();
        model.mtu = plausible_mtu(written.mtu.as_ref().or(veth.mtu), &written.addresses, self.found);
        model.mac = written.mac.as_ref().map(|mac| mac.value);
        model.up = written.up.as_ref().is_none_or(|up| up.value);
        model.addresses = addresses.iter().map(|address| address.value).collect();
        Some(ResolvedInterface { name: name.value.clone(), span: name.span, model, addresses, broadcast_domain: 0 })
    }

    /// Whether nothing else of the namespace has the name of a bridge or a virtual interface; else that is a fault.
    fn is_free(&mut self, name: &Spanned<IfName>, what: &str) -> bool {
        if name.value.is_lo() {
            self.found.add(Diagnostic::new(
                Code::Loopback,
                name.span,
                format!("`lo` is the loopback; {what} needs another name"),
            ));
            return false;
        }
        if name.value.is_fallback_tunnel() {
            let message = format!("`{}` is {what} here and an interface of the kernel's as well", name.value);
            let help = "with its tunnels, the kernel puts one of this name into every namespace: choose another name";
            self.found.add(Diagnostic::new(Code::NameTwice, name.span, message).help(help.to_owned()));
            return false;
        }
        let claimed = self.named.get(&name.value).filter(|claim| **claim != (name.span, what)).copied();
        let taken =
            claimed.or_else(|| self.veths.by_name.get(&name.value).map(|veth| (veth.span, "an interface of a link")));
        if let Some((span, other)) = taken {
            let fault = Diagnostic::new(
                Code::NameTwice,
                name.span,
                format!("`{}` is {what} here and {other} as well", name.value),
            );
            self.found.add(fault.also(span, other));
        }
        taken.is_none()
    }

    /// Attaches an interface to the bridge, or the VRF, that has it as a port.
    fn attach(&mut self, name: &Spanned<IfName>, addresses: &[Spanned<Address>], interface: &mut Interface) {
        let Some(attachment) = self.masters.get(&name.value) else { return };
        attachment.apply(interface);
        if let (Attachment { master, is_bridge: true, .. }, Some(address)) = (attachment, addresses.first()) {
            let message =
                format!("`{}` is a port of bridge `{master}`, and a port has no address of its own", name.value);
            let help = format!("give {} to the bridge", address.value);
            self.found.add(Diagnostic::new(Code::AddressOnPort, address.span, message).help(help));
        }
    }
}
