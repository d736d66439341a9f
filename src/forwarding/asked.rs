//! What is sent into the model: a packet, and what chance makes of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Flow;
use crate::lab::{Check, NsName, Probe};

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who sends it.
    pub from: NsName,
    /// The packet.
    pub flow: Flow,
    /// The size of the IP packet in bytes, where it must not be cut into fragments.
    pub size: Option<u16>,
    /// What chance has chosen.
    pub chosen: Chosen,
}

/// What was seen of a packet whose way is a matter of chance: of several ways, it took the one that leads there. Where
/// nothing is known, it is the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The destinations that it had.
    pub destinations: BTreeSet<(IpAddr, Option<u16>)>,
    /// The namespaces that it came to, in order.
    pub namespaces: Vec<NsName>,
    /// Where several have an address and the packet gets to none of them: those that are meant.
    pub meant: BTreeSet<NsName>,
}

impl Asked {
    /// What a pair of a check sends.
    pub fn of(check: &Check, probe: &Probe) -> Self {
        let (source, out) = (probe.source, probe.to.scope.clone());
        let flow = Flow { source, out, ..Flow::probing(check.protocol, probe.to.address) };
        let size = check.size.filter(|size| size.dont_fragment).map(|size| size.bytes);
        Self { from: probe.from.clone(), flow, size, chosen: Chosen::default() }
    }
}
