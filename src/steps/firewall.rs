//! Chains, their rules and their policies.

use super::command::inside;
use super::operation::{Batch, Operation, Reach};
use super::{Change, Phase, Presence};
use crate::iptables::{restore_line, restore_word, shell_line, shell_word};
use crate::lab::{ChainId, Family, NsName, ObservedRule, Policy};

/// A step on a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallStep {
    /// The namespace.
    pub ns: NsName,
    /// The chain.
    pub chain: ChainId,
    /// What is done to it.
    pub change: FirewallChange,
}

/// What is done to a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirewallChange {
    /// It is made.
    AddChain,
    /// It is removed; it is empty by then.
    RemoveChain {
        /// Whether a chain that leads to it is written anew: it is then removed after that, not before.
        is_rewritten: bool,
    },
    /// Of a built-in chain: what happens at its end.
    Policy(Change<Policy>),
    /// A rule of it.
    Rule {
        /// The place of the rule, counted from 1; none: at the end.
        position: Option<usize>,
        /// Whether the chain is written anew: its rules are then removed in the phase in which their successors are
        /// added, not before.
        is_rewritten: bool,
        /// The rule.
        change: Presence<Box<ObservedRule>>,
    },
}

impl FirewallStep {
    /// Whether it removes a chain or a rule.
    pub fn removes(&self) -> bool {
        match &self.change {
            FirewallChange::RemoveChain { .. } | FirewallChange::Rule { change: Presence::Remove(_), .. } => true,
            FirewallChange::AddChain
            | FirewallChange::Policy(_)
            | FirewallChange::Rule { change: Presence::Add(_), .. } => false,
        }
    }

    /// The line that does it between the lines of its table, for `iptables-restore`.
    pub fn restore_line(&self) -> String {
        self.arguments(restore_word, restore_line)
    }

    /// What is done, as arguments of iptables behind the table.
    fn arguments(&self, word: fn(&str) -> String, line: fn(&ObservedRule) -> String) -> String {
        // A name that nslab has not chosen may hold what is special to a shell.
        let chain = word(self.chain.chain.as_str());
        match &self.change {
            FirewallChange::AddChain => format!("-N {chain}"),
            FirewallChange::RemoveChain { .. } => format!("-X {chain}"),
            FirewallChange::Policy(Change { to, .. }) => format!("-P {chain} {}", to.name()),
            FirewallChange::Rule { change: Presence::Add(rule), position: Some(position), .. } => {
                format!("-I {chain} {position} {}", line(rule))
            }
            FirewallChange::Rule { change: Presence::Add(rule), position: None, .. } => {
                format!("-A {chain} {}", line(rule))
            }
            FirewallChange::Rule { change: Presence::Remove(rule), position: Some(position), .. }
                if !can_be_found(rule) =>
            {
                format!("-D {chain} {position}")
            }
            FirewallChange::Rule { change: Presence::Remove(rule), .. } => format!("-D {chain} {}", line(rule)),
        }
    }
}

/// Whether iptables finds a rule by its text: what the kernel notes in rules with `recent` (1.8.9) is not as it was.
fn can_be_found(rule: &ObservedRule) -> bool {
    match rule {
        ObservedRule::Known(rule) => rule.matches.recent.is_none(),
        ObservedRule::Foreign(rule) => !rule.text.contains("-m recent "),
    }
}

impl FirewallStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        let change = match &self.change {
            FirewallChange::AddChain => FirewallChange::RemoveChain { is_rewritten: true },
            FirewallChange::RemoveChain { .. } => FirewallChange::AddChain,
            FirewallChange::Policy(change) => FirewallChange::Policy(change.inverse()),
            FirewallChange::Rule { change, position, is_rewritten } => {
                FirewallChange::Rule { change: change.inverse(), position: *position, is_rewritten: *is_rewritten }
            }
        };
        Self { ns: self.ns.clone(), chain: self.chain.clone(), change }
    }
}

impl Operation for FirewallStep {
    fn text(&self) -> String {
        let ns = &self.ns;
        let family = if self.chain.family == Family::Ipv6 { "IPv6 " } else { "" };
        let chain = format!("{} ({family}{})", self.chain.chain, self.chain.table.name());
        match &self.change {
            FirewallChange::AddChain => format!("make chain {chain} in {ns}"),
            FirewallChange::RemoveChain { .. } => format!("remove chain {chain} from {ns}"),
            FirewallChange::Policy(Change { from, to }) => {
                format!("change the policy of chain {chain} in {ns} from {} to {}", from.name(), to.name())
            }
            FirewallChange::Rule { change: Presence::Add(rule), .. } => {
                format!("add rule `{}` to chain {chain} in {ns}", shell_line(rule))
            }
            FirewallChange::Rule { change: Presence::Remove(rule), .. } => {
                format!("remove rule `{}` from chain {chain} in {ns}", shell_line(rule))
            }
        }
    }

    fn command(&self) -> String {
        let ChainId { family, table, .. } = &self.chain;
        let command = self.arguments(shell_word, shell_line);
        format!("{}{} -w -t {} {command}", inside(&self.ns), family.program(), table.name())
    }

    fn phase(&self) -> Phase {
        match &self.change {
            FirewallChange::RemoveChain { is_rewritten: false }
            | FirewallChange::Rule { change: Presence::Remove(_), is_rewritten: false, .. } => Phase::RemoveFirewall,
            FirewallChange::AddChain
            | FirewallChange::RemoveChain { is_rewritten: true }
            | FirewallChange::Policy(_)
            | FirewallChange::Rule { change: Presence::Add(_), .. }
            | FirewallChange::Rule { change: Presence::Remove(_), is_rewritten: true, .. } => Phase::SetFirewall,
        }
    }

    fn kind(&self) -> &'static str {
        "change a firewall rule"
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }

    fn batch(&self) -> Option<Batch> {
        Some(Batch::Firewall(self.ns.clone(), self.chain.family))
    }
}
