//! Policy rules, as concrete as the kernel keeps them.

use super::IfName;
use ipnet::IpNet;
use serde::Serialize;
use std::fmt;

/// A policy routing rule (`ip rule`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PolicyRule {
    /// Its priority: rules are asked in ascending order.
    pub priority: u32,
    /// Whether it is a rule for IPv6.
    pub ipv6: bool,
    /// Source prefix; none: any.
    pub from: Option<IpNet>,
    /// Destination prefix; none: any.
    pub to: Option<IpNet>,
    /// The interface the packet came in through.
    pub iif: Option<IfName>,
    /// The interface the socket is bound to.
    pub oif: Option<IfName>,
    /// Firewall mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// What a match does.
    pub action: RuleAction,
}

impl PolicyRule {
    /// How much it says. Of rules of one priority, those that say more are removed first: the kernel removes the first
    /// one that has what the request says (`rule_find` in the kernel), and perhaps more.
    pub fn conditions(&self) -> usize {
        let conditions =
            [self.from.is_some(), self.to.is_some(), self.iif.is_some(), self.oif.is_some(), self.fwmark.is_some()];
        conditions.iter().filter(|says| **says).count()
    }
}

/// What a policy rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Look the destination up in a table.
    Table(u32),
    /// Look it up in the table of the VRF that the packet came in through, or is bound to.
    Vrf,
    /// Drop silently.
    Blackhole,
    /// Drop and answer "network unreachable".
    Unreachable,
    /// Drop and answer "administratively prohibited".
    Prohibit,
}

/// The rule as it comes after `ip rule add`.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some(iif) = &self.iif {
            write!(f, " iif {iif}")?;
        }
        if let Some(oif) = &self.oif {
            write!(f, " oif {oif}")?;
        }
        if let Some((mark, mask)) = self.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        match self.action {
            RuleAction::Table(table) => write!(f, " lookup {table}"),
            RuleAction::Vrf => f.write_str(" l3mdev"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
        }
    }
}
