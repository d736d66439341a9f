//! Policy routing rules.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::gone;
use crate::kernel::netlink::Refusal;
use crate::kernel::observe;
use crate::kernel::space::Space;
use crate::lab::{Rule, RuleAction};
use crate::plan::ROUTE_PROTOCOL;

/// Adds a rule.
pub(super) fn add(space: &mut Space, rule: &Rule) -> Result<(), Refusal> {
    let mut message = message(rule);
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(ROUTE_PROTOCOL)));
    space.socket.change(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes a rule, whoever made it.
pub(super) fn delete(space: &mut Space, rule: &Rule) -> Result<(), Refusal> {
    if rule.action == observe::rules::INEXPRESSIBLE {
        return delete_listed(space, rule);
    }
    space.socket.change(RouteNetlinkMessage::DelRule(message(rule)), 0)
}

/// Removes what observing tells as this rule, as the kernel itself lists it: by its priority and action alone, the
/// kernel would take the first rule that has these.
fn delete_listed(space: &mut Space, rule: &Rule) -> Result<(), Refusal> {
    let dump = space.socket.dump(&RouteNetlinkMessage::GetRule(RuleMessage::default()))?;
    for item in dump.items() {
        if observe::rules::is_told_as(item, rule)? {
            gone(space.socket.remove_listed(libc::RTM_DELRULE, item))?;
        }
    }
    Ok(())
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
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
    };
    message
}
