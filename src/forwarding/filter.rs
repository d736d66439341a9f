//! Whether the packet filter of a namespace lets a packet through.

use super::decision::decide;
use super::firewall::{Flow, RuleAt};
use crate::lab::{FirewallTarget, Hook, Namespace, RejectWith, Table};

/// What the filter does with a packet, and which rule did it; none: no rule matches, and the chain's policy is to
/// accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Accepted(Option<RuleAt>),
    /// It is dropped.
    Dropped(RuleAt),
    /// It is dropped, and the sender gets an answer.
    Rejected(RuleAt, RejectWith),
}

impl Verdict {
    /// Whether the packet goes on.
    pub fn is_accepted(&self) -> bool {
        match self {
            Self::Accepted(_) => true,
            Self::Dropped(_) | Self::Rejected(..) => false,
        }
    }
}

/// What the filter of a namespace does with the first packet of a connection at a hook.
pub fn filter(namespace: &Namespace, hook: Hook, flow: &Flow) -> Verdict {
    let decided = decide(namespace, (Table::Filter, hook), flow);
    let Some((at, target)) = decided.by else { return Verdict::Accepted(None) };
    match target {
        FirewallTarget::Drop => Verdict::Dropped(at),
        FirewallTarget::Reject(with) => Verdict::Rejected(at, with),
        // None of the others but `Accept` is allowed in this table.
        FirewallTarget::Accept
        | FirewallTarget::Return
        | FirewallTarget::Jump(_)
        | FirewallTarget::Continue
        | FirewallTarget::Mark(_)
        | FirewallTarget::Masquerade
        | FirewallTarget::MasqueradeRandomly
        | FirewallTarget::Snat(_)
        | FirewallTarget::Dnat(_)
        | FirewallTarget::Redirect(_) => Verdict::Accepted(Some(at)),
    }
}
