//! Tables of nf_tables that a lab wants: what belongs together in the kernel, and goes together.
//!
//! A table is wanted whole: what it has besides is an extra. Its texts, as `nft` writes and lists them, are in
//! `nft_text`.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::nft_chain::NftChain;
use super::nft_set::NftSet;

/// Tables by their families and names.
pub type NftTables = BTreeMap<NftTableId, NftTable>;

/// Which table. A namespace can have tables of one name in several families.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NftTableId {
    /// Which packets its chains see.
    pub family: NftFamily,
    /// Its name, of at most 255 bytes.
    pub name: String,
}

/// The packets that the chains of a table see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NftFamily {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Both.
    Inet,
}

/// A table. All names in it are of at most 255 bytes; chains have names of their own, sets and maps share theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NftTable {
    /// What it says about itself; at most 128 bytes, as all comments in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its chains, by their names.
    pub chains: BTreeMap<String, NftChain>,
    /// Its sets and maps, by their names.
    pub sets: BTreeMap<String, NftSet>,
}

impl NftTableId {
    /// A table's.
    pub fn new(family: NftFamily, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }

    /// The table of kube-proxy.
    pub fn of_services(family: NftFamily) -> Self {
        Self::new(family, "kube-proxy")
    }

    /// Whether it is the table of kube-proxy.
    pub fn is_of_services(&self) -> bool {
        self.name == "kube-proxy"
    }
}

impl Serialize for NftTableId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl NftTable {
    /// The chain of a name, made where there is none.
    pub fn chain(&mut self, name: impl Into<String>) -> &mut NftChain {
        self.chains.entry(name.into()).or_default()
    }
}

/// The name of the table of network policies, which is nslab's own.
pub const POLICY_TABLE: &str = "network-policies";
