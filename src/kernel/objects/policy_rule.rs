//! Policy routing rules.

use std::collections::BTreeSet;

use ipnet::IpNet;
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_EXCL, parse_ip, parse_u8, parse_u16, parse_u32};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleFlags, RuleHeader, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::{Decoded, accept_gone};
use crate::kernel::netlink::{NetlinkError, attributes, name_text};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{ForeignKind, ForeignObject, ForeignRule, IfName, PolicyRule, ROUTE_PROTOCOL, RuleAction};
use crate::steps::{PolicyRuleStep, Presence};

/// Attributes of a rule (linux/fib_rules.h).
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
const FRA_SPORT_MASK: u16 = 28;
const FRA_DPORT_MASK: u16 = 29;

/// The rules that every namespace begins with: look `local`, `main` and (IPv4) `default` up.
const BUILT_IN: [(u32, u32); 3] = [(0, 255), (32766, 254), (32767, 253)];

/// The rule that a namespace has since its first VRF. The kernel makes it once: whoever removes it takes it from all
/// VRFs to come, so it stays when the last of them goes.
const OF_VRFS: u32 = 1000;

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &PolicyRuleStep) -> Result<(), NetlinkError> {
    match &step.change {
        Presence::Add(rule) => add(netns, rule),
        Presence::Remove(rule) => accept_gone(delete(netns, rule, step.ns.is_host())),
    }
}

/// Adds a rule. For the kernel, one of the same priority that says more is in its way (`rule_exists` passes over
/// prefixes that the request leaves open); only the very same is.
fn add(netns: &mut NetnsHandle, rule: &PolicyRule) -> Result<(), NetlinkError> {
    let mut message = encode(rule);
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(ROUTE_PROTOCOL)));
    match netns.socket.change(RouteNetlinkMessage::NewRule(message.clone()), NLM_F_CREATE | NLM_F_EXCL) {
        Err(error) if error.errno == Errno::EEXIST && like(netns, rule, false)?.is_empty() => {
            netns.socket.change(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE)
        }
        outcome => outcome,
    }
}

/// Removes a rule as the kernel itself lists it: the kernel takes the first rule that has what the request says, which
/// may be another's. In a namespace of the lab, whoever made it; in `host`, only what carries nslab's protocol number.
fn delete(netns: &mut NetnsHandle, rule: &PolicyRule, in_host: bool) -> Result<(), NetlinkError> {
    for item in like(netns, rule, in_host)? {
        accept_gone(netns.socket.change_listed(libc::RTM_DELRULE, &item, 0))?;
    }
    Ok(())
}

/// The rules that are the same as this one, in the kernel's own words; with `of_nslab`, only those with its protocol
/// number.
fn like(netns: &mut NetnsHandle, rule: &PolicyRule, of_nslab: bool) -> Result<Vec<Vec<u8>>, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default()))?;
    let mut like = Vec::new();
    for item in dump.items() {
        let header = RuleHeader::parse(item)?;
        if is_ip(&header)
            && let Decoded::Known((there, is_ours)) = decode(&header, item)?
            && there == *rule
            && (is_ours || !of_nslab)
        {
            like.push(item.to_vec());
        }
    }
    Ok(like)
}

/// Whether it is a rule for IP, and not for multicast routing.
fn is_ip(header: &RuleHeader) -> bool {
    matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6)
}

fn encode(rule: &PolicyRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(rule.priority));
    if let Some(from) = rule.from {
        message.header.src_len = from.prefix_len();
        attributes.push(RuleAttribute::Source(from.network()));
    }
    if let Some(to) = rule.to {
        message.header.dst_len = to.prefix_len();
        attributes.push(RuleAttribute::Destination(to.network()));
    }
    attributes.extend(rule.iif.as_ref().map(|name| RuleAttribute::Iifname(name.to_string())));
    attributes.extend(rule.oif.as_ref().map(|name| RuleAttribute::Oifname(name.to_string())));
    if let Some((mark, mask)) = rule.fwmark {
        attributes.push(RuleAttribute::FwMark(mark));
        attributes.push(RuleAttribute::FwMask(mask));
    }
    message.header.action = match rule.action {
        RuleAction::Table(table) => {
            attributes.push(RuleAttribute::Table(table));
            Action::ToTable
        }
        RuleAction::Vrf => {
            attributes.push(RuleAttribute::L3MDev(true));
            Action::ToTable
        }
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
    };
    message
}

/// The rules of a namespace.
#[derive(Default)]
pub(in crate::kernel) struct Rules {
    /// All, without those that every namespace begins with.
    pub(in crate::kernel) all: BTreeSet<PolicyRule>,
    /// Those that carry nslab's protocol number.
    pub(in crate::kernel) of_nslab: BTreeSet<PolicyRule>,
    /// Those that the model cannot express.
    pub(in crate::kernel) foreign: Vec<ForeignRule>,
    /// Those of the kernel's that this namespace has not, or not any more.
    pub(in crate::kernel) lost: BTreeSet<PolicyRule>,
}

/// Lists the rules of a namespace.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Rules, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default()))?;
    Ok(listed(dump.items())?)
}

/// The rules that a listing tells of.
pub(in crate::kernel) fn listed<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<Rules, DecodeError> {
    let mut rules = Rules { lost: kernels().collect(), ..Rules::default() };
    for item in items {
        let header = RuleHeader::parse(item)?;
        if !is_ip(&header) {
            continue;
        }
        let (rule, is_ours) = match decode(&header, item)? {
            Decoded::Known(known) => known,
            Decoded::Foreign(foreign) => {
                rules.foreign.push(foreign);
                continue;
            }
        };
        if kernels().any(|kernels| kernels == rule) {
            rules.lost.remove(&rule);
            continue;
        }
        if is_ours {
            rules.of_nslab.insert(rule.clone());
        }
        rules.all.insert(rule);
    }
    // A kernel without IPv6, or without policy routing for it, has none of its rules.
    if built_in().filter(|rule| rule.ipv6).all(|rule| rules.lost.contains(&rule)) {
        rules.lost.retain(|rule| !rule.ipv6);
    }
    Ok(rules)
}

/// The rules that every namespace begins with. IPv6 has no table `default`.
fn built_in() -> impl Iterator<Item = PolicyRule> {
    let of = |ipv6: bool| {
        BUILT_IN.iter().map(move |&(priority, table)| everything(priority, ipv6, RuleAction::Table(table)))
    };
    of(false).chain(of(true).filter(|rule| rule.priority != 32767))
}

/// The rules that the kernel makes: those that every namespace begins with, and those that VRFs need.
fn kernels() -> impl Iterator<Item = PolicyRule> {
    built_in().chain([false, true].map(|ipv6| everything(OF_VRFS, ipv6, RuleAction::Vrf)))
}

fn everything(priority: u32, ipv6: bool, action: RuleAction) -> PolicyRule {
    PolicyRule { priority, ipv6, from: None, to: None, iif: None, oif: None, fwmark: None, action }
}

/// The rule, and whether it carries nslab's protocol number.
fn decode(header: &RuleHeader, item: &[u8]) -> Result<Decoded<(PolicyRule, bool), ForeignRule>, DecodeError> {
    let mut rule = everything(0, header.family == AddressFamily::Inet6, RuleAction::Table(u32::from(header.table)));
    let (mut mark, mut mask, mut target) = (None, None, 0);
    let (mut is_ours, mut of_vrfs, mut further) = (false, false, Further::of(header));
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        let (kind, value) = attribute?;
        match kind {
            FRA_DST => rule.to = Some(net(value, header.dst_len)?),
            FRA_SRC => rule.from = Some(net(value, header.src_len)?),
            FRA_IIFNAME => rule.iif = further.interface("iif", value),
            FRA_OIFNAME => rule.oif = further.interface("oif", value),
            FRA_PRIORITY => rule.priority = parse_u32(value)?,
            FRA_TABLE => rule.action = RuleAction::Table(parse_u32(value)?),
            FRA_FWMARK => mark = Some(parse_u32(value)?),
            FRA_FWMASK => mask = Some(parse_u32(value)?),
            FRA_L3MDEV => of_vrfs = value == [1],
            FRA_PROTOCOL => is_ours = value == [ROUTE_PROTOCOL],
            FRA_GOTO => target = parse_u32(value)?,
            // The kernel always sends it; all ones: it suppresses nothing.
            FRA_SUPPRESS_PREFIXLEN if parse_u32(value)? == u32::MAX => {}
            // Newer kernels send it beside a range; all ones: nothing is masked.
            FRA_SPORT_MASK | FRA_DPORT_MASK if parse_u16(value)? == u16::MAX => {}
            other => further.attribute(other, value)?,
        }
    }
    if mark.is_some() || mask.is_some() {
        rule.fwmark = Some((mark.unwrap_or(0), mask.unwrap_or(u32::MAX)));
    }
    let action = match header.action {
        Action::ToTable if of_vrfs => Ok(RuleAction::Vrf),
        Action::ToTable => Ok(rule.action),
        Action::Blackhole => Ok(RuleAction::Blackhole),
        Action::Unreachable => Ok(RuleAction::Unreachable),
        Action::Prohibit => Ok(RuleAction::Prohibit),
        Action::Goto => Err(format!(" goto {target}")),
        Action::Nop => Err(" nop".to_owned()),
        other => Err(format!(" type {}", u8::from(other))),
    };
    match action {
        Ok(action) if further.is_nothing() => Ok(Decoded::Known((PolicyRule { action, ..rule }, is_ours))),
        action => {
            let (priority, ipv6, kind) = (rule.priority, rule.ipv6, ForeignKind::PolicyRule { ipv6: rule.ipv6 });
            let object = ForeignObject { kind, text: further.text(rule, action), message: item.to_vec() };
            Ok(Decoded::Foreign(ForeignRule { object, priority, ipv6, is_ours }))
        }
    }
}

fn net(value: &[u8], length: u8) -> Result<IpNet, DecodeError> {
    IpNet::new(parse_ip(value)?, length).map_err(|error| DecodeError::from(error.to_string()))
}

/// What a rule says that the model has no words for, as `ip rule` spells it.
struct Further {
    is_inverted: bool,
    words: String,
}

impl Further {
    fn of(header: &RuleHeader) -> Self {
        let words = if header.tos == 0 { String::new() } else { format!(" tos {:#04x}", header.tos) };
        Self { is_inverted: header.flags.contains(RuleFlags::Invert), words }
    }

    fn is_nothing(&self) -> bool {
        !self.is_inverted && self.words.is_empty()
    }

    /// The name of an interface, if the model can say it.
    fn interface(&mut self, word: &str, value: &[u8]) -> Option<IfName> {
        let text = name_text(value).unwrap_or_default();
        let name = text.parse().ok();
        if name.is_none() {
            self.words += &format!(" {word} {text}");
        }
        name
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> Result<(), DecodeError> {
        self.words += &match kind {
            FRA_SUPPRESS_PREFIXLEN => format!(" suppress_prefixlength {}", parse_u32(value)?),
            FRA_SUPPRESS_IFGROUP => format!(" suppress_ifgroup {}", parse_u32(value)?),
            FRA_IP_PROTO => format!(" ipproto {}", parse_u8(value)?),
            FRA_SPORT_RANGE => format!(" sport {}", range(value, parse_u16)?),
            FRA_DPORT_RANGE => format!(" dport {}", range(value, parse_u16)?),
            FRA_UID_RANGE => format!(" uidrange {}", range(value, parse_u32)?),
            other => format!(" (attribute {other})"),
        };
        Ok(())
    }

    fn text(&self, rule: PolicyRule, action: Result<RuleAction, String>) -> String {
        let (action, other) = match action {
            Ok(action) => (action, None),
            Err(other) => (RuleAction::Blackhole, Some(other)),
        };
        let text = PolicyRule { action, ..rule }.to_string();
        let text = if self.is_inverted { text.replacen(" from", " not from", 1) } else { text };
        match other {
            Some(other) => format!("{}{}{other}", text.trim_end_matches(" blackhole"), self.words),
            None => format!("{text}{}", self.words),
        }
    }
}

/// A range: its first and its last number, one after the other.
fn range<T: std::fmt::Display>(
    value: &[u8],
    number: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<String, DecodeError> {
    let (first, last) = value.split_at_checked(size_of::<T>()).unwrap_or_default();
    Ok(format!("{}-{}", number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{bytes, dev, option_of, prefix};
    use super::*;

    fn any_rule() -> impl Strategy<Value = PolicyRule> {
        let action = prop_oneof![
            (1..u32::MAX).prop_map(RuleAction::Table),
            Just(RuleAction::Vrf),
            Just(RuleAction::Blackhole),
            Just(RuleAction::Unreachable),
            Just(RuleAction::Prohibit),
        ];
        let prefixes =
            any::<bool>().prop_flat_map(|ipv6| (Just(ipv6), option_of(prefix(ipv6)), option_of(prefix(ipv6))));
        let interfaces = (option_of(Just(dev())), option_of(Just(dev())));
        (any::<u32>(), prefixes, interfaces, option_of(any::<(u32, u32)>()), action).prop_map(
            |(priority, (ipv6, from, to), (iif, oif), fwmark, action)| PolicyRule {
                priority,
                ipv6,
                from,
                to,
                iif,
                oif,
                fwmark,
                action,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(rule in any_rule()) {
            let bytes = bytes(&encode(&rule));
            let header = RuleHeader::parse(&bytes).unwrap();
            prop_assert_eq!(decode(&header, &bytes).unwrap(), Decoded::Known((rule, false)));
        }
    }
}
