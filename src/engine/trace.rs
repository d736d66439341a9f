//! Follows a packet through a live lab, and finds out why it gets no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::time::Duration;

use indexmap::IndexMap;
use ipnet::IpNet;

use super::trace_probe::{Sending, send_and_watch};
use super::{EngineError, Machine};
use crate::check::CheckError;
use crate::forwarding::{Asked, Chosen, Flow, Layer2, RoundTrip, Way, round_trip};
use crate::kernel::ip_counters::{IpCounters, ip_counters};
use crate::kernel::losses::Losses;
use crate::kernel::{Scope, netns, sysctl};
use crate::lab::{
    Address, Check, CountedFirewall, IfName, Interface, Lab, Namespace, NsName, Observed, ObservedNamespace, Probe,
    Route, SysctlKey,
};
use crate::plan::{self, PlannedStep};
use crate::steps::{RouteStep, Step, Update};
use crate::trace::{self, Counted, Evidence, Lookup, Remedies, Trace};

/// In labs of so many namespaces, packets are looked for in all of them; in others, in those on their way.
const FEW_NAMESPACES: usize = 16;

/// How often a packet is sent whose loss nothing explains. A router cannot ask for IPv6 neighbours until its link-local
/// address has proven to be unique, which takes up to two seconds from when the interface comes up (RFC 4862, section
/// 5.4).
const TRIES: usize = 2;
const IPV6_TRIES: usize = 4;

/// What to follow.
#[derive(Debug, Clone, Copy)]
pub struct Tracing<'a> {
    /// The check that says what is sent.
    pub check: &'a Check,
    /// Whom it is sent by and to.
    pub probe: &'a Probe,
    /// Whether nslab answers where the check has it listen; or else only the lab's programs do.
    pub answers: bool,
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// What `nslab apply` is to be called with.
    pub file: &'a str,
    /// For what is expected: what chance is to choose.
    pub chosen: &'a Chosen,
}

impl Tracing<'_> {
    /// What the model is asked.
    fn asked(&self) -> Asked {
        Asked { chosen: self.chosen.clone(), ..Asked::of(self.check, self.probe) }
    }
}

/// What would happen to a packet by the file alone.
pub fn trace_expected(lab: &Lab, tracing: &Tracing<'_>) -> Trace {
    let remedies = Remedies { steps: &[], file: tracing.file, lab };
    trace::expected(lab, &tracing.asked(), &tracing.probe.to.label, tracing.check.protocol, &remedies)
}

/// A lab as it is, ready to follow packets in it.
pub struct Tracer<'l> {
    machine: Machine,
    wanted: &'l Lab,
    live: Lab,
    observed: Observed,
    steps: Vec<PlannedStep>,
    /// The namespaces whose settings have been read.
    asked: BTreeSet<NsName>,
}

impl<'l> Tracer<'l> {
    /// Looks at a lab.
    ///
    /// # Errors
    /// Privileges are missing, it cannot be found out which namespaces there are, or some are another lab's.
    pub fn new(lab: &'l Lab) -> Result<Self, EngineError> {
        super::preconditions::demand_privileges(lab)?;
        let mut machine = Machine::open()?;
        let observed = machine.observe(&Scope { lab: &lab.name, desired: Some(lab), inside: true })?;
        let other = |(ns, own): (&NsName, &ObservedNamespace)| {
            Some((ns.clone(), own.is.owner.clone().filter(|owner| *owner != lab.name)?))
        };
        let others: Vec<_> = observed.namespaces.iter().filter_map(other).collect();
        if !others.is_empty() {
            return Err(CheckError::Others { lab: lab.name.clone(), others }.into());
        }
        let steps = plan::plan(lab, &observed).steps;
        let namespaces = observed.namespaces.iter().map(|(ns, observed)| (ns.clone(), observed.is.clone())).collect();
        let mut live = followed(lab, namespaces);
        steps.iter().for_each(|planned| without_subnet(&mut live, &planned.step));
        Ok(Self { machine, wanted: lab, live, observed, steps, asked: BTreeSet::new() })
    }

    /// How many steps and conflicts are between the lab and its file.
    pub(super) fn drift(&self) -> usize {
        self.steps.len() + plan::conflicts(self.wanted, &self.observed).len()
    }

    /// Sends a packet, watches it, and tells what happened to it.
    ///
    /// # Errors
    /// The namespace that is to send is missing, or sockets cannot be opened.
    pub fn trace(&mut self, tracing: &Tracing<'_>) -> Result<Trace, EngineError> {
        let tries = if tracing.probe.to.address.is_ipv6() { IPV6_TRIES } else { TRIES };
        let mut trace = self.once(tracing)?;
        for _ in 1..tries {
            // What nothing explains may be a neighbour that is not known yet, or an address that is being tried out.
            if trace.end.answered || !trace.end.is_unexplained {
                break;
            }
            trace = self.once(tracing)?;
        }
        if trace.end.is_unexplained {
            self.tell_settings(&mut trace);
        }
        Ok(trace)
    }

    /// What keeps a packet for no other reason may be a setting that no file has: first where it was last seen.
    fn tell_settings(&self, trace: &mut Trace) {
        let stages = trace.there.iter().chain(&trace.back).map(|stage| &stage.namespace);
        let places: Vec<&String> = trace.end.namespace.iter().chain(stages).collect();
        let mut own: Vec<&NsName> = self.wanted.own_namespaces().collect();
        own.retain(|ns| places.iter().any(|place| *place == ns.as_str()));
        own.sort_by_key(|ns| places.iter().position(|place| *place == ns.as_str()));
        // What cannot be read says nothing.
        let Ok(Some(unusual)) = crate::check::first_unusual(self.wanted, own.into_iter()) else { return };
        trace.end.what += &format!("; {}", unusual.hint);
        if !unusual.commands.is_empty() {
            trace.end.to_do.push("that may be why; to set them back:".to_owned());
            trace.end.to_do.extend(unusual.commands);
        }
    }

    /// The interfaces of a namespace; none: the lab has no such namespace.
    pub fn interfaces(&self, ns: &NsName) -> Option<Vec<&IfName>> {
        Some(self.live.namespaces.get(ns)?.interfaces.keys().collect())
    }

    /// What a namespace does with what goes to an address; none: the lab has no such namespace.
    pub fn lookup(&mut self, ns: &NsName, flow: &Flow) -> Option<Lookup> {
        self.read_settings(ns.clone());
        let interfaces: Vec<IfName> = self.live.namespaces.get(ns)?.interfaces.keys().cloned().collect();
        let details = self.machine.kernel.details(ns, &interfaces);
        trace::lookup(&self.live, ns, flow, (&details.neighbours, &details.firewall))
    }

    /// What keeps packets by the model of what there is, each in words that are the same for one cause; none: nothing.
    pub(super) fn obstacles(&mut self, tracings: &[Tracing<'_>]) -> Vec<Option<String>> {
        let asked: Vec<Asked> = tracings.iter().map(Tracing::asked).collect();
        let words = |round: RoundTrip| {
            // What keeps a packet there keeps an answer there as well.
            let (obstacle, _) = round.obstacle()?;
            let interface = obstacle.interface.as_ref().map_or("", |name| name.as_str());
            Some(format!("{}/{interface} {}", obstacle.ns, obstacle.cause.kind()))
        };
        self.ways(&asked).into_iter().map(words).collect()
    }

    fn once(&mut self, tracing: &Tracing<'_>) -> Result<Trace, EngineError> {
        let asked = tracing.asked();
        let places = self.places(&asked);
        let before = self.count(&places);
        let losses = Losses::now();
        let watched = send_and_watch(
            &Sending {
                probe: tracing.probe,
                protocol: tracing.check.protocol,
                size: tracing.check.size,
                answers: tracing.answers,
                timeout: tracing.timeout,
            },
            &places.iter().collect::<Vec<_>>(),
        )?;
        let after = self.count(&places);
        let counted = places.iter().filter_map(|ns| Some((ns.clone(), counted(before.get(ns)?, after.get(ns)?))));
        Ok(trace::diagnose(Evidence {
            wanted: self.wanted,
            live: &self.live,
            observed: &self.observed,
            asked: &asked,
            to: &tracing.probe.to.label,
            protocol: tracing.check.protocol,
            sightings: watched.sightings,
            unanswered: watched.unanswered,
            counted: counted.collect(),
            lost: crate::check::losses(&[Losses::now().since(losses)]),
            probe: watched.end,
            remedies: Remedies { steps: &self.steps, file: tracing.file, lab: &self.live },
        }))
    }

    /// The namespaces in which the packet may be seen: those on its way by the file and by what there is, and those
    /// beside it.
    fn places(&mut self, asked: &Asked) -> BTreeSet<NsName> {
        let mut places: BTreeSet<NsName> = [asked.from.clone()].into();
        places.extend(namespaces_of(&round_trip(&Layer2::new(&self.wanted.namespaces), asked)));
        places.iter().for_each(|ns| self.read_settings(ns.clone()));
        places.extend(self.ways(std::slice::from_ref(asked)).iter().flat_map(namespaces_of));
        // In a small lab, it may be seen anywhere.
        let all = self.live.namespaces.keys();
        if all.len() <= FEW_NAMESPACES {
            places.extend(all.cloned());
        }
        places.retain(|ns| self.live.namespaces.contains_key(ns));
        places
    }

    /// The ways of packets by what there is. The settings of the namespaces on them decide where they go on: they are
    /// read, and the links of the lab are gone through again, for those packets alone that come to new ones.
    fn ways(&mut self, all: &[Asked]) -> Vec<RoundTrip> {
        let mut ways: Vec<Option<RoundTrip>> = all.iter().map(|_| None).collect();
        loop {
            let layer2 = Layer2::new(&self.live.namespaces);
            let mut new = BTreeSet::new();
            for (asked, way) in all.iter().zip(&mut ways).filter(|(_, way)| way.is_none()) {
                let round = round_trip(&layer2, asked);
                let unread = namespaces_of(&round).into_iter().filter(|ns| !self.asked.contains(ns));
                let unread: Vec<NsName> = unread.collect();
                match unread.is_empty() {
                    true => *way = Some(round),
                    false => new.extend(unread),
                }
            }
            if new.is_empty() {
                return ways.into_iter().flatten().collect();
            }
            new.into_iter().for_each(|ns| self.read_settings(ns));
        }
    }

    /// Reads the settings of a namespace that decide about packets, once.
    fn read_settings(&mut self, ns: NsName) {
        if self.asked.contains(&ns) {
            return;
        }
        if let Some(namespace) = self.live.namespaces.get_mut(&ns)
            && let Ok(fd) = netns::open(&ns)
        {
            namespace.sysctls.extend(sysctl::read(fd.as_fd(), &settings(namespace)).unwrap_or_default());
        }
        self.asked.insert(ns);
    }

    fn count(&mut self, places: &BTreeSet<NsName>) -> BTreeMap<NsName, (CountedFirewall, IpCounters)> {
        let mut all = BTreeMap::new();
        for ns in places {
            let has_rules = self.observed.namespaces.get(ns).is_some_and(|own| {
                ns.is_host() || !own.firewall.chains.is_empty() || !own.firewall.policies.is_empty()
            });
            let rules = if has_rules { self.machine.kernel.details(ns, &[]).firewall } else { CountedFirewall::new() };
            let ip = netns::open(ns).map(|fd| ip_counters(fd.as_fd())).unwrap_or_default();
            all.insert(ns.clone(), (rules, ip));
        }
        all
    }
}

/// What is followed of a lab, with these namespaces: neither its checks nor what its programs find in `/etc`.
fn followed(lab: &Lab, namespaces: IndexMap<NsName, Namespace>) -> Lab {
    Lab::of(lab.name.clone(), namespaces)
}

/// Where the route is missing that comes with an address, the address is as good as one without a subnet.
fn without_subnet(live: &mut Lab, step: &Step) {
    let Step::Route(RouteStep { ns, change: Update::Add(Route { dev: Some(dev), via: None, to, .. }) }) = step else {
        return;
    };
    let interface = live.namespaces.get_mut(ns).and_then(|own| own.interfaces.get_mut(dev));
    if let Some(interface) = interface {
        let alone =
            |own: Address| if own.connected().any(|net| net == *to) { IpNet::from(own.ip()).into() } else { own };
        interface.addresses = std::mem::take(&mut interface.addresses).into_iter().map(alone).collect();
    }
}

fn namespaces_of(round: &RoundTrip) -> Vec<NsName> {
    fn of_way(way: &Way, into: &mut Vec<NsName>) {
        for leg in &way.legs {
            into.push(leg.ns.clone());
            into.extend(leg.crossings.iter().map(|crossing| crossing.at.ns.clone()));
            leg.tunnel.iter().for_each(|tunnel| of_way(tunnel, into));
        }
        into.extend(way.obstacle().map(|obstacle| obstacle.ns.clone()));
    }
    let mut all = Vec::new();
    of_way(&round.there, &mut all);
    round.back.iter().for_each(|back| of_way(back, &mut all));
    all
}

/// The settings of a namespace that decide about packets.
fn settings(namespace: &Namespace) -> BTreeSet<SysctlKey> {
    let all = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.rp_filter"];
    let all = all.into_iter().chain(["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"]);
    // What comes in through a port of a bridge comes to the namespace through the bridge.
    let is_bridge = |name: &IfName| namespace.interfaces.get(name).is_some_and(|one| one.bridge_options().is_some());
    let is_port = |interface: &Interface| interface.master.as_ref().is_some_and(is_bridge);
    let routed = namespace.interfaces.iter().filter(|(_, interface)| !is_port(interface));
    let own = routed.flat_map(|(name, _)| {
        let name = name.as_str().replace('.', "/");
        let ipv4 = ["forwarding", "rp_filter", "proxy_arp"].map(|key| format!("net.ipv4.conf.{name}.{key}"));
        ipv4.into_iter().chain([format!("net.ipv6.conf.{name}.disable_ipv6")])
    });
    all.map(str::to_owned).chain(own).filter_map(|key| key.parse().ok()).collect()
}

/// What a namespace has counted in between: the rules that keep packets, and what IP could not handle.
fn counted(before: &(CountedFirewall, IpCounters), after: &(CountedFirewall, IpCounters)) -> Counted {
    let (mut rules, mut nat) = (Vec::new(), Vec::new());
    for (id, chain) in &after.0 {
        let Some(was) = before.0.get(id) else { continue };
        for (rule, was) in chain.rules.iter().zip(&was.rules) {
            let does = |targets: &[&str]| targets.iter().any(|target| rule.text.contains(target));
            let has_matched = rule.text == was.text && rule.counters.packets > was.counters.packets;
            let list = match (does(&["-j DROP", "-j REJECT"]), does(&["NAT --to", "-j MASQUERADE", "-j REDIRECT"])) {
                (true, _) => &mut rules,
                (_, true) => &mut nat,
                (false, false) => continue,
            };
            list.extend(has_matched.then(|| format!("`-A {} {}`", id.chain, rule.text)));
        }
        let drops = chain.policy == Some(crate::lab::Policy::Drop);
        if drops && chain.counters.packets > was.counters.packets {
            rules.push(format!("`-P {} DROP`", id.chain));
        }
    }
    let wrong = ["Err", "Discard", "NoRoute", "Fail", "Filter", "Unknown", "NoPorts", "Rst", "Truncated", "Martian"];
    let changed = after.1.iter().filter(|(name, _)| wrong.iter().any(|part| name.contains(part)));
    let changed = changed.filter_map(|(name, now)| {
        let by = now.saturating_sub(*before.1.get(name)?);
        (by > 0).then(|| (name.clone(), by))
    });
    Counted { rules, nat, ip: changed.collect() }
}
