//! Checks against namespaces that were built by hand: every kind of promise, kept and broken.

mod support;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use nslab::check::{self, CheckResult, Outcome, PairResult, Report};
use nslab::lab::{Check, Expect, Lab, Namespace, NsName, Probe, SeenAs, Target, Via};
use support::{run, sandbox};

/// A check of one sender and one address, reachable by ping until told otherwise.
fn check(from: &str, to: &str, address: &str) -> Check {
    let target =
        Target { label: to.to_owned(), address: ip(address), ns: to.parse().ok().filter(|_| !to.contains('.')) };
    let probe = Probe { from: ns(from), source: None, to: target, listen: vec![] };
    Check {
        name: format!("{from} → {to}"),
        line: 1,
        via: Via::Icmp,
        expect: Expect::Reachable,
        seen_as: None,
        answered_by: None,
        retries: 0,
        within: Duration::from_millis(500),
        probes: vec![probe],
    }
}

fn listening(mut check: Check, via: Via, at: &str, port: u16) -> Check {
    check.via = via;
    check.probes.iter_mut().for_each(|probe| probe.listen = vec![(ns(at), port)]);
    check
}

fn expecting(mut check: Check, expect: Expect) -> Check {
    check.expect = expect;
    check
}

fn seen_as(mut check: Check, seen_as: SeenAs) -> Check {
    check.seen_as = Some(seen_as);
    check
}

fn ns(name: &str) -> NsName {
    name.parse().expect("a namespace's name")
}

fn ip(address: &str) -> IpAddr {
    address.parse().expect("an address")
}

fn report(checks: Vec<Check>) -> Report {
    let names: Vec<_> =
        checks.iter().flat_map(|c| &c.probes).flat_map(|p| [Some(p.from.clone()), p.to.ns.clone()]).collect();
    let namespaces: BTreeMap<_, _> = names.into_iter().flatten().map(|ns| (ns, Namespace::default())).collect();
    let lab = Lab { name: "lab".parse().unwrap(), about: None, namespaces, checks };
    check::run(&lab).expect("the checks run")
}

#[test]
fn a_full_mesh_of_a_hundred_hosts_on_one_bridge() {
    sandbox();
    run("ip link add v-net type bridge; ip link set v-net up");
    for i in 1..=100 {
        run(&format!(
            "ip netns add h{i}; ip link add v{i} up master v-net type veth peer name eth0 netns h{i}
             ip -n h{i} addr add 10.0.0.{i}/24 dev eth0; ip -n h{i} link set eth0 up"
        ));
    }
    for via in [Via::Icmp, Via::Tcp(80), Via::Udp(53)] {
        let mut mesh = seen_as(check("h1", "h2", "10.0.0.2"), SeenAs::Itself);
        mesh.within = Duration::from_secs(1);
        mesh.via = via;
        mesh.probes.clear();
        for from in 1..=100 {
            for to in (1..=100).filter(|to| *to != from) {
                let mut pair = check(&format!("h{from}"), &format!("h{to}"), &format!("10.0.0.{to}"));
                if let Via::Tcp(port) | Via::Udp(port) = via {
                    pair = listening(pair, via, &format!("h{to}"), port);
                }
                mesh.probes.extend(pair.probes);
            }
        }
        let report = report(vec![mesh]);
        println!("{via:?}: {} pairs in {:?}", report.pairs(), report.elapsed);
        assert_eq!(
            (report.pairs(), report.failures()),
            (9_900, 0),
            "{:?}",
            report.checks[0].pairs.iter().find(|p| !p.passed)
        );
    }
}
