//! Chains of rules: where they are asked, and whose they are.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::names::{ChainName, LabName};

/// What happens to a packet that reaches the end of a built-in chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
}

impl Policy {
    /// Its word behind `-P CHAIN`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
        }
    }
}

/// Which chain: address family, table and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ChainId {
    /// IPv4 (`iptables`) or IPv6 (`ip6tables`).
    pub family: Family,
    /// The table.
    pub table: Table,
    /// The chain's name.
    pub chain: ChainName,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// An iptables table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Address translation.
    Nat,
    /// Accepting and dropping.
    Filter,
}

/// A built-in chain: the place in a packet's way where rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// On arrival, before routing.
    Prerouting,
    /// To this namespace itself.
    Input,
    /// Through this namespace.
    Forward,
    /// From this namespace itself.
    Output,
    /// After routing, before leaving.
    Postrouting,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::Ipv6 } else { Self::Ipv4 }
    }

    /// The program that changes this family's rules; `-save` and `-restore` belong to it.
    pub fn program(self) -> &'static str {
        match self {
            Self::Ipv4 => "iptables",
            Self::Ipv6 => "ip6tables",
        }
    }
}

impl Table {
    /// Its name behind `-t`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }

    /// The table of a name that iptables prints; none for tables that nslab does not use.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Nat, Self::Filter].into_iter().find(|table| table.name() == name)
    }
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    /// The built-in chain's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }

    fn short(self) -> &'static str {
        match self {
            Self::Prerouting => "PRE",
            Self::Input => "IN",
            Self::Forward => "FWD",
            Self::Output => "OUT",
            Self::Postrouting => "POST",
        }
    }
}

/// What the names of nslab's chains begin with.
pub const CHAIN_PREFIX: &str = "NSLAB-";

impl ChainId {
    /// The lab's own chain for a hook: `NSLAB-nat-POST`. It always fits (see [`LabName`]).
    pub fn own(family: Family, table: Table, lab: &LabName, hook: Hook) -> Self {
        Self { family, table, chain: ChainName::trusted(format!("{CHAIN_PREFIX}{lab}-{}", hook.short())) }
    }

    /// Below the chains of all labs in a table, in the order of chains.
    pub fn before_own(family: Family, table: Table) -> Self {
        Self { family, table, chain: ChainName::trusted(CHAIN_PREFIX.to_owned()) }
    }

    /// The built-in chain of a hook.
    pub fn builtin(family: Family, table: Table, hook: Hook) -> Self {
        Self { family, table, chain: ChainName::trusted(hook.name().to_owned()) }
    }

    /// The lab and the hook, if this is one of nslab's chains. The hook is read from the end, so lab `a` and lab `a-b`
    /// are never taken for each other.
    pub fn owner(&self) -> Option<(LabName, Hook)> {
        let (lab, short) = self.chain.as_str().strip_prefix(CHAIN_PREFIX)?.rsplit_once('-')?;
        let hook = Hook::ALL.into_iter().find(|hook| hook.short() == short)?;
        Some((lab.parse().ok()?, hook))
    }

    /// Whether it is a lab's.
    pub fn is_of(&self, lab: &LabName) -> bool {
        self.owner().is_some_and(|(owner, _)| owner == *lab)
    }

    /// The hook, if this is a built-in chain.
    pub fn hook(&self) -> Option<Hook> {
        Hook::ALL.into_iter().find(|hook| hook.name() == self.chain.as_str())
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -t {} {}", self.family.program(), self.table.name(), self.chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_chains_name_their_lab_without_doubt() {
        let lab: LabName = "a-b".parse().unwrap();
        let id = ChainId::own(Family::Ipv4, Table::Nat, &lab, Hook::Postrouting);
        assert_eq!(id.chain.as_str(), "NSLAB-a-b-POST");
        assert_eq!(id.owner(), Some((lab, Hook::Postrouting)));
        assert_eq!(ChainId::builtin(Family::Ipv4, Table::Nat, Hook::Input).owner(), None);
    }
}
