//! A random topology as a topology file. What makes no sense in its place (a route through an interface that is not
//! there) is left out, so that every file is a valid one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::topology::{
    Filter, Inside, Kind, Member, Nat, Neighbour, Pick, Place, PolicyRule, Route, Segment, Sysctl, Topology,
    VirtualInterface, Way,
};

/// The lab's name.
pub const LAB: &str = "random";

/// The text of the topology file; without VLANs for kernels whose bridges do not keep them apart.
pub fn yaml(topology: &Topology, vlans: bool) -> String {
    let mut wires = Wires { vlans, ..Wires::default() };
    for (n, segment) in topology.segments.iter().enumerate() {
        wires.segment(n + 1, segment, topology.spaces.len());
    }
    let mut namespaces = Map::new();
    for (space, inside) in topology.spaces.iter().enumerate() {
        let plugs = wires.plugs.remove(&space).unwrap_or_default();
        let mut seen = Seen { space, interfaces: plugs.interfaces.clone(), addresses: &wires.addresses };
        let mut body = plugs.body();
        seen.interfaces.extend(devices(&mut body, inside, &seen));
        fill(&mut body, inside, &seen);
        namespaces.insert(name(space), body.into());
    }
    let file = json!({ "name": LAB, "namespaces": namespaces, "links": wires.links });
    serde_saphyr::to_string(&file).expect("YAML")
}

fn name(space: usize) -> String {
    if space == 0 { "host".to_owned() } else { format!("n{space}") }
}

/// The subnets of a segment by its number: 10.N.0.0/24 and fd00:N::/64.
fn address(segment: usize, host: usize, ipv6: bool) -> String {
    if ipv6 { format!("fd00:{segment}::{host:x}") } else { format!("10.{segment}.0.{host}") }
}

fn subnet(segment: usize, ipv6: bool) -> String {
    if ipv6 { format!("fd00:{segment}::/64") } else { format!("10.{segment}.0.0/24") }
}

fn in_subnet(segment: usize, host: usize, ipv6: bool) -> String {
    format!("{}/{}", address(segment, host, ipv6), if ipv6 { 64 } else { 24 })
}

/// The interfaces and bridges of a namespace, as the file spells them.
#[derive(Default)]
struct Plugs {
    written: Map<String, Value>,
    bridges: Map<String, Value>,
    ends: usize,
    ports: usize,
    subnets: BTreeSet<usize>,
    interfaces: Vec<Interface>,
}

/// What can be referred to.
#[derive(Clone)]
struct Interface {
    name: String,
    up: bool,
    /// The segment in whose subnets it has addresses, and whether in an IPv6 one.
    addressed: Option<(usize, bool)>,
    /// Its own address there.
    host: usize,
}

impl Plugs {
    fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        for (key, map) in [("interfaces", self.written), ("bridges", self.bridges)] {
            if !map.is_empty() {
                body.insert(key.to_owned(), map.into());
            }
        }
        body
    }
}

/// All interfaces and links.
#[derive(Default)]
struct Wires {
    plugs: BTreeMap<usize, Plugs>,
    links: Vec<Value>,
    /// Every address of the lab.
    addresses: Vec<(String, bool)>,
    /// Whether ports have VLANs.
    vlans: bool,
}

impl Wires {
    fn segment(&mut self, number: usize, segment: &Segment, spaces: usize) {
        let members: Vec<&Member> = segment.members.iter().filter(|member| member.space < spaces).collect();
        match &segment.bridge {
            Some(bridge) if bridge.space < spaces => {
                let addressed = bridge.addressed && self.plugs(bridge.space).subnets.insert(number);
                let addresses = if addressed { self.addresses(number, 100, segment.ipv6, None) } else { Vec::new() };
                let mut ports = Vec::new();
                for member in members {
                    let end = self.end(number, segment, member);
                    let plugs = self.plugs(bridge.space);
                    let port = format!("p{}", plugs.ports);
                    plugs.ports += 1;
                    let own = member.vlans.written(self.vlans);
                    ports.push(if own.is_empty() { json!(port) } else { json!({ port.as_str(): own }) });
                    self.link(segment, end, format!("{}/{port}", name(bridge.space)));
                }
                let mut body: Value = bridge.vlans.written(self.vlans).into();
                body["ports"] = ports.into();
                body["stp"] = bridge.stp.into();
                body["addresses"] = addresses.into();
                settings(&mut body, bridge.mtu, bridge.mac.then_some((number, 100)), bridge.up);
                let plugs = self.plugs(bridge.space);
                let name = format!("br{number}");
                plugs.interfaces.push(Interface {
                    name: name.clone(),
                    up: bridge.up,
                    addressed: addressed.then_some((number, segment.ipv6)),
                    host: 100,
                });
                plugs.bridges.insert(name, body);
            }
            _ => {
                if let [a, b, ..] = members.as_slice() {
                    let (a, b) = (self.end(number, segment, a), self.end(number, segment, b));
                    self.link(segment, a, b);
                }
            }
        }
    }

    fn plugs(&mut self, space: usize) -> &mut Plugs {
        self.plugs.entry(space).or_default()
    }

    fn link(&mut self, segment: &Segment, a: String, b: String) {
        self.links.push(match segment.mtu {
            Some(mtu) => json!({ "ends": [a, b], "mtu": mtu }),
            None => json!([a, b]),
        });
    }

    fn addresses(&mut self, number: usize, host: usize, ipv6: bool, second: Option<Place>) -> Vec<String> {
        let mut written = Vec::new();
        for ipv6 in [false, true].into_iter().filter(|six| !six || ipv6) {
            let mut hosts = vec![host];
            match second {
                Some(Place::Before) => hosts.insert(0, host + 50),
                Some(Place::Behind) => hosts.push(host + 50),
                None => {}
            }
            for host in hosts {
                self.addresses.push((address(number, host, ipv6), ipv6));
                written.push(in_subnet(number, host, ipv6));
            }
        }
        written
    }

    /// One end of a cable; its name in `links`.
    fn end(&mut self, number: usize, segment: &Segment, member: &Member) -> String {
        // Two interfaces of a namespace cannot be in the same subnet.
        let addressed = member.addressed && self.plugs(member.space).subnets.insert(number);
        let host = member.space + 1;
        let addresses = if addressed { self.addresses(number, host, segment.ipv6, member.second) } else { Vec::new() };
        let plugs = self.plugs(member.space);
        let end = format!("eth{}", plugs.ends);
        let mut body = json!({ "addresses": addresses });
        let mtu = member.mtu.filter(|_| segment.mtu.is_none());
        settings(&mut body, mtu, member.mac.then_some((number, 10 + plugs.ends)), member.up);
        plugs.ends += 1;
        plugs.interfaces.push(Interface {
            name: end.clone(),
            up: member.up,
            addressed: addressed.then_some((number, segment.ipv6)),
            host,
        });
        plugs.written.insert(end.clone(), body);
        format!("{}/{end}", name(member.space))
    }
}

fn settings(body: &mut Value, mtu: Option<u32>, mac: Option<(usize, usize)>, up: bool) {
    if let Some(mtu) = mtu {
        body["mtu"] = mtu.into();
    }
    if let Some((segment, host)) = mac {
        body["mac"] = format!("02:00:00:00:{segment:02x}:{host:02x}").into();
    }
    if !up {
        body["up"] = false.into();
    }
}

/// What the inside of a namespace can refer to.
struct Seen<'a> {
    space: usize,
    interfaces: Vec<Interface>,
    addresses: &'a [(String, bool)],
}

/// Which one a pick means; none where there is nothing to pick from.
fn pick<T>(from: &[T], pick: Pick) -> Option<&T> {
    from.get(usize::from(pick) % from.len().max(1))
}

impl Seen<'_> {
    fn any(&self, which: Pick) -> Option<&str> {
        pick(&self.interfaces, which).map(|interface| interface.name.as_str())
    }

    /// An interface that is up and has an address: its name, its segment and its own address there.
    fn connected(&self, which: Pick, ipv6: bool) -> Option<(&str, usize, usize)> {
        let fit: Vec<_> = self
            .interfaces
            .iter()
            .filter(|interface| interface.up)
            .filter_map(|interface| {
                let (segment, six) = interface.addressed?;
                (six || !ipv6).then_some((interface.name.as_str(), segment, interface.host))
            })
            .collect();
        pick(&fit, which).copied()
    }

    /// An address of the namespace itself.
    fn own(&self, which: Pick, ipv6: bool) -> Option<String> {
        self.connected(which, ipv6).map(|(_, segment, host)| address(segment, host, ipv6))
    }
}

/// Writes the devices; as interfaces that others can refer to.
fn devices(body: &mut Map<String, Value>, inside: &Inside, seen: &Seen<'_>) -> Vec<Interface> {
    let mut made = Vec::new();
    for (n, device) in inside.devices.iter().enumerate() {
        let Some((map, mut written)) = device_kind(n, device, seen) else { continue };
        let (name, segment, host) = (format!("dev{n}"), 20 + n, seen.space + 1);
        if device.addressed {
            written["addresses"] = json!([in_subnet(segment, host, false)]);
        }
        settings(&mut written, device.mtu, device.mac.then_some((segment, host)), device.up);
        body.entry(map).or_insert_with(|| json!({}))[&name] = written;
        let addressed = device.addressed.then_some((segment, false));
        made.push(Interface { name, up: device.up, addressed, host });
    }
    made
}

/// The map that a device stands in, and what is said of its kind alone.
fn device_kind(n: usize, device: &VirtualInterface, seen: &Seen<'_>) -> Option<(&'static str, Value)> {
    match &device.kind {
        Kind::Macvlan { mode } => Some(("macvlans", json!({ "parent": seen.any(device.upon)?, "mode": mode }))),
        Kind::Vxlan { bound, learning, port, fdb } => {
            let (dev, segment, host) = seen.connected(device.upon, device.ipv6)?;
            let mut written =
                json!({ "id": 40 + n, "local": address(segment, host, device.ipv6), "learning": learning });
            if *bound {
                written["dev"] = dev.into();
            }
            if let Some(port) = port {
                written["port"] = (*port).into();
            }
            let entry = |(mac, to): &(Option<Pick>, Pick)| match mac {
                Some(mac) => {
                    json!({ "mac": format!("02:00:00:00:fe:{mac:02x}"), "to": address(segment, 200, device.ipv6) })
                }
                None => json!({ "to": address(segment, 200 + usize::from(*to), device.ipv6) }),
            };
            written["fdb"] = distinct(fdb.iter().map(entry), &["mac", "to"]).into();
            Some(("vxlans", written))
        }
    }
}

fn fill(body: &mut Map<String, Value>, inside: &Inside, seen: &Seen<'_>) {
    if let Some(forwarding) = inside.forwarding {
        body.insert("forwarding".to_owned(), forwarding.into());
    }
    if inside.loopback && seen.space > 0 {
        let lo =
            json!({ "addresses": [format!("10.255.0.{}/32", seen.space), format!("fd00:255::{}/128", seen.space)] });
        body.entry("interfaces").or_insert_with(|| json!({}))["lo"] = lo;
    }
    let mut list = |key: &str, entries: Vec<Value>| {
        if !entries.is_empty() {
            body.insert(key.to_owned(), entries.into());
        }
    };
    list("routes", distinct(inside.routes.iter().filter_map(|one| route(one, seen)), &["to", "table", "metric"]));
    let all = ["priority", "from", "to", "iif", "oif", "fwmark", "table", "type", "family"];
    list("rules", distinct(inside.rules.iter().filter_map(|one| rule(one, seen)), &all));
    list("neighbours", distinct(inside.neighbours.iter().filter_map(|one| neighbour(one, seen)), &["to"]));
    list("nat", inside.nat.iter().enumerate().filter_map(|(n, one)| nat(n, one, seen)).collect());
    list("filter", inside.filter.iter().map(|one| filter(one, seen)).collect());
    let sysctls: Map<String, Value> = inside.sysctls.iter().filter_map(|one| sysctl(one, seen)).collect();
    if !sysctls.is_empty() {
        body.insert("sysctls".to_owned(), sysctls.into());
    }
}

/// The entries without those that have all these keys in common with one before them.
fn distinct(entries: impl Iterator<Item = Value>, keys: &[&str]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    entries.filter(|entry| seen.insert(keys.iter().map(|key| entry[key].to_string()).collect::<Vec<_>>())).collect()
}

fn route(route: &Route, seen: &Seen<'_>) -> Option<Value> {
    let ipv6 = route.ipv6;
    let mut to = match (route.to, ipv6) {
        (0, false) => "0.0.0.0/0".to_owned(),
        (0, true) => "::/0".to_owned(),
        (1, false) => "10.201.0.1/32".to_owned(),
        (1, true) => "fd00:201::1/128".to_owned(),
        (to, false) => format!("10.20{to}.0.0/16"),
        (to, true) => format!("fd00:20{to}::/64"),
    };
    let mut written = json!({});
    match route.way {
        Way::Via(subnet, gateway) => {
            let (_, segment, _) = seen.connected(subnet, ipv6)?;
            written["via"] = address(segment, 200 + usize::from(gateway) % 3, ipv6).into();
        }
        Way::Onlink(subnet) => {
            let (name, ..) = seen.connected(subnet, ipv6)?;
            to = if ipv6 { "fd00:210::/64" } else { "10.210.0.0/16" }.to_owned();
            written["via"] = if ipv6 { "fd00:211::1" } else { "10.211.0.1" }.into();
            written["dev"] = name.into();
            written["onlink"] = true.into();
        }
        Way::Dev(subnet) => written["dev"] = seen.connected(subnet, ipv6)?.0.into(),
        Way::Drop(kind) => written["type"] = kind.into(),
    }
    if let (true, Way::Via(subnet, _)) = (route.source, &route.way) {
        written["source"] = seen.own(*subnet, ipv6)?.into();
    }
    written["to"] = to.into();
    for (key, value) in [("metric", route.metric), ("table", route.table)] {
        if let Some(value) = value {
            written[key] = value.into();
        }
    }
    Some(written)
}

fn rule(rule: &PolicyRule, seen: &Seen<'_>) -> Option<Value> {
    let mut written = json!({ "family": if rule.ipv6 { "6" } else { "4" } });
    // Without a priority, it would have one that depends on the rules that are left out.
    written["priority"] = (2000 + u32::from(rule.priority.unwrap_or(0))).into();
    for (key, net) in [("from", rule.from), ("to", rule.to)] {
        if let Some(net) = net {
            written[key] = subnet(usize::from(net % 4) + 1, rule.ipv6).into();
        }
    }
    for (key, interface) in [("iif", rule.iif), ("oif", rule.oif)] {
        if let Some(interface) = interface {
            written[key] = seen.any(interface)?.into();
        }
    }
    if let Some(mark) = rule.fwmark {
        written["fwmark"] = mark.into();
    }
    match rule.table {
        Some(table) => written["table"] = table.into(),
        None => written["type"] = "prohibit".into(),
    }
    Some(written)
}

fn neighbour(neighbour: &Neighbour, seen: &Seen<'_>) -> Option<Value> {
    let (_, segment, _) = seen.connected(neighbour.interface, neighbour.ipv6)?;
    let to = address(segment, 210 + usize::from(neighbour.to), neighbour.ipv6);
    Some(json!({ "to": to, "mac": format!("02:00:00:00:ff:{:02x}", neighbour.mac) }))
}

fn sysctl(sysctl: &Sysctl, seen: &Seen<'_>) -> Option<(String, Value)> {
    Some(match sysctl {
        Sysctl::Everywhere(key, value) => ((*key).to_owned(), (*value).into()),
        Sysctl::Interface(folder, interface, key, value) => {
            (format!("{folder}.{}.{key}", seen.any(*interface)?), (*value).into())
        }
    })
}

fn nat(position: usize, nat: &Nat, seen: &Seen<'_>) -> Option<Value> {
    let port = 8000 + 20 * position;
    let protocol = |udp: bool| if udp { "udp" } else { "tcp" };
    let target = |to: Pick| pick(seen.addresses, to);
    let bracketed = |(address, ipv6): &(String, bool)| if *ipv6 { format!("[{address}]") } else { address.clone() };
    let source = |which: Pick, ipv6| subnet(usize::from(which % 4) + 1, ipv6);
    Some(match nat {
        Nat::Masquerade { subnet: net, ipv6, out, except } => {
            let mut written = json!({ "source": source(*net, *ipv6) });
            if let Some(out) = out.and_then(|out| seen.any(out)) {
                written["out"] = out.into();
            }
            if *except {
                written["except"] = json!([source(net.wrapping_add(1), *ipv6)]);
            }
            json!({ "masquerade": written })
        }
        Nat::Snat { subnet: net, ipv6, to } => {
            json!({ "snat": { "source": source(*net, *ipv6), "to": seen.own(*to, *ipv6)? } })
        }
        Nat::Publish { to, range, udp, address } => {
            let to = target(*to)?;
            let (port, at) = match range {
                true => (format!("{port}-{}", port + 5), to.0.clone()),
                false => (port.to_string(), format!("{}:80", bracketed(to))),
            };
            let mut written = json!({ "port": port, "protocol": protocol(*udp), "to": at });
            if let Some(own) = address.and_then(|which| seen.own(which, to.1)) {
                written["address"] = own.into();
            }
            json!({ "publish": written })
        }
        Nat::Dnat { to, udp, input, narrow } => {
            let to = target(*to)?;
            let mut written = json!({ "port": port.to_string(), "protocol": protocol(*udp), "to": to.0 });
            if let Some(input) = input.and_then(|input| seen.any(input)) {
                written["in"] = input.into();
            }
            if *narrow {
                written["destination"] = source(0, to.1).into();
            }
            json!({ "dnat": written })
        }
    })
}

fn filter(filter: &Filter, seen: &Seen<'_>) -> Value {
    let mut written = json!({ "chain": filter.chain, "action": filter.action });
    for (key, interface, never) in [("in", filter.input, "output"), ("out", filter.out, "input")] {
        if let Some(name) = interface.filter(|_| filter.chain != never).and_then(|which| seen.any(which)) {
            written[key] = name.into();
        }
    }
    let ipv6 = match filter.protocol {
        Some("icmp") => Some(false),
        Some("icmpv6") => Some(true),
        _ => None,
    };
    if let Some((net, six)) = filter.subnet {
        written["source"] = subnet(usize::from(net % 4) + 1, ipv6.unwrap_or(six)).into();
    }
    if let Some(protocol) = filter.protocol {
        written["protocol"] = protocol.into();
        if let Some(port) = filter.port.filter(|_| ipv6.is_none()) {
            written["port"] = port.into();
        }
    }
    if !filter.state.is_empty() {
        written["state"] = json!(filter.state);
    }
    written
}
