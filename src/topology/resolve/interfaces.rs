//! Interfaces: which there are, what they carry, which bridge each is plugged into, and what a broadcast reaches.

use std::collections::{BTreeMap, HashMap};

use super::net::{Names, Net, ResolvedInterface, Space};
use super::veths::{VethPair, VethPairs};
use super::{virtual_interfaces, vlans, vrfs};
use crate::lab::{BridgeOptions, IfName, Interface, InterfaceKind, InterfaceRef, NsName, Vlans};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Address, File, Namespace, Spanned};

/// A bridge has port numbers of ten bits, of which 0 is none (BR_MAX_PORTS in the kernel's br_private.h).
const MAX_PORTS: usize = 1023;

/// What each port is a port of.
type Masters = HashMap<IfName, Attachment>;

/// A port's place in a bridge or a VRF.
struct Attachment {
    master: IfName,
    is_bridge: bool,
    /// Where it is plugged in.
    span: Span,
    vlans: Option<Vlans>,
}

/// What else is known about an end of a link when its interface is made.
struct Socket<'f> {
    peer: InterfaceRef,
    mtu: Option<&'f Spanned<u32>>,
    span: Span,
}

pub fn resolve<'f>(file: &'f File, cables: &VethPairs<'f>, found: &mut Collector<'_>) -> Net<'f> {
    let namespaces = &file.namespaces.entries;
    let mut sockets: Vec<BTreeMap<IfName, Socket<'f>>> = namespaces.iter().map(|_| BTreeMap::new()).collect();
    for VethPair { ends: [a, b], mtu } in &cables.list {
        for (this, other) in [(a, b), (b, a)] {
            if let (Some(sockets), Some((ns, _))) = (sockets.get_mut(this.space), namespaces.get(other.space)) {
                let peer = InterfaceRef { ns: ns.value.clone(), name: other.name.clone() };
                sockets.insert(this.name.clone(), Socket { peer, mtu: *mtu, span: this.span });
            }
        }
    }
    let mut spaces = Vec::with_capacity(namespaces.len());
    for ((name, written), sockets) in namespaces.iter().zip(sockets) {
        spaces.push(Maker::new(&name.value, written, sockets, cables.whole, found).space());
    }
    let names = Names::new(file);
    let devices = virtual_interfaces::finish(&mut spaces, &names, found);
    super::broadcast_domains::number(&mut spaces, cables, &devices, found);
    Net::new(spaces, names)
}

/// Makes the interfaces of one namespace.
struct Maker<'n, 'f, 't> {
    ns: &'n NsName,
    written: &'f Namespace,
    sockets: BTreeMap<IfName, Socket<'f>>,
    /// What has each name: an interface that is described, or else the first bridge or device.
    named: HashMap<&'f IfName, Claim>,
    devices: HashMap<&'f IfName, schema::VirtualInterface<'f>>,
    /// Whether all links are known.
    whole: bool,
    found: &'n mut Collector<'t>,
}

/// Where a name is claimed, and for what: "a bridge".
type Claim = (Span, &'static str);

impl<'n, 'f, 't> Maker<'n, 'f, 't> {
    fn new(
        ns: &'n NsName,
        written: &'f Namespace,
        sockets: BTreeMap<IfName, Socket<'f>>,
        whole: bool,
        found: &'n mut Collector<'t>,
    ) -> Self {
        let interfaces = written.interfaces.entries.iter().map(|(name, _)| (name, "an interface"));
        let bridges = written.bridges.entries.iter().map(|(name, _)| (name, "a bridge"));
        let devices = written.devices().map(|(name, device)| (name, device.called()));
        // Of two that are told here, the later one is at fault.
        let mut later: Vec<(&Spanned<IfName>, &str)> = bridges.chain(devices).collect();
        later.sort_by_key(|(name, _)| name.span.start);
        let mut named = HashMap::new();
        for (name, what) in interfaces.chain(later) {
            named.entry(&name.value).or_insert((name.span, what));
        }
        let devices = written.devices().map(|(name, device)| (&name.value, device)).collect();
        Self { ns, written, sockets, named, devices, whole, found }
    }

    fn space(mut self) -> Space<'f> {
        let masters = self.ports();
        let mut interfaces: Vec<ResolvedInterface> = Vec::new();
        if !self.ns.is_host() && !self.written.interfaces.entries.iter().any(|(name, _)| name.value.is_lo()) {
            interfaces.extend(self.loopback(Span::default(), None));
        }
        for (name, interface) in &self.written.interfaces.entries {
            let made = match name.value.is_lo() {
                true => self.loopback(name.span, Some(interface)),
                false => self.written_end(name, interface, &masters),
            };
            interfaces.extend(made);
        }
        for (name, bridge) in &self.written.bridges.entries {
            interfaces.extend(self.bridge(name, bridge, &masters));
        }
        for (name, device) in self.written.devices() {
            if self.is_free(name, device.called()) {
                let mut interface = virtual_interfaces::interface(self.ns, name, device, self.found);
                self.plug(name, &device.common().addresses, &mut interface.link, &masters);
                interfaces.push(interface);
            }
        }
        interfaces.sort_by_key(|interface| interface.span.start);
        for (name, socket) in std::mem::take(&mut self.sockets) {
            let mut link = veth(&socket, masters.get(&name));
            link.mtu = plausible_mtu(socket.mtu, &[], self.found);
            interfaces.push(ResolvedInterface {
                name,
                span: socket.span,
                link,
                addresses: Vec::new(),
                broadcast_domain: 0,
            });
        }
        Space::new(self.ns.clone(), self.written, interfaces)
    }

    /// What each port is a port of.
    fn ports(&mut self) -> Masters {
        let mut masters = Masters::new();
        for (bridge, written) in &self.written.bridges.entries {
            let ports = &written.ports.0;
            if let Some((port, _)) = ports.get(MAX_PORTS) {
                let count = ports.len();
                let message =
                    format!("bridge `{}` has {count} ports; Linux bridges have {MAX_PORTS} at most", bridge.value);
                let help = "use several bridges and connect them with links".to_owned();
                self.found.add(Diagnostic::new(Code::TooMany, port.span, message).help(help));
            }
            for (port, has) in ports {
                let vlans = vlans::of(has.vlan.as_ref(), has.vlans.as_ref(), self.found);
                if self.can_be_port(port) {
                    let plug = Attachment { master: bridge.value.clone(), span: port.span, is_bridge: true, vlans };
                    self.once(port, plug, &mut masters);
                }
            }
        }
        for (vrf, written) in &self.written.vrfs.entries {
            vrfs::check(self.ns, vrf, written, self.found);
            for port in &written.ports {
                if vrfs::can_be_port(port, self.written, self.sockets.contains_key(&port.value), self.found) {
                    let plug = Attachment { master: vrf.value.clone(), span: port.span, is_bridge: false, vlans: None };
                    self.once(port, plug, &mut masters);
                }
            }
        }
        masters
    }

    /// Notes whose port an interface is; a second time, that is a fault.
    fn once(&mut self, port: &Spanned<IfName>, plug: Attachment, masters: &mut Masters) {
        match masters.get(&port.value) {
            Some(Attachment { span: first, is_bridge, .. }) => {
                let place = if *is_bridge { "plugged into a bridge" } else { "the port of a vrf" };
                let fault = Diagnostic::new(Code::PortTwice, port.span, format!("`{}` is already {place}", port.value));
                self.found.add(fault.also(*first, "here"));
            }
            None => drop(masters.insert(port.value.clone(), plug)),
        }
    }

    /// Whether an interface can be plugged into a bridge; else that is a fault.
    fn can_be_port(&mut self, port: &Spanned<IfName>) -> bool {
        let name = &port.value;
        if name.is_lo() {
            self.found.add(Diagnostic::new(
                Code::Loopback,
                port.span,
                "`lo` is the loopback; it cannot be plugged into a bridge",
            ));
            return false;
        }
        if self.sockets.contains_key(name) {
            return true;
        }
        let Some(device) = self.devices.get(name) else {
            self.no_end(port, "a port of a bridge");
            return false;
        };
        if !device.can_be_port() {
            let message = format!("{} such as `{name}` cannot be plugged into a bridge", device.called());
            self.found.add(Diagnostic::new(Code::BadPort, port.span, message));
        }
        device.can_be_port()
    }

    /// An interface that no link has.
    fn no_end(&mut self, name: &Spanned<IfName>, what: &str) {
        if !self.whole {
            return;
        }
        let text = name.value.as_str();
        let help = match self.found.did_you_mean(text, self.sockets.keys().map(IfName::as_str)) {
            Some(help) => help,
            None if self.ns.is_host() => {
                "in `host`, nslab looks after ends of links and bridges only; the machine's own \
                interfaces are left alone"
                    .to_owned()
            }
            None => format!("add a link with the end {}/{text}", self.ns),
        };
        let message = format!("`{text}` is no end of a link, and {what} has to be one");
        self.found.add(Diagnostic::new(Code::UnknownInterface, name.span, message).help(help));
    }

    fn loopback(&mut self, span: Span, written: Option<&schema::Interface>) -> Option<ResolvedInterface> {
        let mut link = blank(InterfaceKind::Loopback);
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
            self.found.add(Diagnostic::new(Code::Loopback, other, "`lo` may have further addresses, and nothing else"));
        }
        let addresses = written.map(|lo| nets(&lo.addresses)).unwrap_or_default();
        link.addresses = addresses.iter().map(|address| address.value).collect();
        let name = IfName::lo();
        Some(ResolvedInterface { name, span, link, addresses, broadcast_domain: 0 })
    }

    /// An end of a link that the namespace describes.
    fn written_end(
        &mut self,
        name: &Spanned<IfName>,
        written: &schema::Interface,
        masters: &Masters,
    ) -> Option<ResolvedInterface> {
        let Some(socket) = self.sockets.remove(&name.value) else {
            // Of a device, that it is described twice is told there.
            if !self.devices.contains_key(&name.value) {
                self.no_end(name, "an interface");
            }
            return None;
        };
        let mut link = veth(&socket, None);
        self.plug(name, &written.addresses, &mut link, masters);
        if let (Some(both), Some(own)) = (socket.mtu, &written.mtu) {
            let fault = Diagnostic::new(Code::KeyTwice, own.span, "the MTU stands here and in the link")
                .also(both.span, "in the link");
            self.found.add(fault.help("keep one of them".to_owned()));
        }
        let addresses = nets(&written.addresses);
        link.mtu = plausible_mtu(written.mtu.as_ref().or(socket.mtu), &written.addresses, self.found);
        link.mac = written.mac.as_ref().map(|mac| mac.value);
        link.up = written.up.as_ref().is_none_or(|up| up.value);
        link.addresses = addresses.iter().map(|address| address.value).collect();
        Some(ResolvedInterface { name: name.value.clone(), span: name.span, link, addresses, broadcast_domain: 0 })
    }

    fn bridge(
        &mut self,
        name: &Spanned<IfName>,
        written: &schema::Bridge,
        masters: &Masters,
    ) -> Option<ResolvedInterface> {
        if !self.is_free(name, "a bridge") {
            return None;
        }
        let on = |flag: &Option<Spanned<bool>>, otherwise| flag.as_ref().map_or(otherwise, |flag| flag.value);
        let vlan_filtering = vlans::filtering(written, self.found);
        let options = BridgeOptions { stp: on(&written.stp, false), vlan_filtering };
        let addresses = nets(&written.addresses);
        let link = Interface {
            up: on(&written.up, true),
            mac: written.mac.as_ref().map(|mac| mac.value),
            mtu: plausible_mtu(written.mtu.as_ref(), &written.addresses, self.found),
            master: masters.get(&name.value).map(|plug| plug.master.clone()),
            vlans: vlans::of(written.vlan.as_ref(), written.vlans.as_ref(), self.found),
            addresses: addresses.iter().map(|address| address.value).collect(),
            ..blank(InterfaceKind::Bridge(options))
        };
        Some(ResolvedInterface { name: name.value.clone(), span: name.span, link, addresses, broadcast_domain: 0 })
    }

    /// Whether nothing else of the namespace has the name of a bridge or a device; else that is a fault.
    fn is_free(&mut self, name: &Spanned<IfName>, what: &str) -> bool {
        if name.value.is_lo() {
            self.found.add(Diagnostic::new(
                Code::Loopback,
                name.span,
                format!("`lo` is the loopback; {what} needs another name"),
            ));
            return false;
        }
        let claimed = self.named.get(&name.value).filter(|claim| **claim != (name.span, what)).copied();
        let taken = claimed.or_else(|| self.sockets.get(&name.value).map(|socket| (socket.span, "the end of a link")));
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

    /// Plugs an interface into the bridge, or the VRF, that has it as a port.
    fn plug(
        &mut self,
        name: &Spanned<IfName>,
        addresses: &[Spanned<Address>],
        link: &mut Interface,
        masters: &Masters,
    ) {
        let plug = masters.get(&name.value);
        attach(link, plug);
        if let (Some(Attachment { master, is_bridge: true, .. }), Some(address)) = (plug, addresses.first()) {
            let message =
                format!("`{}` is a port of bridge `{master}`, and a port has no address of its own", name.value);
            let help = format!("give {} to the bridge", address.value.0);
            self.found.add(Diagnostic::new(Code::AddressOnPort, address.span, message).help(help));
        }
    }
}

/// The MTU, if it is one that the kernel takes: 68 is IPv4's least (RFC 791), 1280 IPv6's (RFC 8200).
pub fn plausible_mtu(
    mtu: Option<&Spanned<u32>>,
    addresses: &[Spanned<Address>],
    found: &mut Collector<'_>,
) -> Option<u32> {
    let mtu = mtu?;
    let ipv6 = addresses.iter().any(|address| address.value.0.addr().is_ipv6());
    let least = if ipv6 { 1280 } else { 68 };
    if !(least..=65535).contains(&mtu.value) {
        let why = if ipv6 { " where there is an IPv6 address" } else { "" };
        let message = format!("an MTU of {} bytes; it has to be from {least} to 65535{why}", mtu.value);
        found.add(Diagnostic::new(Code::BadMtu, mtu.span, message));
    }
    Some(mtu.value)
}

/// An interface with nothing on it yet.
pub fn blank(kind: InterfaceKind) -> Interface {
    let addresses = indexmap::IndexSet::new();
    Interface { owner: None, kind, up: true, mac: None, mtu: None, master: None, vlans: None, addresses }
}

fn veth(socket: &Socket<'_>, plug: Option<&Attachment>) -> Interface {
    let mut link = blank(InterfaceKind::Veth { peer: Some(socket.peer.clone()) });
    attach(&mut link, plug);
    link
}

fn attach(link: &mut Interface, plug: Option<&Attachment>) {
    link.master = plug.map(|plug| plug.master.clone());
    link.vlans = plug.and_then(|plug| plug.vlans.clone());
}

pub fn nets(addresses: &[Spanned<Address>]) -> Vec<Spanned<ipnet::IpNet>> {
    addresses.iter().map(Spanned::<Address>::net).collect()
}
