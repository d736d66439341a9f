//! What is the same on every node: the jumps from the built-in chains, masquerading by a mark, and what protects the
//! node's loopback.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::names::chain;
use super::rules::Rules;
use crate::lab::{Condition, ConnectionState, Family, FirewallRule, FirewallTarget, Hook, MarkBits, Matches, Table};

/// The bit that says "masquerade this" (`--iptables-masquerade-bit`, 14 by default).
const MASQUERADE: MarkBits = MarkBits { value: 0x4000, mask: 0x4000 };

/// The chains with their first rules, and the jumps to them in the order in which they stand on a node: kube-proxy
/// inserts each at the top, so the one that it makes last comes first.
pub(super) fn begin(rules: &mut Rules) {
    jumps(rules);
    for name in ["SERVICES", "NODEPORTS"] {
        rules.chain(Table::Nat, &chain(name));
    }
    for name in ["SERVICES", "EXTERNAL-SERVICES", "NODEPORTS", "PROXY-FIREWALL"] {
        rules.chain(Table::Filter, &chain(name));
    }
    masquerading(rules);
    forwarding(rules);
    if rules.family == Family::Ipv4 {
        loopback(rules);
    }
}

/// The last rule of all services.
pub(super) fn end(rules: &mut Rules) {
    let loopback = IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
    // With masquerading, IPv4's own loopback leads on (`localhostNodePorts`); IPv6's never does.
    let destination = (rules.family == Family::Ipv6).then_some(Condition::IsNot(loopback));
    let matches = Matches { destination, destination_is_local: Some(true), ..Matches::default() };
    let rule = matches.then(FirewallTarget::Jump(chain("NODEPORTS")));
    let comment = "kubernetes service nodeports; NOTE: this must be the last rule in this chain";
    rules.add(Table::Nat, &chain("SERVICES"), rule.saying(comment));
}

/// The rule that has a packet masqueraded as it leaves.
pub(super) fn mark(matches: Matches) -> FirewallRule {
    matches.then(FirewallTarget::Jump(chain("MARK-MASQ")))
}

fn jumps(rules: &mut Rules) {
    let new = || Matches { states: Some(Condition::Is([ConnectionState::New].into())), ..Matches::default() };
    let every = Matches::default;
    let jump = |matches: Matches, to: &str| matches.then(FirewallTarget::Jump(chain(to)));
    let firewall = || jump(new(), "PROXY-FIREWALL").saying("kubernetes load balancer firewall");
    let services = || jump(new(), "SERVICES").saying("kubernetes service portals");
    let external = || jump(new(), "EXTERNAL-SERVICES").saying("kubernetes externally-visible service portals");
    let mut filter = |hook, rule| rules.builtin(Table::Filter, hook, rule);
    filter(Hook::Input, firewall());
    filter(Hook::Input, jump(every(), "NODEPORTS").saying("kubernetes health check service ports"));
    filter(Hook::Input, external());
    filter(Hook::Forward, firewall());
    filter(Hook::Forward, jump(every(), "FORWARD").saying("kubernetes forwarding rules"));
    filter(Hook::Forward, services());
    filter(Hook::Forward, external());
    filter(Hook::Output, firewall());
    filter(Hook::Output, services());
    if rules.family == Family::Ipv4 {
        for hook in [Hook::Input, Hook::Output] {
            rules.builtin(Table::Filter, hook, jump(every(), "FIREWALL"));
        }
    }
    for hook in [Hook::Prerouting, Hook::Output] {
        rules.builtin(Table::Nat, hook, jump(every(), "SERVICES").saying("kubernetes service portals"));
    }
    let postrouting = jump(every(), "POSTROUTING").saying("kubernetes postrouting rules");
    rules.builtin(Table::Nat, Hook::Postrouting, postrouting);
}

/// The mark is taken off, so that a packet which comes by again, in a tunnel say, is not masqueraded again.
fn masquerading(rules: &mut Rules) {
    let every = Matches::default;
    rules.add(Table::Nat, &chain("MARK-MASQ"), every().then(FirewallTarget::Mark(MASQUERADE)));
    let unmarked = Matches { mark: Some(Condition::IsNot(MASQUERADE)), ..every() };
    let postrouting = chain("POSTROUTING");
    rules.add(Table::Nat, &postrouting, unmarked.then(FirewallTarget::Return));
    rules.add(Table::Nat, &postrouting, every().then(FirewallTarget::Mark(MarkBits { mask: 0, ..MASQUERADE })));
    let masquerade = every().then(FirewallTarget::MasqueradeRandomly);
    rules.add(Table::Nat, &postrouting, masquerade.saying("kubernetes service traffic requiring SNAT"));
}

/// A late packet of no known connection would arrive untranslated, and draw a reset from a client that knows nothing of
/// it (kubernetes issue 74839).
fn forwarding(rules: &mut Rules) {
    use ConnectionState::{Established, Invalid, Related};

    let states = |states: &[ConnectionState]| Matches {
        states: Some(Condition::Is(states.iter().copied().collect())),
        ..Matches::default()
    };
    let forward = chain("FORWARD");
    rules.add(Table::Filter, &forward, states(&[Invalid]).then(FirewallTarget::Drop));
    let marked = Matches::default().marked(MASQUERADE).then(FirewallTarget::Accept);
    rules.add(Table::Filter, &forward, marked.saying("kubernetes forwarding rules"));
    let known = states(&[Related, Established]).then(FirewallTarget::Accept);
    rules.add(Table::Filter, &forward, known.saying("kubernetes forwarding conntrack rule"));
}

/// `route_localnet`, which node ports on 127.0.0.1 need, would open the loopback to the neighbours (CVE-2020-8558).
fn loopback(rules: &mut Rules) {
    use ConnectionState::{Dnat, Established, Related};

    let loopback = IpNet::new_assert([127, 0, 0, 0].into(), 8);
    let matches = Matches {
        source: Some(Condition::IsNot(loopback)),
        states: Some(Condition::IsNot([Related, Established, Dnat].into())),
        ..Matches::default().to(loopback)
    };
    let rule = matches.then(FirewallTarget::Drop).saying("block incoming localnet connections");
    rules.add(Table::Filter, &chain("FIREWALL"), rule);
}
