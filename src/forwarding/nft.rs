//! What the tables of nf_tables make of the first packet of a connection.

use std::iter;

use ipnet::IpNet;

use super::firewall::{ChainAt, DEPTH, Decided, Flow, RuleAt, is_own};
use crate::lab::{
    DnatPort, DnatTarget, Family, FirewallTarget, Hook, Namespace, NftChain, NftChainType, NftCondition, NftElement,
    NftFamily, NftField, NftKey, NftRule, NftSet, NftSide, NftStatement, NftTable, NftTableId, NftValue, NftVerdict,
    Policy, PortRange, RejectWith, Table,
};

/// Whether a packet meets a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meets {
    Yes,
    No,
    /// It depends on who has been here before.
    Perhaps,
}

/// All that may become of a packet at a hook.
pub(super) fn possibilities(namespace: &Namespace, (table, hook): (Table, Hook), flow: &Flow) -> Vec<Decided> {
    let kind = match table {
        Table::Nat => NftChainType::Nat,
        Table::Filter => NftChainType::Filter,
    };
    let is_asked = |chain: &NftChain| chain.base.as_ref().is_some_and(|base| base.kind == kind && base.hook == hook);
    let sees = |id: &NftTableId| match id.family {
        NftFamily::Ip => flow.family() == Family::Ipv4,
        NftFamily::Ip6 => flow.family() == Family::Ipv6,
        NftFamily::Inet => true,
    };
    let tables = namespace.nft.iter().filter(|(id, _)| sees(id));
    let chains = tables.flat_map(|(id, table)| {
        let own = table.chains.iter().filter(|(_, chain)| is_asked(chain));
        own.map(move |(name, chain)| (id, table, name, chain))
    });
    let mut chains: Vec<_> = chains.collect();
    chains.sort_by_key(|(.., chain)| chain.base.as_ref().map(|base| base.priority));
    let (mut possible, mut flow) = (Vec::new(), flow.clone());
    for (id, table, name, chain) in chains {
        let mut walk = Walk { namespace, id, table, flow: flow.clone(), possible: Vec::new() };
        let passes = walk.may_pass(name, DEPTH);
        let drops = chain.base.as_ref().is_some_and(|base| base.policy == Policy::Drop);
        if passes && drops {
            walk.decide(name, 0, FirewallTarget::Drop);
        }
        // What one table accepts, the next is asked about.
        let accepts = |decided: &Decided| matches!(decided.by, Some((_, FirewallTarget::Accept)));
        let goes_on = (passes && !drops) || walk.possible.iter().any(accepts);
        flow.mark = walk.flow.mark;
        possible.extend(walk.possible.into_iter().filter(|decided| !accepts(decided)));
        if !goes_on {
            return possible;
        }
    }
    possible.push(Decided { by: None, mark: flow.mark });
    possible
}

/// A packet's way through the chains of a table.
struct Walk<'n> {
    namespace: &'n Namespace,
    id: &'n NftTableId,
    table: &'n NftTable,
    /// The packet, with the mark that it has by now.
    flow: Flow,
    possible: Vec<Decided>,
}

impl<'n> Walk<'n> {
    fn decide(&mut self, chain: &str, position: usize, target: FirewallTarget) {
        let chain = ChainAt::Nft(self.id.clone(), chain.to_owned());
        self.possible.push(Decided { by: Some((RuleAt { chain, position }, target)), mark: self.flow.mark });
    }

    /// Asks a chain; whether the packet may come to its end.
    fn may_pass(&mut self, name: &str, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return true };
        let rules = self.table.chains.get(name).map_or(&[][..], |chain| &chain.rules);
        let mut passes = false;
        for (at, rule) in rules.iter().enumerate() {
            let meets = self.meets(rule);
            if meets == Meets::No {
                continue;
            }
            let goes_on = self.statements((name, at + 1), rule, depth);
            passes |= goes_on == After::Ends;
            if meets == Meets::Yes && goes_on != After::Next {
                return passes;
            }
        }
        true
    }

    fn statements(&mut self, (chain, position): (&str, usize), rule: &'n NftRule, depth: usize) -> After {
        for statement in &rule.statements {
            let target = match statement {
                NftStatement::SetMark(bits) => {
                    self.flow.mark = bits.applied_to(self.flow.mark);
                    continue;
                }
                NftStatement::Update(..) => continue,
                NftStatement::Dnat(to) => {
                    FirewallTarget::Dnat(DnatTarget { address: to.ip(), port: DnatPort::One(to.port()) })
                }
                NftStatement::Masquerade { fully_random: true } => FirewallTarget::MasqueradeRandomly,
                NftStatement::Masquerade { fully_random: false } => FirewallTarget::Masquerade,
                NftStatement::Reject => FirewallTarget::Reject(RejectWith::port_unreachable(self.flow.family())),
                NftStatement::Verdict(verdict) => return self.verdict((chain, position), verdict, depth),
                NftStatement::LookUp(fields, map) => {
                    let found = self.table.sets.get(map).and_then(|map| found(map, fields, &self.flow));
                    match found.and_then(|element| element.verdict.as_ref()) {
                        Some(verdict) => return self.verdict((chain, position), verdict, depth),
                        None => return After::Next,
                    }
                }
                NftStatement::Spread(verdicts) => {
                    let ways = verdicts.iter().map(|verdict| self.verdict((chain, position), verdict, depth));
                    return ways.reduce(After::or).unwrap_or(After::Next);
                }
            };
            self.decide(chain, position, target);
            return After::Decided;
        }
        After::Next
    }

    fn verdict(&mut self, (chain, position): (&str, usize), verdict: &NftVerdict, depth: usize) -> After {
        match verdict {
            NftVerdict::Continue => After::Next,
            NftVerdict::Return => After::Ends,
            NftVerdict::Jump(inner) => {
                if self.may_pass(inner, depth) {
                    After::Next
                } else {
                    After::Decided
                }
            }
            NftVerdict::Goto(inner) => {
                if self.may_pass(inner, depth) {
                    After::Ends
                } else {
                    After::Decided
                }
            }
            NftVerdict::Accept | NftVerdict::Drop => {
                let accepts = *verdict == NftVerdict::Accept;
                self.decide(chain, position, if accepts { FirewallTarget::Accept } else { FirewallTarget::Drop });
                After::Decided
            }
        }
    }

    fn meets(&self, rule: &NftRule) -> Meets {
        let mut all = Meets::Yes;
        for condition in &rule.conditions {
            match self.meets_one(condition) {
                Meets::Yes => {}
                Meets::Perhaps => all = Meets::Perhaps,
                Meets::No => return Meets::No,
            }
        }
        all
    }

    /// What is not known of the packet meets every condition.
    fn meets_one(&self, condition: &NftCondition) -> Meets {
        let flow = &self.flow;
        let address = |side: &NftSide| address(flow, *side);
        let is_met = match condition {
            NftCondition::Address(side, net) => {
                let of_family = Family::of(net.value().addr()) == flow.family();
                of_family && address(side).is_none_or(|address| net.holds(|net| net.contains(&address)))
            }
            NftCondition::Protocol(protocol) => protocol.holds(|protocol| *protocol == flow.protocol),
            NftCondition::Port(side, ports) => match (port(flow, *side), flow.protocol.has_ports()) {
                (Some(port), _) => ports.holds(|ports| ports.contains(port)),
                (None, has_ports) => has_ports,
            },
            NftCondition::InSet(fields, name) => {
                let Some(set) = self.table.sets.get(name.value()) else { return Meets::No };
                if set.definition.dynamic_for.is_some() {
                    return Meets::Perhaps;
                }
                name.holds(|_| found(set, fields, flow).is_some())
            }
            NftCondition::States(states) => !states.is_disjoint(&flow.states),
            NftCondition::Mark(bits) => bits.holds(|bits| bits.are_in(flow.mark)),
            NftCondition::Local(side) => address(side).is_none_or(|address| is_own(self.namespace, address)),
            NftCondition::Input(name) => flow.input.as_ref().is_none_or(|input| name.holds(|name| name == input)),
            NftCondition::Output(name) => flow.out.as_ref().is_none_or(|out| name.holds(|name| name == out)),
        };
        if is_met { Meets::Yes } else { Meets::No }
    }
}

/// What comes after a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next rule.
    Next,
    /// What is after the chain.
    Ends,
    /// Nothing.
    Decided,
}

impl After {
    /// Of two ways, the one that goes on the longest.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Next, _) | (_, Self::Next) => Self::Next,
            (Self::Ends, _) | (_, Self::Ends) => Self::Ends,
            (Self::Decided, Self::Decided) => Self::Decided,
        }
    }
}

fn address(flow: &Flow, side: NftSide) -> Option<std::net::IpAddr> {
    match side {
        NftSide::Source => flow.source,
        NftSide::Destination => Some(flow.destination),
    }
}

fn port(flow: &Flow, side: NftSide) -> Option<u16> {
    match side {
        NftSide::Source => flow.source_port,
        NftSide::Destination => flow.destination_port,
    }
}

/// What a set has for some fields of a packet; nothing where one of them is not known, or not there.
fn found<'s>(set: &'s NftSet, fields: &[NftField], flow: &Flow) -> Option<&'s NftElement> {
    let value = |field: &NftField| match field {
        NftField::Address(family, side) => {
            let address = address(flow, *side).filter(|address| Family::of(*address) == *family);
            address.map(|address| NftValue::Addresses(IpNet::from(address)))
        }
        NftField::Protocol => Some(NftValue::Protocol(flow.protocol)),
        NftField::Port(side) => port(flow, *side).map(|port| NftValue::Ports(PortRange::one(port))),
    };
    let key: NftKey = fields.iter().map(value).collect::<Option<_>>()?;
    if !set.definition.is_interval {
        return set.elements.get(&key);
    }
    let is_within = |(of, own): (&NftValue, &NftValue)| match (of, own) {
        (NftValue::Addresses(net), NftValue::Addresses(own)) => net.contains(own),
        (NftValue::Ports(ports), NftValue::Ports(own)) => ports.contains(own.first),
        (of, own) => of == own,
    };
    set.elements.iter().find(|(of, _)| iter::zip(of.iter(), &key).all(is_within)).map(|(_, element)| element)
}

/// Whether a namespace's tables translate any destination.
pub(super) fn may_lead_elsewhere(namespace: &Namespace) -> bool {
    let rules = namespace.nft.values().flat_map(|table| table.chains.values()).flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| &rule.statements).any(|statement| matches!(statement, NftStatement::Dnat(_)))
}
