//! A table with everything that nslab's tables of nf_tables may have: whether a kernel takes it.

use super::nftables::Nftables;
use crate::kernel::KernelError;
use crate::lab::{
    Condition, ConnectionState, Family, Hook, IpProtocol, MarkBits, NftChain, NftChainType, NftCondition, NftFamily,
    NftField, NftRule, NftSet, NftSetDefinition, NftSide, NftStatement, NftTableId, NftType, NftVerdict, NsName,
};
use crate::steps::{Change, NftChange, NftStep, Presence};

/// Makes the table in this thread's namespace, which goes with it; what the kernel said where it refused.
pub(in crate::kernel) fn try_nft() -> Result<(), KernelError> {
    let id = NftTableId::new(NftFamily::Ip, "nslab-trial");
    let step = |change| NftStep { ns: NsName::host(), table: id.clone(), change };
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
    let steps: Vec<NftStep> = changes.into_iter().map(step).collect();
    match Nftables::open()? {
        Some(mut nft) => nft.run(&steps.iter().collect::<Vec<_>>()),
        None => Err(KernelError::new("make a table").said("no netfilter over netlink")),
    }
}
