//! Firewall steps and what the kernel makes of them, through both variants of iptables.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use nslab::iptables;
use nslab::kernel::firewall::{self, Variant};
use nslab::kernel::{KernelError, netns};
use nslab::lab::{
    ChainId, Family, Firewall, FirewallRule, Hook, LabName, Namespace, NsName, ObservedFirewall, ObservedRule, Table,
};
use nslab::steps::{FirewallChange, FirewallStep, Presence, Step};

use crate::support::{project, run, sandbox, sh};

type Rules = BTreeMap<ChainId, Vec<ObservedRule>>;

fn host() -> OwnedFd {
    netns::open(&NsName::host()).unwrap()
}

fn lab() -> LabName {
    "case".parse().unwrap()
}

/// What `iptables-save` says of this host, without counters and dates.
fn saved() -> String {
    let plain = "grep -v '^#' | sed -E 's/\\[[0-9]+:[0-9]+\\]//'";
    run(&format!("iptables-save | {plain} || true; ip6tables-save | {plain} || true"))
}

/// The same, and what `nft` says, which also shows empty tables and chains.
fn account() -> String {
    saved() + &run("nft list ruleset")
}

/// Makes the sandbox's `iptables` the one of a variant; whether that variant is installed.
fn choose(variant: Variant) -> bool {
    let multi = match variant {
        Variant::Nft => "xtables-nft-multi",
        Variant::Legacy => "xtables-legacy-multi",
    };
    let program = sh(&format!("command -v {multi}"));
    if !program.status.success() {
        return false;
    }
    let program = String::from_utf8(program.stdout).unwrap();
    run(&format!(
        "mount -t tmpfs tmpfs /usr/local/sbin
         for family in iptables ip6tables; do for end in '' -save -restore; do
             ln -s {} /usr/local/sbin/$family$end
         done; done",
        program.trim()
    ));
    assert_eq!(firewall::program(Family::Ipv4).unwrap().variant, variant, "PATH must begin with /usr/local/sbin");
    true
}

/// A case: the rules by chain of our own.
fn read_case(text: &str) -> Rules {
    let mut rules = Rules::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [family, table, hook, rule] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let family = if family == "ipv6" { Family::Ipv6 } else { Family::Ipv4 };
        let hook = Hook::ALL.into_iter().find(|known| known.name() == hook).unwrap();
        let chain = ChainId::own(family, Table::from_name(table).unwrap(), &lab(), hook);
        rules.entry(chain).or_default().push(iptables::read(family, rule));
    }
    rules
}

/// The steps that make chains, fill them, and jump to them.
fn steps(ns: &NsName, rules: &Rules, family: Family) -> Vec<Step> {
    let mut steps = Vec::new();
    let step = |chain, change| Step::Firewall(FirewallStep { ns: ns.clone(), chain, change });
    let add = |chain: ChainId, position, rule| {
        step(chain, FirewallChange::Rule { position, is_rewritten: false, change: Presence::Add(Box::new(rule)) })
    };
    for (chain, rules) in rules.iter().filter(|(chain, _)| chain.family == family) {
        steps.push(step(chain.clone(), FirewallChange::AddChain));
        steps.extend(rules.iter().map(|rule| add(chain.clone(), None, rule.clone())));
        let builtin = ChainId::builtin(family, chain.table, chain.owner().unwrap().1);
        steps.push(add(builtin, Some(1), FirewallRule::jump(&lab(), &chain.chain).into()));
    }
    steps
}

fn undone(steps: &[Step]) -> Vec<Step> {
    steps.iter().rev().map(|step| step.inverse().unwrap()).collect()
}

/// The rules in our chains, and the jumps to them, as observed.
fn observed(ns: &NsName) -> (Rules, usize) {
    let firewall = firewall::observe(netns::open(ns).unwrap().as_fd(), ns, None).unwrap();
    let jumps = |(chain, rules): (&ChainId, &Vec<ObservedRule>)| {
        let ours = |rule: &&ObservedRule| rule.leads_to().is_some_and(|to| to.as_str().starts_with("NSLAB-case-"));
        if chain.hook().is_some() { rules.iter().filter(ours).count() } else { 0 }
    };
    let count = firewall.chains.iter().map(jumps).sum();
    (firewall.chains.into_iter().filter(|(chain, _)| chain.owner().is_some()).collect(), count)
}

/// One case with one variant, in the host and in a namespace.
fn holds(name: &str, rules: &Rules, variant: Variant) {
    for ns in ["host", "red"] {
        let case = format!("{name}, {variant:?}, in {ns}");
        let ns: NsName = ns.parse().unwrap();
        sandbox();
        assert!(choose(variant));
        run("ip netns add red");
        let before = account();
        let fd = netns::open(&ns).unwrap();
        assert_eq!(observed(&ns), (Rules::new(), 0), "{case}");
        let families = [Family::Ipv4, Family::Ipv6].map(|family| steps(&ns, rules, family));
        for steps in &families {
            firewall::run(fd.as_fd(), steps).unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        assert_eq!(observed(&ns), (rules.clone(), rules.len()), "{case}");
        let ours = if ns.is_host() { account() } else { String::new() };
        for steps in &families {
            firewall::run(fd.as_fd(), &undone(steps)).unwrap_or_else(|error| panic!("{case}, undoing: {error}"));
        }
        assert_eq!(observed(&ns), (Rules::new(), 0), "{case}, undone");
        if variant == Variant::Nft {
            assert_eq!(account(), before, "{case}, undone");
        }
        for step in families.iter().flatten() {
            run(&step.script().join("\n"));
        }
        assert_eq!(observed(&ns), (rules.clone(), rules.len()), "{case}, by the printed commands");
        if ns.is_host() {
            let without_mark = ours.replace("\tcomment \"nslab\"\n", "");
            assert_eq!(account(), without_mark, "{case}, by the printed commands");
        }
        for step in families.iter().flat_map(|steps| undone(steps)) {
            run(&step.script().join("\n"));
        }
        assert_eq!(observed(&ns), (Rules::new(), 0), "{case}, undone by the printed commands");
    }
}

fn every_case(variant: Variant) {
    let mut cases = 0;
    for entry in std::fs::read_dir(project("tests/firewall")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "txt") {
            let rules = read_case(&std::fs::read_to_string(&path).unwrap());
            holds(&path.file_name().unwrap().to_string_lossy(), &rules, variant);
            cases += 1;
        }
    }
    assert!(cases >= 5);
}

#[test]
fn every_rule_comes_back_as_it_went_in() {
    every_case(Variant::Nft);
}

#[test]
fn every_rule_comes_back_from_legacy_iptables() {
    sandbox();
    if !choose(Variant::Legacy) {
        eprintln!("iptables-legacy is not installed here: nothing to be seen");
    } else if sh("iptables-save -t nat").status.success() {
        every_case(Variant::Legacy);
    } else {
        let rules = read_case("ipv4 nat POSTROUTING -j MASQUERADE");
        let refused = firewall::run(host().as_fd(), &steps(&NsName::host(), &rules, Family::Ipv4)).unwrap_err();
        assert!(refused.to_string().contains("iptables"), "{refused}");
    }
}

#[test]
fn other_peoples_rules_and_tables_stay() {
    sandbox();
    assert!(choose(Variant::Nft));
    run("iptables -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE
         iptables -N theirs
         iptables -P FORWARD DROP
         nft add table ip6 nat
         nft add table inet firewall");
    // In a table of theirs, iptables makes base chains that are missing: empty, accepting, and shown by nft alone.
    let before = saved();
    let tables = run("nft list tables");
    let rules = read_case(&std::fs::read_to_string(project("tests/firewall/filter.txt")).unwrap());
    let steps = steps(&NsName::host(), &rules, Family::Ipv4);
    firewall::run(host().as_fd(), &steps).unwrap();
    assert_ne!(saved(), before);
    firewall::run(host().as_fd(), &undone(&steps)).unwrap();
    assert_eq!(saved(), before);
    assert_eq!(run("nft list tables"), tables);
}

#[test]
fn a_table_of_ours_stays_while_somebody_uses_it() {
    // What somebody does to the table while our rules are in it, and undoes later.
    let uses = [
        ("iptables -A FORWARD -s 10.9.0.0/16 -j RETURN", "iptables -F FORWARD"),
        ("iptables -N theirs", "iptables -X theirs"),
        ("iptables -P OUTPUT DROP", "iptables -P OUTPUT ACCEPT"),
        ("nft add set ip filter s '{ type ipv4_addr; }'", "nft delete set ip filter s"),
    ];
    for (used, unused) in uses {
        sandbox();
        assert!(choose(Variant::Nft));
        let rules = read_case("ipv4 filter FORWARD -s 10.0.0.0/8 -j ACCEPT");
        let steps = steps(&NsName::host(), &rules, Family::Ipv4);
        firewall::run(host().as_fd(), &steps).unwrap();
        run(used);
        firewall::run(host().as_fd(), &undone(&steps)).unwrap();
        let left = account();
        assert!(left.contains("table ip filter"), "{used}: {left}");
        firewall::tidy(host().as_fd()).unwrap();
        assert_eq!(account(), left, "{used}");
        run(unused);
        firewall::tidy(host().as_fd()).unwrap();
        assert_eq!(account(), "", "{unused}");
    }
}

#[test]
fn a_refused_rule_is_named_and_nothing_is_changed() {
    // A rule, and whether legacy iptables tells where it is (what the kernel refuses, it does not).
    let bad = [
        ("ipv4 nat POSTROUTING -m nonesuch -j ACCEPT", true),
        ("ipv4 nat POSTROUTING -s 10.0.0.1/32 -j DNAT --to-destination 10.0.0.2:99999", true),
        ("ipv4 nat POSTROUTING -s 10.0.0.1/32 -j REJECT --reject-with icmp-port-unreachable", false),
        ("ipv4 filter FORWARD -j MASQUERADE", false),
    ];
    for variant in [Variant::Nft, Variant::Legacy] {
        for (line, legacy_tells) in bad {
            sandbox();
            if !choose(variant) {
                assert_eq!(variant, Variant::Legacy);
                continue;
            }
            run("iptables -N theirs; iptables -t nat -N theirs");
            let before = saved();
            let good = "ipv4 nat PREROUTING -j ACCEPT";
            let rules = read_case(&format!("{good}\n{line}"));
            let refused = firewall::run(host().as_fd(), &steps(&NsName::host(), &rules, Family::Ipv4)).unwrap_err();
            let refused = refused.to_string();
            if variant == Variant::Nft || legacy_tells {
                let rule = line.splitn(4, ' ').last().unwrap();
                assert!(refused.contains(rule), "{variant:?}, {line}: {refused}");
            } else {
                assert!(refused.contains("host"), "{variant:?}, {line}: {refused}");
            }
            // Also where table `nat` had been committed when table `filter` was refused.
            assert_eq!(saved(), before, "{variant:?}, {line}");
        }
    }
}

#[test]
fn looking_makes_no_tables_and_needs_no_program() {
    sandbox();
    run("mount --bind /dev/null $(readlink -f $(command -v iptables))");
    assert!(!sh("iptables-save").status.success(), "iptables is out of the way");
    let looked = observe_host(&Firewall::default()).unwrap();
    assert!(looked.chains.is_empty());
    run("nft add table inet firewall");
    assert!(observe_host(&Firewall::default()).unwrap().chains.is_empty());
    assert_eq!(run("nft list tables"), "table inet firewall\n");
    run("nft add table ip nat");
    assert!(observe_host(&Firewall::default()).unwrap().chains.is_empty(), "a table of somebody else's");
    let wanted = ChainId::own(Family::Ipv4, Table::Nat, &lab(), Hook::Postrouting);
    let wanted = Firewall { chains: [(wanted, Vec::new())].into() };
    assert_refused(observe_host(&wanted));
    // Of a chain of a lab, the kernel says enough.
    run("nft add chain ip nat NSLAB-other-POST");
    assert!(observe_host(&Firewall::default()).unwrap().chains.is_empty());
    assert_refused(observe_host(&wanted));
}

fn observe_host(wanted: &Firewall) -> Result<ObservedFirewall, KernelError> {
    let wanted = Namespace { firewall: wanted.clone(), ..Namespace::default() };
    firewall::observe(host().as_fd(), &NsName::host(), Some(&wanted))
}

#[track_caller]
fn assert_refused(outcome: Result<ObservedFirewall, KernelError>) {
    let refused = outcome.unwrap_err().to_string();
    assert!(refused.contains("install"), "{refused}");
}
