//! Policy routing rules.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use nix::errno::Errno;

use super::gone;
use crate::kernel::netlink::Refusal;
use crate::kernel::observe;
use crate::kernel::space::Space;
use crate::lab::{Rule, RuleAction};
use crate::plan::ROUTE_PROTOCOL;

/// Adds a rule. For the kernel, one of the same priority that says more is in its way (`rule_exists` passes over prefixes that
/// the request leaves open); only the very same is.
pub(super) fn add(space: &mut Space, rule: &Rule) -> Result<(), Refusal> {
    let mut message = message(rule);
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(ROUTE_PROTOCOL)));
    match space.socket.change(RouteNetlinkMessage::NewRule(message.clone()), NLM_F_CREATE | NLM_F_EXCL) {
        Err(refusal) if refusal.errno == Errno::EEXIST && listed(space, rule, false)?.is_empty() => {
            space.socket.change(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE)
        }
        outcome => outcome,
    }
}

/// Removes a rule as the kernel itself lists it: the kernel takes the first rule that has what the request says, which may be
/// another's. In a namespace of the lab, whoever made it; in `host`, only what carries nslab's protocol number.
pub(super) fn delete(space: &mut Space, rule: &Rule, in_host: bool) -> Result<(), Refusal> {
    for item in listed(space, rule, in_host)? {
        gone(space.socket.remove_listed(libc::RTM_DELRULE, &item))?;
    }
    Ok(())
}

/// The rules that observing tells as this one, in the kernel's own words; `marked`: only those with our protocol number.
fn listed(space: &mut Space, rule: &Rule, marked: bool) -> Result<Vec<Vec<u8>>, Refusal> {
    let dump = space.socket.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default()))?;
    let told = |item: &[u8]| Ok(observe::rules::is_told_as(item, rule, marked)?.then(|| item.to_vec()));
    dump.items().filter_map(|item| told(item).transpose()).collect()
}

fn message(rule: &Rule) -> RuleMessage {
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
