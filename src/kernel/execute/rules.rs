//! Policy routing rules.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use nix::errno::Errno;

use super::gone;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::kernel::observe;
use crate::lab::{PolicyRule, RuleAction};
use crate::plan::ROUTE_PROTOCOL;

/// Adds a rule. For the kernel, one of the same priority that says more is in its way (`rule_exists` passes over prefixes that
/// the request leaves open); only the very same is.
pub(super) fn add(netns: &mut NetnsHandle, rule: &PolicyRule) -> Result<(), NetlinkError> {
    let mut message = message(rule);
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(ROUTE_PROTOCOL)));
    match netns.socket.change(RouteNetlinkMessage::NewRule(message.clone()), NLM_F_CREATE | NLM_F_EXCL) {
        Err(error) if error.errno == Errno::EEXIST && listed(netns, rule, false)?.is_empty() => {
            netns.socket.change(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE)
        }
        outcome => outcome,
    }
}

/// Removes a rule as the kernel itself lists it: the kernel takes the first rule that has what the request says, which may be
/// another's. In a namespace of the lab, whoever made it; in `host`, only what carries nslab's protocol number.
pub(super) fn delete(netns: &mut NetnsHandle, rule: &PolicyRule, in_host: bool) -> Result<(), NetlinkError> {
    for item in listed(netns, rule, in_host)? {
        gone(netns.socket.remove_listed(libc::RTM_DELRULE, &item))?;
    }
    Ok(())
}

/// The rules that observing tells as this one, in the kernel's own words; `marked`: only those with our protocol number.
fn listed(netns: &mut NetnsHandle, rule: &PolicyRule, marked: bool) -> Result<Vec<Vec<u8>>, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default()))?;
    let told = |item: &[u8]| Ok(observe::rules::is_told_as(item, rule, marked)?.then(|| item.to_vec()));
    dump.items().filter_map(|item| told(item).transpose()).collect()
}

fn message(rule: &PolicyRule) -> RuleMessage {
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
