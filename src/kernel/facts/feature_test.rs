//! What this kernel can do, tried out: the sound way to learn it is to do it, in a namespace that has no name and is
//! gone when the test is over. Such a namespace costs a millisecond, so it is made only for what no cheaper sign shows.

use std::collections::{BTreeMap, BTreeSet};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use crate::kernel::netlink::{NetlinkError, Socket};
use crate::kernel::netns::run_in_new;
use crate::kernel::{KernelError, firewall};
use crate::lab::{Family, VirtualKind};
use crate::preflight::{Feature, Iptables};

/// The settings of br_netfilter, which are there once it is loaded.
const BRIDGE_NETFILTER: &str = "/proc/sys/net/bridge";

/// Those features that the kernel lacks, with what it said. A match or target of iptables is only looked for where
/// there is an iptables to use it.
pub(super) fn lacking(
    features: &BTreeSet<Feature>,
    programs: &BTreeMap<Family, Iptables>,
) -> Result<BTreeMap<Feature, String>, KernelError> {
    let known = firewall::facts::known_extensions(features)?;
    let in_doubt: Vec<Feature> = features
        .iter()
        .filter(|feature| match feature {
            Feature::Extension(family, _) => match programs.get(family) {
                Some(Iptables::Found { legacy, .. }) => *legacy || !known.contains(feature),
                _ => false,
            },
            _ => true,
        })
        .copied()
        .collect();
    if in_doubt.is_empty() {
        return Ok(BTreeMap::new());
    }
    run_in_new(|| in_doubt.into_iter().filter_map(|feature| Some((feature, attempt(feature)?))).collect())
}

/// Tries a feature in this thread's namespace; what the kernel said where it refused.
fn attempt(feature: Feature) -> Option<String> {
    let request = match feature {
        Feature::Extension(family, extension) => return firewall::facts::try_extension(family, extension).err(),
        Feature::Veth => link(InfoKind::Veth, None),
        Feature::Virtual(kind) => return unknown_kind(kind),
        // A bridge takes the option without the module as well, and does nothing with it.
        Feature::BridgeNetfilter => return std::fs::metadata(BRIDGE_NETFILTER).err().map(|error| error.to_string()),
        Feature::Bridge => link(InfoKind::Bridge, None),
        Feature::VlanFiltering => link(InfoKind::Bridge, Some(InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)]))),
        Feature::PolicyRouting(family) => rule(family),
        Feature::NftTables => return firewall::nft_trial::try_nft().err().map(|error| error.cause().to_owned()),
        Feature::NftPolicies => return firewall::nft_trial::try_policies().err().map(|error| error.cause().to_owned()),
    };
    error(request).map(text)
}

/// What the kernel said where it does not know a kind of interface. Any other error comes from the kind itself, which
/// misses its parent.
fn unknown_kind(kind: VirtualKind) -> Option<String> {
    error(link(InfoKind::from(kind.name()), None)).filter(|error| error.errno == Errno::EOPNOTSUPP).map(text)
}

fn error(request: RouteNetlinkMessage) -> Option<NetlinkError> {
    let outcome = Socket::open().map_err(NetlinkError::from);
    outcome.and_then(|mut socket| socket.change(request, NLM_F_CREATE | NLM_F_EXCL)).err()
}

fn text(error: NetlinkError) -> String {
    let kernels = format!("{} ({:?})", error.errno.desc(), error.errno);
    error.ext_ack_message.map_or(kernels.clone(), |message| format!("{kernels}: {message}"))
}

/// An interface without a name: the kernel finds one.
fn link(kind: InfoKind, data: Option<InfoData>) -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    let data = data.map(LinkInfo::Data);
    message.attributes.push(LinkAttribute::LinkInfo([LinkInfo::Kind(kind)].into_iter().chain(data).collect()));
    RouteNetlinkMessage::NewLink(message)
}

fn rule(family: Family) -> RouteNetlinkMessage {
    let mut message = RuleMessage::default();
    message.header.family = match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    };
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Priority(100), RuleAttribute::Table(100)];
    RouteNetlinkMessage::NewRule(message)
}
