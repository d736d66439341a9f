//! iptables: is it there, does it see the host's rules, and does the host let the lab's packets through.

use super::code::MachineCode;
use super::facts::{Facts, Iptables};
use super::finding::Finding;
use super::needs::Needs;
use crate::lab::Family;

pub(super) fn programs(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let program = |(family, place): (&Family, &String)| match facts.iptables.get(family)? {
        Iptables::Missing(why) => Some(needs.lack(
            MachineCode::NoIptables,
            format!("there is no usable {} ({why}); needed by {place}", family.program()),
            "install your distribution's package `iptables`",
        )),
        Iptables::Found { unseen_tables: false, .. } => None,
        Iptables::Found { legacy, unseen_tables: true } => Some(mixed(*family, *legacy)),
    };
    needs.firewall.iter().filter_map(program).collect()
}

fn mixed(family: Family, legacy: bool) -> Finding {
    let (program, beside) = (family.program(), if legacy { "nf_tables" } else { "legacy" });
    let variant = if legacy { "nft" } else { "legacy" };
    let own = if legacy { "legacy tables" } else { "nf_tables" };
    Finding::warning(
        MachineCode::MixedIptables,
        format!("the host has {beside} tables of {program} beside those that the installed {program} ({own}) shows"),
        format!(
            "both are asked for every packet, and either can drop it: look at the others with `{program}-{variant}-save`, \
             and use one variant only"
        ),
    )
}

pub(super) fn forwarding(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let dropping = facts.forward_drops.iter().filter_map(|chain| {
        let routed = !chain.families.is_disjoint(&needs.host_forwards);
        let bridged = needs.host_bridges && facts.bridges_filter && chain.families.contains(&Family::Ipv4);
        let what = match (routed, bridged) {
            (true, _) => "what it forwards",
            (false, true) => "what crosses its bridges (net.bridge.bridge-nf-call-iptables is 1)",
            (false, false) => return None,
        };
        Some(Finding::warning(
            MachineCode::ForwardingDropped,
            format!("the host drops {what}: {} has the policy DROP", chain.name),
            "Docker sets it, firewalls do; packets that cross host get lost unless a rule accepts them: accept them \
             there (for Docker in its chain DOCKER-USER), or let a namespace be the router and the bridge instead of host",
        ))
    });
    dropping.collect()
}
