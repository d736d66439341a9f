//! Where a namespace routes a packet: policy rules, tables, and whether it takes a packet from where it comes from.
//! Written after the kernel's source (fib_rules.c, fib_frontend.c, route.c, ip6_fib.c, addrconf.c), and not after
//! `nslab::forwarding`.

use std::net::IpAddr;

use ipnet::IpNet;
use nslab::lab::{Family, IfName, LOCAL_TABLE, MAIN_TABLE, Namespace, Route, RouteKind, RuleAction};

/// What is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    pub source: Option<IpAddr>,
    pub destination: IpAddr,
    /// Where it came in; none: the namespace sends it itself.
    pub input: Option<&'q IfName>,
    /// What it leaves through must be this.
    pub out: Option<&'q IfName>,
}

/// A route that was found.
#[derive(Debug, Clone)]
pub struct Found {
    pub kind: RouteKind,
    to: IpNet,
    metric: u32,
    pub dev: IfName,
    pub via: Option<IpAddr>,
    prefers: Option<IpAddr>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NoRoute,
    Unreachable,
    Prohibit,
    Blackhole,
}

impl Query<'_> {
    fn matches(&self, rule: &nslab::lab::PolicyRule) -> bool {
        let within = |net: &IpNet, address: Option<IpAddr>| match address {
            Some(address) => net.contains(&address),
            None => net.prefix_len() == 0,
        };
        rule.ipv6 == self.destination.is_ipv6()
            && rule.from.as_ref().is_none_or(|net| within(net, self.source))
            && rule.to.as_ref().is_none_or(|net| net.contains(&self.destination))
            && rule.iif.as_ref().is_none_or(|iif| self.input.map_or(iif.as_str() == "lo", |input| input == iif))
            && rule.oif.as_ref().is_none_or(|oif| self.out == Some(oif))
            && rule.fwmark.is_none_or(|(mark, _)| mark == 0)
    }
}

/// The route of a packet, or what refuses it. Until the first rule is added, IPv4 keeps the tables `local` and `main`
/// as one (fib_trie_unmerge): the longer prefix wins, in whichever it is.
pub fn look_up(namespace: &Namespace, query: Query<'_>) -> Result<Found, Refusal> {
    let ipv6 = query.destination.is_ipv6();
    if !ipv6 && !namespace.rules.iter().any(|rule| !rule.ipv6) {
        let local = in_table(namespace, LOCAL_TABLE, query);
        let main = in_table(namespace, MAIN_TABLE, query);
        let prefix = |found: &Option<Found>| found.as_ref().map(|found| found.to.prefix_len());
        let found = if prefix(&main) > prefix(&local) { main } else { local };
        return found.map_or(Err(Refusal::NoRoute), |found| found.taken().unwrap_or(Err(Refusal::NoRoute)));
    }
    let mut rules = vec![(0, RuleAction::Table(LOCAL_TABLE)), (32766, RuleAction::Table(MAIN_TABLE))];
    rules.extend(namespace.rules.iter().filter(|rule| query.matches(rule)).map(|rule| (rule.priority, rule.action)));
    rules.sort_by_key(|(priority, _)| *priority);
    for (_, action) in rules {
        let table = match action {
            RuleAction::Table(table) => table,
            RuleAction::Blackhole => return Err(Refusal::Blackhole),
            RuleAction::Unreachable => return Err(Refusal::Unreachable),
            RuleAction::Prohibit => return Err(Refusal::Prohibit),
            RuleAction::Vrf => continue,
        };
        if let Some(decided) = in_table(namespace, table, query).and_then(Found::taken) {
            return decided;
        }
    }
    Err(Refusal::NoRoute)
}

fn in_table(namespace: &Namespace, table: u32, query: Query<'_>) -> Option<Found> {
    let of_it = |route: &&Route| route.table == table && route.to.contains(&query.destination);
    let own = namespace.routes.iter().filter(of_it).map(|route| Found {
        kind: route.kind,
        to: route.to,
        metric: route.metric,
        dev: route.dev.clone().unwrap_or_else(lo),
        via: route.via,
        prefers: route.source,
    });
    let kernels: Vec<Found> = match table {
        LOCAL_TABLE => locals(namespace, query.destination),
        MAIN_TABLE => connected(namespace, query.destination),
        _ => Vec::new(),
    };
    let leaves = |found: &Found| found.kind != RouteKind::Unicast || query.out.is_none_or(|out| *out == found.dev);
    let best = |found: &Found| (found.to.prefix_len(), std::cmp::Reverse(found.metric));
    own.chain(kernels).filter(leaves).max_by_key(best)
}

fn lo() -> IfName {
    "lo".parse().expect("a name")
}

/// The route to an address that the namespace has: an IPv4 one also while its interface is down (fib_add_ifaddr).
fn locals(namespace: &Namespace, to: IpAddr) -> Vec<Found> {
    let all = namespace.interfaces.iter().flat_map(|(dev, own)| own.addresses.iter().map(move |at| (dev, own.up, at)));
    let there = all.filter(|(_, up, address)| address.ip() == to && (*up || !address.is_ipv6()));
    there
        .map(|(dev, _, address)| Found {
            kind: RouteKind::Local,
            to: address.ip().into(),
            metric: 0,
            dev: dev.clone(),
            via: None,
            prefers: Some(address.ip()),
        })
        .collect()
}

/// The routes to the subnets of interfaces that are up, as far as they lead to an address.
fn connected(namespace: &Namespace, to: IpAddr) -> Vec<Found> {
    let up = namespace.interfaces.iter().filter(|(dev, own)| own.up && !dev.is_lo());
    let all = up.flat_map(|(dev, own)| own.addresses.iter().map(move |address| (dev, address)));
    all.filter(|(_, address)| address.subnet().contains(&to) && (address.is_ipv6() || address.prefix_len() < 32))
        .map(|(dev, address)| Found {
            kind: RouteKind::Unicast,
            to: address.subnet(),
            metric: if address.is_ipv6() { 256 } else { 0 },
            dev: dev.clone(),
            via: None,
            prefers: Some(address.ip()).filter(|_| !address.is_ipv6()),
        })
        .collect()
}

impl Found {
    /// What becomes of a packet that takes it; none: the next table is asked.
    fn taken(self) -> Option<Result<Self, Refusal>> {
        match self.kind {
            RouteKind::Unicast | RouteKind::Local => Some(Ok(self)),
            RouteKind::Throw => None,
            RouteKind::Blackhole => Some(Err(Refusal::Blackhole)),
            RouteKind::Unreachable => Some(Err(Refusal::Unreachable)),
            RouteKind::Prohibit => Some(Err(Refusal::Prohibit)),
        }
    }

    /// The source that a packet gets which has none.
    pub fn source(&self, namespace: &Namespace, destination: IpAddr) -> Option<IpAddr> {
        if let Some(source) = self.prefers {
            return Some(source);
        }
        match (self.kind, destination) {
            (RouteKind::Local, IpAddr::V4(_)) => Some(destination),
            (_, IpAddr::V4(_)) => select_ipv4(namespace, &self.dev, self.via),
            (_, IpAddr::V6(_)) => select_ipv6(namespace, Some(&self.dev), destination),
        }
    }
}

/// inet_select_addr: an address of the interface, near the gateway if there is one; else any of the namespace.
pub fn select_ipv4(namespace: &Namespace, dev: &IfName, near: Option<IpAddr>) -> Option<IpAddr> {
    let of = |dev: &IfName| {
        let addresses = namespace.interfaces.get(dev).into_iter().flat_map(|own| &own.addresses);
        addresses.filter(|own| !own.is_ipv6() && !own.ip().is_loopback()).collect::<Vec<_>>()
    };
    let own = of(dev);
    let nearest = own.iter().find(|own| near.is_none_or(|near| own.reaches(near)));
    let others = || lo_first(namespace).find_map(|dev| of(dev).first().map(|own| own.ip()));
    nearest.or(own.first()).map(|own| own.ip()).or_else(others)
}

fn lo_first(namespace: &Namespace) -> impl Iterator<Item = &IfName> {
    let (lo, others): (Vec<_>, Vec<_>) = namespace.interfaces.keys().partition(|dev| dev.is_lo());
    lo.into_iter().chain(others)
}

/// ipv6_dev_get_saddr: the same address, else one of the interface, else the one with the longest common prefix.
pub fn select_ipv6(namespace: &Namespace, dev: Option<&IfName>, destination: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(to) = destination else { return None };
    let mut best: Option<(u32, IpAddr)> = None;
    for (name, own) in namespace.interfaces.iter().filter(|(_, own)| own.up) {
        for address in &own.addresses {
            let IpAddr::V6(ip) = address.ip() else { continue };
            if ip.is_unicast_link_local() || ip.is_loopback() {
                continue;
            }
            let common = (ip.to_bits() ^ to.to_bits()).leading_zeros().min(address.prefix_len().into());
            let score = if ip == to { 10_000 } else { u32::from(Some(name) == dev) * 1000 + common };
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, ip.into()));
            }
        }
    }
    best.map(|(_, address)| address)
}

/// Whether an address belongs to the namespace (also by a local route, which is in the table `local`).
pub fn is_own(namespace: &Namespace, address: IpAddr) -> bool {
    let query = Query { source: None, destination: address, input: None, out: None };
    in_table(namespace, LOCAL_TABLE, query).is_some_and(|found| found.kind == RouteKind::Local)
}

/// What becomes of a packet that comes in.
#[derive(Debug, Clone)]
pub enum Incoming {
    Local,
    Forward(Found),
    /// It is dropped without a word.
    Dropped,
    /// It is dropped, and its sender is told.
    Refused,
}

/// ip_route_input_slow and ip6_route_input, with what ip_forward asks first.
pub fn incoming(namespace: &Namespace, source: IpAddr, destination: IpAddr, dev: &IfName) -> Incoming {
    let query = Query { source: Some(source), destination, input: Some(dev), out: None };
    let forwards = forwards(namespace, Family::of(destination));
    match (look_up(namespace, query), destination) {
        (Ok(found), IpAddr::V6(_)) => match found.kind {
            RouteKind::Local => Incoming::Local,
            _ if forwards => Incoming::Forward(found),
            _ => Incoming::Dropped,
        },
        (Err(Refusal::Blackhole), _) => Incoming::Dropped,
        (Err(_), IpAddr::V6(_)) => Incoming::Refused,
        (Ok(found), IpAddr::V4(_)) => {
            let is_local = found.kind == RouteKind::Local;
            let out = (!is_local).then_some(&found.dev);
            match (is_local, is_valid_source(namespace, query, out)) {
                (true, true) => Incoming::Local,
                (false, true) if forwards => Incoming::Forward(found),
                (false | true, _) => Incoming::Dropped,
            }
        }
        (Err(_), IpAddr::V4(_)) if forwards => Incoming::Refused,
        (Err(_), IpAddr::V4(_)) => Incoming::Dropped,
    }
}

pub fn forwards(namespace: &Namespace, family: Family) -> bool {
    let key = match family {
        Family::Ipv4 => "net.ipv4.ip_forward",
        Family::Ipv6 => "net.ipv6.conf.all.forwarding",
    };
    setting(namespace, key) == 1
}

fn setting(namespace: &Namespace, key: &str) -> u32 {
    let value = namespace.sysctls.iter().find(|(own, _)| own.as_str() == key).map(|(_, value)| value.as_str());
    value.map_or(0, |value| value.parse().expect("a number"))
}

/// fib_validate_source: own addresses never come from outside, and with a reverse path filter, no others that would not
/// be reached that way.
fn is_valid_source(namespace: &Namespace, query: Query<'_>, out: Option<&IfName>) -> bool {
    let (Some(source), Some(dev)) = (query.source, query.input) else { return true };
    let of = |name: &str| setting(namespace, &format!("net.ipv4.conf.{name}.rp_filter"));
    let filter = of("all").max(of(dev.as_str()));
    let back = Query { source: Some(query.destination), destination: source, input: out, out: None };
    let Ok(found) = look_up(namespace, back) else { return filter == 0 };
    if found.kind != RouteKind::Unicast {
        // Where nothing needs the full look-up, only the addresses of interfaces are asked.
        let is_custom = namespace.routes.iter().any(|route| route.kind == RouteKind::Local && !route.is_ipv6())
            || namespace.rules.iter().any(|rule| !rule.ipv6);
        let has = namespace.interfaces.values().flat_map(|own| &own.addresses).any(|own| own.ip() == source);
        return filter == 0 && !is_custom && !has;
    }
    match filter {
        0 | 2 => true,
        _ => found.dev == *dev,
    }
}
