//! UDP flows that rules no longer say: whoever publishes a port to another target means the next packet, and whoever
//! masquerades what he has not, too.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::forwarding::{Flow, Outcome, Packet, Router, Translated, translate, translations};
use crate::kernel::connections::TrackedFlow;
use crate::kernel::{Kernel, KernelError};
use crate::lab::{
    Condition, FirewallRule, FirewallTarget, ForeignKind, Hook, IfName, Interface, InterfaceKind, IpProtocol, Matches,
    Namespace, NftCondition, NftRule, NftStatement, NftTableId, NftValue, NsName, ObservedRule, PortProtocol,
};
use crate::plan::PlannedStep;
use crate::steps::{Change, FirewallChange, ForeignStep, NftChange, Presence, Step};

/// Forgets the flows that a rule matches which was added or removed, where they lead elsewhere, or seem to come from
/// elsewhere, than the rules that there are now say. Flows over TCP end by themselves.
///
/// # Errors
/// The kernel refuses to list or to forget them.
pub(super) fn forget_stale<'n>(
    kernel: &mut Kernel,
    namespace: impl Fn(&NsName) -> Option<&'n Namespace>,
    done: &[PlannedStep],
) -> Result<(), KernelError> {
    for (ns, rules) in changed(done) {
        let mut namespace = namespace(&ns).map_or_else(Cow::default, Cow::Borrowed);
        if ns.is_host() {
            // The machine has addresses that the file does not know.
            let lo = Interface::new(InterfaceKind::Loopback);
            let addresses = kernel.addresses_of_host()?;
            namespace.to_mut().interfaces.entry(IfName::lo()).or_insert(lo).addresses.extend(addresses);
        }
        let router = Router::new(&namespace);
        kernel.forget_flows(&ns, |flow| {
            flow.protocol == PortProtocol::Udp && is_stale(&namespace, &router, &rules, flow)
        })?;
    }
    Ok(())
}

/// What a changed rule matches, and whether it translates sources, or else destinations.
type Changed = (Matches, bool);

/// The rules that translate UDP and have changed. A namespace that is new has no flows.
fn changed(done: &[PlannedStep]) -> BTreeMap<NsName, Vec<Changed>> {
    let new: BTreeSet<NsName> =
        done.iter().filter(|planned| planned.step.makes_namespace()).map(|planned| planned.step.namespace()).collect();
    // Of a chain that is written anew, most rules are removed and added again.
    let mut changes: HashMap<(&NsName, &FirewallRule), isize> = HashMap::new();
    for step in done.iter().filter_map(|planned| planned.step.firewall()).filter(|step| !new.contains(&step.ns)) {
        if let FirewallChange::Rule { change, .. } = &step.change
            && let ObservedRule::Known(rule) = change.object().as_ref()
            && translates_udp(rule)
        {
            let by = if step.removes() { -1 } else { 1 };
            *changes.entry((&step.ns, rule)).or_default() += by;
        }
    }
    let mut all: BTreeMap<NsName, Vec<Changed>> = BTreeMap::new();
    let made = made(done);
    let led = done.iter().map(|planned| &planned.step).filter(|step| leads_elsewhere(step, &made));
    for ns in led.map(Step::namespace).filter(|ns| !new.contains(ns)) {
        // Of all flows, those go that are led where the tables no longer lead them.
        let udp = Matches { protocol: Some(Condition::Is(IpProtocol::Udp)), ..Matches::default() };
        all.entry(ns).or_insert_with(|| vec![(udp, false)]);
    }
    for ((ns, rule), _) in changes.into_iter().filter(|(_, count)| *count != 0) {
        // Those of the machine may have gone with the rule.
        let destination_is_local = rule.matches.destination_is_local.filter(|_| !ns.is_host());
        let matches = Matches { destination_is_local, ..rule.matches.clone() };
        all.entry(ns.clone()).or_default().push((matches, translates_source(rule)));
    }
    all
}

/// A chain of nf_tables.
type NftChainRef<'s> = (&'s NsName, &'s NftTableId, &'s str);

/// The chains of nf_tables that steps have made.
fn made(done: &[PlannedStep]) -> BTreeSet<NftChainRef<'_>> {
    let steps = done.iter().filter_map(|planned| planned.step.nft());
    let made = steps.filter_map(|step| match &step.change {
        NftChange::Chain(name, Presence::Add(_)) => Some((&step.ns, &step.table, name.as_str())),
        _ => None,
    });
    made.collect()
}

/// Whether a step on a table of nf_tables may lead flows over UDP elsewhere: it is about destinations, or about what is
/// chosen among, or the table goes as a whole, as one does that the file no longer wants. To a chain that is new, an
/// element leads that is new.
fn leads_elsewhere(step: &Step, made: &BTreeSet<NftChainRef<'_>>) -> bool {
    let Some(step) = step.nft() else {
        let Step::Foreign(ForeignStep { change: Presence::Remove(table), .. }) = step else { return false };
        return matches!(table.kind, ForeignKind::NftTable { .. });
    };
    match &step.change {
        NftChange::Rules(chain, Change { from, to }) => {
            !made.contains(&(&step.ns, &step.table, chain.as_str())) && from.iter().chain(to).any(leads_udp)
        }
        NftChange::Element { definition, key, .. } => {
            let is_other = |value: &NftValue| matches!(value, NftValue::Protocol(of) if *of != IpProtocol::Udp);
            definition.is_map && !key.iter().any(is_other)
        }
        NftChange::Table(_) | NftChange::Chain(..) | NftChange::Set(..) => false,
    }
}

fn leads_udp(rule: &NftRule) -> bool {
    let is_other = |condition: &NftCondition| match condition {
        NftCondition::Protocol(protocol) => !protocol.holds(|of| *of == IpProtocol::Udp),
        _ => false,
    };
    let leads = |statement: &NftStatement| matches!(statement, NftStatement::Dnat(_) | NftStatement::Spread(_));
    rule.statements.iter().any(leads) && !rule.conditions.iter().any(is_other)
}

fn translates_udp(rule: &FirewallRule) -> bool {
    let leads = matches!(rule.target, FirewallTarget::Dnat(_) | FirewallTarget::Redirect(_));
    (leads || translates_source(rule))
        && rule.matches.protocol.as_ref().is_none_or(|protocol| protocol.holds(|of| *of == IpProtocol::Udp))
}

fn translates_source(rule: &FirewallRule) -> bool {
    matches!(rule.target, FirewallTarget::Snat(_) | FirewallTarget::Masquerade)
}

fn is_stale(namespace: &Namespace, router: &Router<'_>, changed: &[Changed], flow: &TrackedFlow) -> bool {
    let ((source, source_port), (destination, port)) = (flow.source, flow.destination);
    let first = Flow {
        source: Some(source),
        source_port: Some(source_port),
        ..Flow::to(IpProtocol::Udp, destination, Some(port))
    };
    let leads_there = |hook| {
        translations(namespace, hook, &first).any(|Translated { flow: led, .. }| {
            (led.destination, led.destination_port.unwrap_or(port)) == flow.answered_by
        })
    };
    // As it leaves, it goes to the one that answers. What it would seem to come from is not known where the interface
    // is not.
    let seems_otherwise = |matches| {
        let (to, to_port) = flow.answered_by;
        let Outcome::Leaves { dev, .. } = router.lookup(&Packet { source: Some(source), ..Packet::to(to) }).outcome
        else {
            return false;
        };
        let leaving = Flow { destination: to, destination_port: Some(to_port), out: Some(dev), ..first.clone() };
        let seems = || translate(namespace, Hook::Postrouting, &leaving).flow.source;
        leaving.meets(namespace, matches) && seems().is_some_and(|seems| seems != flow.answered_to)
    };
    changed.iter().any(|(matches, of_source)| match of_source {
        true => seems_otherwise(matches),
        // What the namespace sends itself is translated on its way out.
        false => first.meets(namespace, matches) && !leads_there(Hook::Prerouting) && !leads_there(Hook::Output),
    })
}
