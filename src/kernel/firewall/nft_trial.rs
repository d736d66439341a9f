//! Tables with everything that nslab's tables of nf_tables may have: whether a kernel takes them.

use super::nftables::Nftables;
use crate::kernel::KernelError;
use crate::lab::{
    Condition, ConnectionState, Family, Hook, IfName, IpProtocol, MarkBits, NftChain, NftChainType, NftCondition,
    NftFamily, NftField, NftRule, NftSet, NftSetDefinition, NftSide, NftStatement, NftTableId, NftType, NftVerdict,
    NsName,
};
use crate::steps::{Change, NftChange, NftStep, Presence};

/// Makes a table of kube-proxy's kind in this thread's namespace, which goes with it; what the kernel said where it
/// refused.
pub(in crate::kernel) fn try_nft() -> Result<(), KernelError> {
    let source = || NftField::Address(Family::Ipv4, NftSide::Source);
    let definition = |set: NftSet| -> NftSetDefinition { set.definition };
    let dynamic = definition(NftSet::set([NftType::Address(Family::Ipv4)]).dynamic(1));
    let map = definition(NftSet::map([NftType::Address(Family::Ipv4), NftType::Port]));
    let ranges = definition(NftSet::set([NftType::Address(Family::Ipv4), NftType::Port]).of_intervals());
    let lookup = || vec![source(), NftField::Port(NftSide::Destination)];
    let nat = [
        NftRule::always()
            .when(NftCondition::Local(NftSide::Source))
            .when(NftCondition::InSet(lookup(), Condition::Is("ranges".to_owned())))
            .then(NftStatement::SetMark(MarkBits { value: 1, mask: 1 })),
        NftRule::always().then(NftStatement::Update("dynamic".to_owned(), vec![source()])),
        NftRule::always().then(NftStatement::LookUp(lookup(), "map".to_owned())),
        NftRule::always().then(NftStatement::Spread(vec![NftVerdict::Continue, NftVerdict::Return])),
        NftRule::always()
            .when(NftCondition::Protocol(Condition::Is(IpProtocol::Tcp)))
            .then(NftStatement::Dnat(([192, 0, 2, 1], 80).into())),
    ];
    let filter = [
        NftRule::always().when(NftCondition::States([ConnectionState::New].into())).verdict(NftVerdict::Continue),
        NftRule::always().then(NftStatement::Reject),
    ];
    let masquerade = [NftRule::always().then(NftStatement::Masquerade { fully_random: true })];
    let mut changes = vec![NftChange::Table(Presence::Add(None))];
    for (name, set) in [("dynamic", dynamic), ("map", map), ("ranges", ranges)] {
        changes.push(NftChange::Set(name.to_owned(), Presence::Add(set)));
    }
    for (name, kind, hook, rules) in [
        ("nat", NftChainType::Nat, Hook::Prerouting, nat.to_vec()),
        ("masquerade", NftChainType::Nat, Hook::Postrouting, masquerade.to_vec()),
        ("filter", NftChainType::Filter, Hook::Forward, filter.to_vec()),
    ] {
        changes.push(NftChange::Chain(name.to_owned(), Presence::Add(NftChain::base(kind, hook, 0))));
        changes.push(NftChange::Rules(name.to_owned(), Change { from: Vec::new(), to: rules }));
    }
    take(NftFamily::Ip, changes)
}

/// Likewise, a table of the kind of network policies.
pub(in crate::kernel) fn try_policies() -> Result<(), KernelError> {
    let side = NftSide::Destination;
    let fields = |family| vec![NftField::Address(family, side), NftField::Protocol, NftField::Port(side)];
    let mut changes = vec![NftChange::Table(Presence::Add(None))];
    let mut rules = vec![
        NftRule::always().when(NftCondition::States([ConnectionState::New].into())).verdict(NftVerdict::Continue),
        NftRule::always().when(NftCondition::Input(Condition::Is(IfName::lo()))).verdict(NftVerdict::Continue),
    ];
    for (family, map, set) in [(Family::Ipv4, "map", "set"), (Family::Ipv6, "map-v6", "set-v6")] {
        let pods = NftSet::map([NftType::Address(family)]).definition;
        let ports = NftSet::set([NftType::Address(family), NftType::Protocol, NftType::Port]).definition;
        changes.push(NftChange::Set(map.to_owned(), Presence::Add(pods)));
        changes.push(NftChange::Set(set.to_owned(), Presence::Add(ports)));
        let named = NftCondition::InSet(fields(family), Condition::Is(set.to_owned()));
        rules.push(NftRule::always().when(named).verdict(NftVerdict::Accept));
        rules.push(NftRule::always().then(NftStatement::LookUp(vec![NftField::Address(family, side)], map.to_owned())));
    }
    let chain = NftChain::base(NftChainType::Filter, Hook::Forward, 0);
    changes.push(NftChange::Chain("filter".to_owned(), Presence::Add(chain)));
    changes.push(NftChange::Rules("filter".to_owned(), Change { from: Vec::new(), to: rules }));
    take(NftFamily::Inet, changes)
}

fn take(family: NftFamily, changes: Vec<NftChange>) -> Result<(), KernelError> {
    let table = NftTableId::new(family, "nslab-trial");
    let step = |change| NftStep { ns: NsName::host(), table: table.clone(), change };
    let steps: Vec<NftStep> = changes.into_iter().map(step).collect();
    match Nftables::open()? {
        Some(mut nft) => nft.run(&steps.iter().collect::<Vec<_>>()),
        None => Err(KernelError::new("make a table").said("no netfilter over netlink")),
    }
}
