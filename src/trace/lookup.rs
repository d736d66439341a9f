//! What a namespace does with what goes to an address, question by question, with the command that shows the same.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::words;
use crate::forwarding::{
    Flow, Layer2, Outcome, Router, Translated, Verdict, came_in_or_sent, filter, forwards, leaving, reverse_path,
    rp_filter, translate,
};
use crate::lab::{
    CHAIN_PREFIX, ChainId, CountedChain, CountedFirewall, CountedRule, ETHERNET_MTU, Family, Hook, IfName,
    InterfaceRef, Lab, NeighbourEntry, NsName, Owners, Policy, Route, Table,
};

/// What a namespace does with what goes to an address.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lookup {
    /// The lab's name.
    pub lab: String,
    /// The namespace.
    pub namespace: String,
    /// The address.
    pub address: IpAddr,
    /// The answers, in the order in which the kernel finds them.
    pub rows: Vec<LookupRow>,
}

/// One question, its answer, and how to see it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LookupRow {
    /// What is asked: `route`, `next hop`.
    pub what: String,
    /// The answer.
    pub is: String,
    /// A command that shows it; none where another row has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Collects rows.
struct Rows<'a> {
    ns: &'a NsName,
    rows: Vec<LookupRow>,
}

impl Rows<'_> {
    fn add(&mut self, what: &str, is: String, command: Option<String>) {
        self.rows.push(LookupRow { what: what.to_owned(), is, command });
    }

    /// A command of `ip` in the namespace.
    fn ip(&self, family: Family, what: &str) -> Option<String> {
        let inside = if self.ns.is_host() { String::new() } else { format!(" -n {}", self.ns) };
        let six = if family == Family::Ipv6 { " -6" } else { "" };
        Some(format!("ip{inside}{six} {what}"))
    }

    /// A command of iptables in the namespace.
    fn iptables(&self, family: Family, what: &str) -> Option<String> {
        let inside = if self.ns.is_host() { String::new() } else { format!("ip netns exec {} ", self.ns) };
        let program = if family == Family::Ipv6 { "ip6tables" } else { "iptables" };
        Some(format!("{inside}{program} {what}"))
    }
}

/// What a namespace of a live lab does with a packet; none: the lab has no such namespace.
pub fn lookup(
    lab: &Lab,
    ns: &NsName,
    flow: &Flow,
    (neighbours, counted): (&[NeighbourEntry], &CountedFirewall),
) -> Option<Lookup> {
    let layer2 = Layer2::new(&lab.namespaces);
    let router = layer2.router(ns)?;
    let (owners, family) = (Owners::of(lab), Family::of(flow.destination));
    let (destination, decision) = came_in_or_sent(router, flow);
    let mut rows = Rows { ns, rows: Vec::new() };
    let hook = if flow.input.is_some() { Hook::Prerouting } else { Hook::Output };
    // What a namespace sends gets its source before any rule is asked.
    let before = Flow { source: destination.flow.source, ..flow.clone() };
    nat(lab, &mut rows, (hook, family), &before, &destination);
    let to = destination.flow.destination;
    if let Some(rule) = &decision.rule {
        rows.add("policy rule", rule.to_string(), rows.ip(family, "rule"));
    }
    let get = rows.ip(family, &route_get(flow, to));
    believed(&mut rows, router, flow, &owners);
    match &decision.outcome {
        Outcome::Local { dev } => {
            rows.add("route", format!("local: it is for {ns} itself ({dev})"), get);
            let own = &destination.flow;
            if flow.input.is_none() {
                let sent = Flow { out: Some(IfName::lo()), ..own.clone() };
                filtered((lab, counted), &mut rows, (Hook::Output, family), &sent);
            }
            let input = Some(flow.input.clone().unwrap_or_else(IfName::lo));
            let came = Flow { input, out: None, ..own.clone() };
            filtered((lab, counted), &mut rows, (Hook::Input, family), &came);
        }
        Outcome::Leaves { dev, next_hop, source, route } => {
            rows.add("route", route.to_string(), get);
            let (hook, leaving) = leaving(&destination, dev, *source);
            rows.add("source", leaving.source.map_or("none".to_owned(), |source| owners.shown(source)), None);
            link(&mut rows, (&layer2, router), (dev, *next_hop, route), (&owners, neighbours), to);
            if let Some(input) = &leaving.input {
                let does = if forwards(router.namespace(), family, input, ns.is_host()) { "yes" } else { "no" };
                let key = words::forwarding_key(family);
                let inside = if ns.is_host() { String::new() } else { format!("ip netns exec {ns} ") };
                rows.add("forwarding", does.to_owned(), Some(format!("{inside}sysctl {key}")));
            }
            filtered((lab, counted), &mut rows, (hook, family), &leaving);
            let left = translate(router.namespace(), Hook::Postrouting, &leaving);
            nat(lab, &mut rows, (Hook::Postrouting, family), &leaving, &left);
        }
        Outcome::Dropped(route) => rows.add("route", format!("{route}: it drops the packet"), get),
        Outcome::DroppedByRule => rows.add("route", "none: the policy rule drops the packet".to_owned(), get),
        Outcome::NoRoute => rows.add("route", "none".to_owned(), get),
    }
    Some(Lookup { lab: lab.name.to_string(), namespace: ns.to_string(), address: flow.destination, rows: rows.rows })
}

/// Whether the namespace believes the source of what comes in (`rp_filter`).
fn believed(rows: &mut Rows<'_>, router: &Router<'_>, flow: &Flow, owners: &Owners) {
    let (Some(input), Some(source)) = (&flow.input, flow.source.filter(IpAddr::is_ipv4)) else { return };
    let source = owners.shown(source);
    let mode = rp_filter(router.namespace(), input);
    let is = match (mode, reverse_path(router, flow)) {
        (0, _) => "not looked at: rp_filter is 0".to_owned(),
        (1, None) => format!("believed: the way to {source} leads out through {input}"),
        (_, None) => format!("believed: there is a way to {source}"),
        (_, Some((Some(out), _))) => {
            format!("dropped, as rp_filter is {mode}: the way to {source} leads out through {out}, and not {input}")
        }
        (_, Some((None, _))) => format!("dropped, as rp_filter is {mode}: there is no way to {source}"),
    };
    let inside = if rows.ns.is_host() { String::new() } else { format!("ip netns exec {} ", rows.ns) };
    let input = input.as_str().replace('.', "/");
    let command = format!("{inside}sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.{input}.rp_filter");
    rows.add("its source", is, Some(command));
}

/// The link through which a packet leaves, and who gets it there.
fn link(
    rows: &mut Rows<'_>,
    (layer2, router): (&Layer2<'_>, &Router<'_>),
    (dev, next_hop, route): (&IfName, IpAddr, &Route),
    (owners, neighbours): (&Owners, &[NeighbourEntry]),
    to: IpAddr,
) {
    let family = Family::of(next_hop);
    let is_gateway = if next_hop == to { "the destination itself, " } else { "the gateway " };
    rows.add("next hop", format!("{is_gateway}{}", owners.shown(next_hop)), None);
    let entry = neighbours.iter().find(|entry| entry.dev == *dev && entry.address == next_hop);
    let known = entry.map_or("not known yet: it will be asked for".to_owned(), |entry| {
        let mac = entry.mac.map_or("none".to_owned(), |mac| mac.to_string());
        format!("{mac} ({})", entry.state.word())
    });
    rows.add("MAC address", known, rows.ip(family, &format!("neigh show {next_hop} dev {dev}")));
    let interface = router.namespace().interfaces.get(dev);
    let mtu = interface.and_then(|interface| interface.mtu).unwrap_or(ETHERNET_MTU);
    let mtu = route.mtu.map_or(mtu, |of_route| of_route.min(mtu));
    let state = if interface.is_some_and(|interface| interface.up) { "up" } else { "down" };
    let show = rows.ip(Family::Ipv4, &format!("-d link show {dev}"));
    rows.add("interface", format!("{dev}, {state}, packets of up to {mtu} bytes"), show);
    let at = InterfaceRef { ns: rows.ns.clone(), name: dev.clone() };
    let far = layer2.receiver(&at, next_hop, to).map_or("nobody".to_owned(), |far| far.to_string());
    rows.add("answers there", far, None);
}

fn route_get(flow: &Flow, to: IpAddr) -> String {
    let from = flow.source.map(|source| format!(" from {source}")).unwrap_or_default();
    let input = flow.input.as_ref().map(|input| format!(" iif {input}")).unwrap_or_default();
    let out = flow.out.as_ref().map(|out| format!(" oif {out}")).unwrap_or_default();
    format!("route get {to}{from}{input}{out}")
}

/// What a hook's chains of the table `nat` make of it.
fn nat(lab: &Lab, rows: &mut Rows<'_>, (hook, family): (Hook, Family), before: &Flow, after: &Translated) {
    let ends = |flow: &Flow| (flow.source, flow.destination, flow.destination_port);
    let rule = after.by.as_ref().zip(lab.namespaces.get(rows.ns)).map(|(at, own)| words::rule(own, at));
    let is = match (ends(before) == ends(&after.flow), rule) {
        // What a namespace sends itself gets its source here, by no rule.
        (_, None) => "no rule matches".to_owned(),
        (true, Some(rule)) => format!("left alone by {rule}"),
        (false, Some(rule)) => {
            let source = after.flow.source.filter(|source| Some(*source) != before.source);
            let source = source.map(|source| format!("from {source}"));
            let to = words::end(after.flow.destination, after.flow.destination_port);
            let to = (before.destination != after.flow.destination
                || before.destination_port != after.flow.destination_port)
                .then(|| format!("to {to}"));
            let both: Vec<String> = [source, to].into_iter().flatten().collect();
            format!("{} by {rule}", both.join(" "))
        }
    };
    let chain = hook.name();
    rows.add(&format!("NAT, {chain}"), is, rows.iptables(family, &format!("-t nat -S {chain}")));
}

/// What a hook's chains of the table `filter` make of it.
fn filtered(
    (lab, counted): (&Lab, &CountedFirewall),
    rows: &mut Rows<'_>,
    (hook, family): (Hook, Family),
    flow: &Flow,
) {
    let Some(namespace) = lab.namespaces.get(rows.ns) else { return };
    let id = ChainId::builtin(family, Table::Filter, hook);
    let chain = counted.get(&id);
    // The model knows the rules of labs.
    let known = namespace.firewall.chains.get(&id).map_or(0, Vec::len);
    let of_others = |chain: &CountedChain| {
        let is_jump = |rule: &&CountedRule| rule.text.contains(&format!("-j {CHAIN_PREFIX}"));
        rows.ns.is_host() && chain.rules.iter().filter(|rule| !is_jump(rule)).count() > known
    };
    let is = match filter(namespace, hook, flow) {
        Verdict::Accepted(None) if chain.is_some_and(of_others) => "not known: there are rules of others".to_owned(),
        Verdict::Accepted(None) if chain.is_some_and(|chain| chain.policy == Some(Policy::Drop)) => {
            format!("dropped by `-P {} DROP`: no rule matches", hook.name())
        }
        Verdict::Accepted(None) => "accepted: no rule matches".to_owned(),
        Verdict::Accepted(Some(at)) => format!("accepted by {}", words::rule(namespace, &at)),
        Verdict::Dropped(at) => format!("dropped by {}", words::rule(namespace, &at)),
        Verdict::Rejected(at, _) => format!("rejected by {}", words::rule(namespace, &at)),
    };
    let chain = hook.name();
    rows.add(&format!("filter, {chain}"), is, rows.iptables(family, &format!("-S {chain}")));
}
