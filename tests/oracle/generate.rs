//! Random labs in which something decides about every packet: routers that forward or do not, routes that lead astray,
//! filters, address translation, the same address in two places.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::rng::Rng;

/// The lab's name.
pub const LAB: &str = "oracle";

/// A network cable or a switch, and who is on it.
#[derive(Debug)]
struct Segment {
    /// The number of its subnet; two segments may have the same.
    subnet: usize,
    /// The namespaces on it; their places in the list are their addresses.
    members: Vec<usize>,
}

/// An interface of a namespace.
#[derive(Debug, Clone)]
struct Interface {
    name: String,
    segment: usize,
    host: usize,
    up: bool,
}

#[derive(Debug)]
pub struct Shape {
    segments: Vec<Segment>,
    routers: usize,
    nodes: Vec<Vec<Interface>>,
    /// The last byte of the address of a node's loopback.
    loopbacks: BTreeMap<usize, usize>,
    ipv6: bool,
}

/// The subnet of all services, which no namespace has.
const SERVICES: [&str; 2] = ["10.96.0.0/16", "fd00:96::/64"];

/// Ports that are asked for, and led to.
const PORTS: [u16; 4] = [80, 8080, 53, 22];

fn address(subnet: usize, host: usize, ipv6: bool) -> String {
    if ipv6 { format!("fd00:{subnet}::{host}") } else { format!("10.{subnet}.0.{host}") }
}

fn prefix(subnet: usize, ipv6: bool) -> String {
    if ipv6 { format!("fd00:{subnet}::/64") } else { format!("10.{subnet}.0.0/24") }
}

fn single(address: &str) -> String {
    format!("{address}/{}", if address.contains(':') { 128 } else { 32 })
}

fn with_port(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// A lab, without its checks' expectations.
pub fn lab(rng: &mut Rng) -> Value {
    let shape = Shape::new(rng);
    let mut namespaces = Map::new();
    let mut links = Vec::new();
    let mut switch = Map::new();
    for (number, segment) in shape.segments.iter().enumerate() {
        let end = |node: &usize| format!("{}/{}", name(*node), shape.on(*node, number).name);
        if let ([one, other], true) = (segment.members.as_slice(), rng.chance(70)) {
            links.push(json!([end(one), end(other)]));
            continue;
        }
        let isolates = rng.chance(10);
        let port = |node: &usize| format!("p{number}-{node}");
        let ports: Vec<Value> = segment
            .members
            .iter()
            .map(|node| json!({ port(node): { "isolated": isolates && rng.chance(50) } }))
            .collect();
        links.extend(segment.members.iter().map(|node| json!([end(node), format!("lan/{}", port(node))])));
        switch.insert(format!("br{number}"), json!({ "ports": ports }));
    }
    for node in 0..shape.nodes.len() {
        namespaces.insert(name(node), shape.body(node, rng).into());
    }
    if !switch.is_empty() {
        namespaces.insert("lan".to_owned(), json!({ "bridges": switch }));
    }
    let checks = shape.checks(rng);
    json!({ "name": LAB, "namespaces": namespaces, "links": links, "checks": checks })
}

fn name(node: usize) -> String {
    format!("n{node}")
}

impl Shape {
    fn new(rng: &mut Rng) -> Self {
        let count = *rng.pick(&[1, 2, 2, 2, 3, 3, 3, 4]);
        let mut segments: Vec<Segment> = Vec::new();
        for n in 0..count {
            let again = n > 1 && rng.chance(20);
            let subnet = if again { segments[rng.below(n - 1)].subnet } else { n + 1 };
            segments.push(Segment { subnet, members: Vec::new() });
        }
        let mut nodes = 0;
        // A chain of routers, and perhaps one that makes a ring.
        for n in 1..count {
            segments[n - 1].members.push(nodes);
            segments[n].members.push(nodes);
            nodes += 1;
        }
        if count > 1 && rng.chance(25) {
            let (a, b) = (rng.below(count), rng.below(count));
            if segments[a].subnet != segments[b].subnet {
                segments[a].members.push(nodes);
                segments[b].members.push(nodes);
                nodes += 1;
            }
        }
        let routers = nodes;
        for n in 0..count {
            let hosts = if segments[n].members.is_empty() { 2 } else { 1 } + usize::from(rng.chance(30));
            for _ in 0..hosts {
                segments[n].members.push(nodes);
                let other = rng.below(count);
                if rng.chance(10) && segments[other].subnet != segments[n].subnet {
                    segments[other].members.push(nodes);
                }
                nodes += 1;
            }
        }
        let mut loopbacks = BTreeMap::new();
        for node in 0..nodes {
            if rng.chance(25) {
                loopbacks.insert(node, 1 + rng.below(3));
            }
        }
        let ipv6 = rng.chance(40);
        let mut shape = Self { segments, routers, nodes: vec![Vec::new(); nodes], loopbacks, ipv6 };
        shape.plug(rng);
        shape
    }

    fn plug(&mut self, rng: &mut Rng) {
        for (segment, Segment { members, .. }) in self.segments.iter().enumerate() {
            for (place, node) in members.iter().enumerate() {
                let plugged = &mut self.nodes[*node];
                // An interface that is down has no carrier either: IPv6 addresses on it are another story.
                let up = self.ipv6 || !rng.chance(4);
                plugged.push(Interface { name: format!("e{}", plugged.len()), segment, host: place + 1, up });
            }
        }
    }

    fn on(&self, node: usize, segment: usize) -> &Interface {
        self.nodes[node].iter().find(|own| own.segment == segment).expect("a member")
    }

    fn subnet(&self, interface: &Interface) -> usize {
        self.segments[interface.segment].subnet
    }

    /// Every address of the lab.
    fn addresses(&self, ipv6: bool) -> Vec<String> {
        let plugged = self.nodes.iter().flatten().map(|own| address(self.subnet(own), own.host, ipv6));
        plugged.chain(self.loopbacks.values().map(|host| address(255, *host, ipv6))).collect()
    }

    fn families(&self) -> &'static [bool] {
        if self.ipv6 { &[false, true] } else { &[false] }
    }

    fn body(&self, node: usize, rng: &mut Rng) -> Map<String, Value> {
        let mut interfaces = Map::new();
        for own in &self.nodes[node] {
            let mut addresses = vec![format!("{}/24", address(self.subnet(own), own.host, false))];
            if self.ipv6 {
                addresses.push(format!("{}/64", address(self.subnet(own), own.host, true)));
                // The kernel's own link-local address cannot be used for a second.
                addresses.push(format!("fe80::{}/64", own.host));
            }
            interfaces.insert(own.name.clone(), json!({ "addresses": addresses, "up": own.up }));
        }
        if let Some(host) = self.loopbacks.get(&node) {
            let addresses: Vec<_> = self.families().iter().map(|six| single(&address(255, *host, *six))).collect();
            interfaces.insert("lo".to_owned(), json!({ "addresses": addresses }));
        }
        let mut body = Map::new();
        body.insert("interfaces".to_owned(), interfaces.into());
        let forwards = if node < self.routers { 88 } else { 8 };
        body.insert("forwarding".to_owned(), rng.chance(forwards).into());
        body.insert("sysctls".to_owned(), self.sysctls(node, rng).into());
        let mut list = |key: &str, entries: Vec<Value>| {
            if !entries.is_empty() {
                body.insert(key.to_owned(), entries.into());
            }
        };
        let routes: Vec<Value> = self.families().iter().flat_map(|six| self.routes(node, *six, rng)).collect();
        list("routes", distinct(routes, &["to", "table", "metric"]));
        list("rules", self.families().iter().flat_map(|six| self.rules(node, *six, rng)).collect());
        list("nat", self.families().iter().flat_map(|six| self.nat(node, *six, rng)).collect());
        list("filter", self.filters(node, rng));
        body
    }

    /// Nothing that is learnt on the way or held back, and sometimes a reverse path filter.
    fn sysctls(&self, node: usize, rng: &mut Rng) -> Map<String, Value> {
        let mut settings = Map::new();
        let mut set = |key: String, value: u8| settings.insert(key, value.into());
        set("net.ipv4.icmp_ratemask".to_owned(), 0);
        if self.ipv6 {
            set("net.ipv6.icmp.ratelimit".to_owned(), 0);
        }
        let strict = if rng.chance(15) { 1 + rng.below(2) as u8 } else { 0 };
        set("net.ipv4.conf.all.rp_filter".to_owned(), strict);
        set("net.ipv4.conf.all.send_redirects".to_owned(), 0);
        for own in &self.nodes[node] {
            let strict = if rng.chance(4) { 1 + rng.below(2) as u8 } else { 0 };
            set(format!("net.ipv4.conf.{}.rp_filter", own.name), strict);
            set(format!("net.ipv4.conf.{}.send_redirects", own.name), 0);
            // On a busy machine, who asks in vain would give up, and who was not asked would forget.
            for family in if self.ipv6 { &["ipv4", "ipv6"][..] } else { &["ipv4"] } {
                set(format!("net.{family}.neigh.{}.delay_first_probe_time", own.name), 120);
                set(format!("net.{family}.neigh.{}.mcast_solicit", own.name), 120);
            }
            if self.ipv6 {
                set(format!("net.ipv6.conf.{}.accept_redirects", own.name), 0);
            }
        }
        settings
    }

    /// The shortest way from a segment to a subnet: the router on the segment that is next.
    fn next_router(&self, node: usize, subnet: usize) -> Option<(&Interface, usize)> {
        let mut todo: VecDeque<(usize, Option<(usize, usize)>)> =
            self.nodes[node].iter().filter(|own| own.up).map(|own| (own.segment, None)).collect();
        let mut seen: BTreeSet<usize> = todo.iter().map(|(segment, _)| *segment).collect();
        while let Some((at, first)) = todo.pop_front() {
            if let (Some((segment, router)), true) = (first, self.segments[at].subnet == subnet) {
                return Some((self.on(node, segment), router));
            }
            for router in self.segments[at].members.iter().filter(|other| **other < self.routers && **other != node) {
                for next in &self.nodes[*router] {
                    if seen.insert(next.segment) {
                        todo.push_back((next.segment, Some(first.unwrap_or((at, *router)))));
                    }
                }
            }
        }
        None
    }

    fn routes(&self, node: usize, ipv6: bool, rng: &mut Rng) -> Vec<Value> {
        let up: Vec<&Interface> = self.nodes[node].iter().filter(|own| own.up).collect();
        let mut routes = Vec::new();
        let via = |own: &Interface, router: usize| address(self.subnet(own), self.on(router, own.segment).host, ipv6);
        if node >= self.routers && rng.chance(90) {
            let near: Vec<_> = up
                .iter()
                .flat_map(|own| self.segments[own.segment].members.iter().map(move |at| (own, *at)))
                .filter(|(_, at)| *at < self.routers)
                .collect();
            if !near.is_empty() {
                let (own, router) = rng.pick(&near);
                routes.push(json!({ "to": "default", "via": via(own, *router) }));
            }
        }
        let own: BTreeSet<usize> = self.nodes[node].iter().map(|own| self.subnet(own)).collect();
        let others: BTreeSet<usize> =
            self.segments.iter().map(|segment| segment.subnet).filter(|subnet| !own.contains(subnet)).collect();
        if node < self.routers {
            for subnet in others {
                match (rng.chance(88), self.next_router(node, subnet)) {
                    (true, Some((own, router))) => {
                        routes.push(json!({ "to": prefix(subnet, ipv6), "via": via(own, router) }))
                    }
                    _ => routes.extend(self.stray(node, prefix(subnet, ipv6), ipv6, rng)),
                }
            }
            for host in self.loopbacks.iter().filter(|(at, _)| **at != node).map(|(_, host)| *host) {
                let to = single(&address(255, host, ipv6));
                let holder = self.loopbacks.iter().find(|(_, own)| **own == host).map(|(at, _)| *at).expect("a holder");
                let subnet = self.subnet(&self.nodes[holder][0]);
                match (rng.chance(80), self.next_router(node, subnet)) {
                    (true, Some((own, router))) => routes.push(json!({ "to": to, "via": via(own, router) })),
                    (true, None) => {
                        if let Some(own) = up.iter().find(|own| self.segments[own.segment].members.contains(&holder)) {
                            routes.push(json!({ "to": to, "via": via(own, holder) }));
                        }
                    }
                    (false, _) => {}
                }
            }
        }
        for _ in 0..rng.below(8).saturating_sub(4) {
            let to = match rng.below(4) {
                0 => SERVICES[usize::from(ipv6)].to_owned(),
                1 => prefix(1 + rng.below(4), ipv6),
                _ => single(&rng.pick(&self.addresses(ipv6)).clone()),
            };
            routes.extend(self.stray(node, to, ipv6, rng));
        }
        routes
    }

    /// A route that may lead anywhere.
    fn stray(&self, node: usize, to: String, ipv6: bool, rng: &mut Rng) -> Option<Value> {
        let up: Vec<&Interface> = self.nodes[node].iter().filter(|own| own.up).collect();
        // IPv6 takes no gateway that is behind another one, or nowhere.
        let near = |own: &Interface| to.starts_with(&format!("fd00:{}:", self.subnet(own)));
        if ipv6 && self.nodes[node].iter().any(near) {
            return None;
        }
        let mut route = json!({ "to": to });
        let kind = rng.below(12);
        match kind {
            0..=4 if !up.is_empty() => {
                let own = *rng.pick(&up);
                let others: Vec<usize> =
                    self.segments[own.segment].members.iter().copied().filter(|at| *at != node).collect();
                let nobody = others.is_empty() || rng.chance(15);
                let host = if nobody { 99 } else { self.on(*rng.pick(&others), own.segment).host };
                route["via"] = address(self.subnet(own), host, ipv6).into();
            }
            5 if !up.is_empty() => route["dev"] = rng.pick(&up).name.clone().into(),
            6 => route["type"] = "blackhole".into(),
            7 => route["type"] = "unreachable".into(),
            8 => route["type"] = "prohibit".into(),
            9 => route["type"] = "throw".into(),
            10 => route["type"] = "local".into(),
            _ => return None,
        }
        if kind < 10 && rng.chance(30) {
            route["table"] = 100.into();
        }
        if kind < 9 && rng.chance(20) {
            route["metric"] = json!(*rng.pick(&[5, 2000]));
        }
        if kind <= 5 && rng.chance(10) {
            route["source"] = rng.pick(&self.own(node, ipv6)).clone().into();
        }
        Some(route)
    }

    fn own(&self, node: usize, ipv6: bool) -> Vec<String> {
        let plugged = self.nodes[node].iter().map(|own| address(self.subnet(own), own.host, ipv6));
        plugged.chain(self.loopbacks.get(&node).map(|host| address(255, *host, ipv6))).collect()
    }

    fn rules(&self, node: usize, ipv6: bool, rng: &mut Rng) -> Vec<Value> {
        let mut rules = Vec::new();
        for _ in 0..rng.below(10).saturating_sub(7) {
            let mut rule = json!({ "family": if ipv6 { 6 } else { 4 } });
            let net = |rng: &mut Rng| match rng.chance(60) {
                true => prefix(1 + rng.below(4), ipv6),
                false => single(&rng.pick(&self.addresses(ipv6)).clone()),
            };
            if rng.chance(50) {
                rule["from"] = net(rng).into();
            }
            if rng.chance(40) {
                rule["to"] = net(rng).into();
            }
            if rng.chance(25) {
                rule["iif"] = rng.pick(&self.nodes[node]).name.clone().into();
            }
            match rng.below(8) {
                0 => rule["type"] = "blackhole".into(),
                1 => rule["type"] = "unreachable".into(),
                2 => rule["type"] = "prohibit".into(),
                _ => rule["table"] = 100.into(),
            }
            rules.push(rule);
        }
        rules
    }

    fn nat(&self, node: usize, ipv6: bool, rng: &mut Rng) -> Vec<Value> {
        let mut entries = Vec::new();
        let most = if node < self.routers { 4 } else { 10 };
        for place in 0..rng.below(most + 2).saturating_sub(most - 1) {
            let to = rng.pick(&self.addresses(ipv6)).clone();
            let out = rng.chance(40).then(|| rng.pick(&self.nodes[node]).name.clone());
            let source = prefix(1 + rng.below(4), ipv6);
            let port = *rng.pick(&PORTS);
            let protocol = if rng.chance(50) { "tcp" } else { "udp" };
            let target = if rng.chance(60) { with_port(&to, *rng.pick(&PORTS)) } else { to.clone() };
            let mut entry = match rng.below(4) {
                0 => json!({ "masquerade": { "source": source } }),
                1 => json!({ "snat": { "source": source, "to": rng.pick(&self.own(node, ipv6)) } }),
                2 => {
                    let port = port + 1000 * place as u16 * u16::from(rng.chance(50));
                    json!({ "publish": { "port": port, "protocol": protocol, "to": target } })
                }
                _ => json!({ "dnat": { "port": port, "protocol": protocol, "to": target } }),
            };
            for kind in ["masquerade", "snat"] {
                if let (Some(out), false) = (&out, entry[kind].is_null()) {
                    entry[kind]["out"] = out.clone().into();
                }
            }
            if !entry["dnat"].is_null() {
                match rng.below(3) {
                    0 => entry["dnat"]["destination"] = SERVICES[usize::from(ipv6)].into(),
                    1 => entry["dnat"]["destination"] = prefix(1 + rng.below(4), ipv6).into(),
                    _ => {}
                }
                if let Some(out) = out {
                    entry["dnat"]["in"] = out.into();
                }
            }
            entries.push(entry);
        }
        entries
    }

    fn filters(&self, node: usize, rng: &mut Rng) -> Vec<Value> {
        let mut rules = Vec::new();
        for _ in 0..rng.below(9).saturating_sub(5) {
            let chain = *rng.pick(&["input", "forward", "output"]);
            let mut rule = json!({ "chain": chain, "action": rng.pick(&["accept", "drop", "drop", "reject"]) });
            let protocol = *rng.pick(&["", "tcp", "udp", "icmp"]);
            // A rule for anything would keep IPv6 neighbours from being found.
            let spares_neighbours = !protocol.is_empty() || chain == "forward";
            if !protocol.is_empty() {
                rule["protocol"] = protocol.into();
                if protocol != "icmp" && rng.chance(50) {
                    rule["port"] = json!(*rng.pick(&PORTS));
                }
            }
            let states = ["new", "established", "related", "invalid"];
            let any_state = (spares_neighbours || !self.ipv6) && rng.chance(60);
            if !any_state {
                let some: Vec<_> = states.iter().filter(|_| rng.chance(40)).collect();
                rule["state"] = if some.is_empty() { json!(["new"]) } else { json!(some) };
            }
            for (key, never) in [("in", "output"), ("out", "input")] {
                if chain != never && rng.chance(25) {
                    rule[key] = rng.pick(&self.nodes[node]).name.clone().into();
                }
            }
            let ipv6 = self.ipv6 && protocol != "icmp" && rng.chance(50);
            for key in ["source", "destination"] {
                if rng.chance(20) {
                    rule[key] = match rng.chance(60) {
                        true => prefix(1 + rng.below(4), ipv6),
                        false => single(&rng.pick(&self.addresses(ipv6)).clone()),
                    }
                    .into();
                }
            }
            rules.push(rule);
        }
        rules
    }

    fn checks(&self, rng: &mut Rng) -> Vec<Value> {
        (0..14 + rng.below(8)).map(|_| self.check(rng)).collect()
    }

    fn check(&self, rng: &mut Rng) -> Value {
        let ipv6 = self.ipv6 && rng.chance(50);
        let from = rng.below(self.nodes.len());
        let mut check = json!({ "from": name(from), "expect": "unreachable", "retries": 0 });
        let place = rng.below(20);
        check["to"] = match place {
            0..=10 => name(rng.below(self.nodes.len())),
            11..=17 => rng.pick(&self.addresses(ipv6)).clone(),
            18 => SERVICES[usize::from(ipv6)]
                .replace("/16", "")
                .replace("/64", "")
                .replace(".0.0", ".0.5")
                .replace("::", "::5"),
            _ => address(self.segments[rng.below(self.segments.len())].subnet, 99, ipv6),
        }
        .into();
        if place <= 10 {
            check["family"] = if ipv6 { "6" } else { "4" }.into();
        }
        if rng.chance(66) {
            check["port"] = json!(*rng.pick(&PORTS) + 1000 * u16::from(rng.chance(15)));
            check["protocol"] = if rng.chance(50) { "tcp" } else { "udp" }.into();
        }
        if rng.chance(15) {
            check["source"] = rng.pick(&self.own(from, ipv6)).clone().into();
        }
        check
    }
}

/// The entries without those that have all these keys in common with one before them.
fn distinct(entries: Vec<Value>, keys: &[&str]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let key = |entry: &Value| keys.iter().map(|key| entry[key].to_string()).collect::<Vec<_>>();
    entries.into_iter().filter(|entry| seen.insert(key(entry))).collect()
}
