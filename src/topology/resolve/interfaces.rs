//! Interfaces: which there are, what they carry, which bridge each is plugged into, and what a broadcast reaches.

use std::collections::{BTreeMap, HashMap};

use super::cables::{Cable, Cables};
use super::net::{Interface, Names, Net, Space};
use crate::lab::{BridgeOptions, End, IfName, Link, LinkKind, NsName};
use crate::topology::fault::{Fault, Found, Span};
use crate::topology::written::{self, Address, At, File, Namespace};

/// A bridge has port numbers of ten bits, of which 0 is none (BR_MAX_PORTS in the kernel's br_private.h).
const MAX_PORTS: usize = 1023;

/// What else is known about an end of a link when its interface is made.
struct Socket<'f> {
    peer: End,
    mtu: Option<&'f At<u32>>,
    span: Span,
}

pub fn resolve<'f>(file: &'f File, cables: &Cables<'f>, found: &mut Found<'_>) -> Net<'f> {
    let namespaces = &file.namespaces.entries;
    let mut sockets: Vec<BTreeMap<IfName, Socket<'f>>> = namespaces.iter().map(|_| BTreeMap::new()).collect();
    for Cable { ends: [a, b], mtu } in &cables.list {
        for (this, other) in [(a, b), (b, a)] {
            if let (Some(sockets), Some((ns, _))) = (sockets.get_mut(this.space), namespaces.get(other.space)) {
                let peer = End { ns: ns.value.clone(), name: other.name.clone() };
                sockets.insert(this.name.clone(), Socket { peer, mtu: *mtu, span: this.span });
            }
        }
    }
    let mut spaces = Vec::with_capacity(namespaces.len());
    for ((name, written), sockets) in namespaces.iter().zip(sockets) {
        let maker = Maker { ns: &name.value, written, sockets, whole: cables.whole, found };
        spaces.push(maker.space());
    }
    let names = Names::new(file);
    super::segments::number(&mut spaces, cables, found);
    Net::new(spaces, names)
}

/// Makes the interfaces of one namespace.
struct Maker<'n, 'f, 't> {
    ns: &'n NsName,
    written: &'f Namespace,
    sockets: BTreeMap<IfName, Socket<'f>>,
    /// Whether all links are known.
    whole: bool,
    found: &'n mut Found<'t>,
}

impl<'f> Maker<'_, 'f, '_> {
    fn space(mut self) -> Space<'f> {
        let masters = self.ports();
        let mut interfaces: Vec<Interface> = Vec::new();
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
            interfaces.extend(self.bridge(name, bridge));
        }
        interfaces.sort_by_key(|interface| interface.span.start);
        for (name, socket) in std::mem::take(&mut self.sockets) {
            let mut link = veth(&socket, masters.get(&name));
            link.mtu = self.mtu(socket.mtu, &[]);
            interfaces.push(Interface { name, span: socket.span, link, addresses: Vec::new(), segment: 0 });
        }
        Space::new(self.ns.clone(), self.written, interfaces)
    }

    /// Which bridge each port is plugged into.
    fn ports(&mut self) -> HashMap<IfName, IfName> {
        let mut masters: HashMap<IfName, (IfName, Span)> = HashMap::new();
        for (bridge, written) in &self.written.bridges.entries {
            if let Some(port) = written.ports.get(MAX_PORTS) {
                let count = written.ports.len();
                let message =
                    format!("bridge `{}` has {count} ports; Linux bridges have {MAX_PORTS} at most", bridge.value);
                let help = "use several bridges and connect them with links".to_owned();
                self.found.add(Fault::new(port.span, message).help(help));
            }
            for port in &written.ports {
                if port.value.is_lo() {
                    self.found.add(Fault::new(port.span, "`lo` is the loopback; it cannot be plugged into a bridge"));
                } else if !self.sockets.contains_key(&port.value) {
                    self.no_end(port, "a port of a bridge");
                } else if let Some((_, first)) = masters.get(&port.value) {
                    let fault = Fault::new(port.span, format!("`{}` is already plugged into a bridge", port.value));
                    self.found.add(fault.also(*first, "here"));
                } else {
                    masters.insert(port.value.clone(), (bridge.value.clone(), port.span));
                }
            }
        }
        masters.into_iter().map(|(port, (bridge, _))| (port, bridge)).collect()
    }

    /// An interface that no link has.
    fn no_end(&mut self, name: &At<IfName>, what: &str) {
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
        self.found.add(Fault::new(name.span, message).help(help));
    }

    fn loopback(&mut self, span: Span, written: Option<&written::Interface>) -> Option<Interface> {
        let mut link = blank(LinkKind::Loopback);
        if self.ns.is_host() {
            self.found.add(Fault::new(span, "`lo` of `host` belongs to the machine; nslab leaves it alone"));
            return None;
        }
        let other = written.and_then(|lo| {
            let (mac, mtu, up) = (lo.mac.as_ref(), lo.mtu.as_ref(), lo.up.as_ref());
            mac.map(|mac| mac.span).or(mtu.map(|mtu| mtu.span)).or(up.map(|up| up.span))
        });
        if let Some(other) = other {
            self.found.add(Fault::new(other, "`lo` may have further addresses, and nothing else"));
        }
        let addresses = written.map(|lo| nets(&lo.addresses)).unwrap_or_default();
        link.addresses = addresses.iter().map(|address| address.value).collect();
        let name = IfName::lo();
        Some(Interface { name, span, link, addresses, segment: 0 })
    }

    /// An end of a link that the namespace describes.
    fn written_end(
        &mut self,
        name: &At<IfName>,
        written: &written::Interface,
        masters: &HashMap<IfName, IfName>,
    ) -> Option<Interface> {
        let Some(socket) = self.sockets.remove(&name.value) else {
            self.no_end(name, "an interface");
            return None;
        };
        let mut link = veth(&socket, masters.get(&name.value));
        if let (Some(both), Some(own)) = (socket.mtu, &written.mtu) {
            let fault = Fault::new(own.span, "the MTU stands here and in the link").also(both.span, "in the link");
            self.found.add(fault.help("keep one of them".to_owned()));
        }
        if let (Some(master), Some(address)) = (&link.master, written.addresses.first()) {
            let message =
                format!("`{}` is a port of bridge `{master}`, and a port has no address of its own", name.value);
            let help = format!("give {} to the bridge", address.value.0);
            self.found.add(Fault::new(address.span, message).help(help));
        }
        let addresses = nets(&written.addresses);
        link.mtu = self.mtu(written.mtu.as_ref().or(socket.mtu), &written.addresses);
        link.mac = written.mac.as_ref().map(|mac| mac.value);
        link.up = written.up.as_ref().is_none_or(|up| up.value);
        link.addresses = addresses.iter().map(|address| address.value).collect();
        Some(Interface { name: name.value.clone(), span: name.span, link, addresses, segment: 0 })
    }

    fn bridge(&mut self, name: &At<IfName>, written: &written::Bridge) -> Option<Interface> {
        let is = |other: &&(At<IfName>, written::Interface)| other.0.value == name.value;
        let taken = match self.written.interfaces.entries.iter().find(is) {
            Some((other, _)) => Some((other.span, "an interface")),
            None => self.sockets.get(&name.value).map(|socket| (socket.span, "the end of a link")),
        };
        if name.value.is_lo() {
            self.found.add(Fault::new(name.span, "`lo` is the loopback; a bridge needs another name"));
            return None;
        }
        if let Some((span, what)) = taken {
            let fault = Fault::new(name.span, format!("`{}` is a bridge here and {what} as well", name.value));
            self.found.add(fault.also(span, what));
            return None;
        }
        let on = |flag: &Option<At<bool>>, otherwise| flag.as_ref().map_or(otherwise, |flag| flag.value);
        let options =
            BridgeOptions { stp: on(&written.stp, false), vlan_filtering: on(&written.vlan_filtering, false) };
        let addresses = nets(&written.addresses);
        let link = Link {
            up: on(&written.up, true),
            mac: written.mac.as_ref().map(|mac| mac.value),
            mtu: self.mtu(written.mtu.as_ref(), &written.addresses),
            addresses: addresses.iter().map(|address| address.value).collect(),
            ..blank(LinkKind::Bridge(options))
        };
        Some(Interface { name: name.value.clone(), span: name.span, link, addresses, segment: 0 })
    }

    /// The MTU, if it is one that the kernel takes: 68 is IPv4's least (RFC 791), 1280 IPv6's (RFC 8200).
    fn mtu(&mut self, mtu: Option<&At<u32>>, addresses: &[At<Address>]) -> Option<u32> {
        let mtu = mtu?;
        let ipv6 = addresses.iter().any(|address| address.value.0.addr().is_ipv6());
        let least = if ipv6 { 1280 } else { 68 };
        if !(least..=65535).contains(&mtu.value) {
            let why = if ipv6 { " where there is an IPv6 address" } else { "" };
            let message = format!("an MTU of {} bytes; it has to be from {least} to 65535{why}", mtu.value);
            self.found.add(Fault::new(mtu.span, message));
        }
        Some(mtu.value)
    }
}

/// An interface with nothing on it yet.
fn blank(kind: LinkKind) -> Link {
    let addresses = indexmap::IndexSet::new();
    Link { owner: None, kind, up: true, mac: None, mtu: None, master: None, addresses }
}

fn veth(socket: &Socket<'_>, master: Option<&IfName>) -> Link {
    Link { master: master.cloned(), ..blank(LinkKind::Veth { peer: Some(socket.peer.clone()) }) }
}

fn nets(addresses: &[At<Address>]) -> Vec<At<ipnet::IpNet>> {
    addresses.iter().map(At::<Address>::net).collect()
}
