//! Checks against namespaces that were built by hand: every kind of promise, kept and broken.

#![allow(clippy::expect_used, clippy::unwrap_used)]

mod support;

#[path = "check/nat.rs"]
mod nat;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nslab::check::{self, Outcome, PairResult, Report};
use nslab::lab::{Check, Expect, Lab, Namespace, NsName, Probe, Protocol, SeenAs, Target};
use support::{run, sandbox};

/// A check of one sender and one address, reachable by ping until told otherwise.
fn check(from: &str, to: &str, address: &str) -> Check {
    let to_ns: Option<NsName> = to.parse().ok().filter(|_| !to.contains('.'));
    let (from_ns, arrives_at) = (ns(from), to_ns.clone());
    let target = Target { label: to.to_owned(), address: ip(address), scope: None, ns: to_ns, name: None };
    let probe = Probe { from: from_ns, source: None, arrives_at, to: target, endpoints: vec![], listen: vec![] };
    Check {
        name: format!("{from} → {to}"),
        line: 1,
        protocol: Protocol::Icmp,
        asks: None,
        size: None,
        expect: Expect::Reachable,
        seen_as: None,
        answered_by: None,
        spread: None,
        retries: 0,
        timeout: Duration::from_millis(500),
        probes: vec![probe],
    }
}

/// A timeout that an answer keeps on a busy machine, too.
const LONG: Duration = Duration::from_secs(10);

fn listening(mut check: Check, protocol: Protocol, at: &str, port: u16) -> Check {
    check.protocol = protocol;
    for probe in &mut check.probes {
        probe.listen = vec![(ns(at), port)];
        probe.arrives_at = probe.arrives_at.take().map(|_| ns(at));
    }
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

fn lab(namespaces: indexmap::IndexMap<NsName, Namespace>, checks: Vec<Check>) -> Lab {
    let (description, exec_checks, network_policies, etc, origins, places) = Default::default();
    let name = "lab".parse().unwrap();
    Lab { name, description, namespaces, checks, exec_checks, network_policies, etc, origins, places }
}

fn report(checks: Vec<Check>) -> Report {
    let names: Vec<_> =
        checks.iter().flat_map(|c| &c.probes).flat_map(|p| [Some(p.from.clone()), p.to.ns.clone()]).collect();
    let namespaces: BTreeMap<_, _> = names.into_iter().flatten().map(|ns| (ns, Namespace::default())).collect();
    let namespaces = namespaces.into_iter().collect();
    let lab = lab(namespaces, checks);
    check::run(&lab, &BTreeMap::new(), None).expect("the checks run")
}

/// The result of one check of one pair.
fn result(check: Check) -> PairResult {
    let mut report = report(vec![check]);
    report.checks.remove(0).pairs.remove(0)
}

/// The check must pass. Where it expects an answer, the machine may be busy.
#[track_caller]
fn passes(mut check: Check) -> PairResult {
    if matches!(check.expect, Expect::Reachable | Expect::Refused) {
        check.timeout = LONG;
    }
    let result = result(check);
    assert!(result.passed, "{result:#?}");
    result
}

/// The check must fail, for a reason whose words hold `words`.
#[track_caller]
fn fails(check: Check, words: &str) -> PairResult {
    let result = result(check);
    assert!(!result.passed, "{result:#?}");
    let fault = result.failure.clone().unwrap_or_default();
    assert!(fault.contains(words), "{fault:?} does not say {words:?}");
    result
}

/// red 192.168.15.1 and blue 192.168.15.2 behind a router, outside 192.168.1.3 on its other side; IPv6 likewise.
/// Outside has no way back to red and blue.
fn routed_lab() {
    sandbox();
    run("for n in red blue router outside; do ip netns add $n; ip -n $n link set lo up; done
         ip link add name eth-red netns red type veth peer name br-red netns router
         ip link add name eth-blue netns blue type veth peer name br-blue netns router
         ip link add name eth-out netns outside type veth peer name lan netns router
         ip -n router link add v-net type bridge
         for p in br-red br-blue; do ip -n router link set $p master v-net up; done
         ip -n router link set v-net up; ip -n router link set lan up
         ip -n red link set eth-red up; ip -n blue link set eth-blue up; ip -n outside link set eth-out up
         ip -n red addr add 192.168.15.1/24 dev eth-red; ip -n red addr add fd15::1/64 dev eth-red nodad
         ip -n blue addr add 192.168.15.2/24 dev eth-blue; ip -n blue addr add fd15::2/64 dev eth-blue nodad
         ip -n router addr add 192.168.15.5/24 dev v-net; ip -n router addr add fd15::5/64 dev v-net nodad
         ip -n router addr add 192.168.1.2/24 dev lan; ip -n router addr add fd01::2/64 dev lan nodad
         ip -n outside addr add 192.168.1.3/24 dev eth-out; ip -n outside addr add fd01::3/64 dev eth-out nodad
         for n in red blue; do ip -n $n route add default via 192.168.15.5; ip -n $n -6 route add default via \
         fd15::5; done
         ip netns exec router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
         net.bridge.bridge-nf-call-iptables=0
         # A host sends another six ICMP errors at once, and then one a second.
         for n in blue router; do ip netns exec $n sysctl -qw net.ipv4.icmp_ratelimit=0; done");
}

const MASQUERADE: &str = "ip netns exec router iptables -t nat -A POSTROUTING -s 192.168.15.0/24 -o lan -j MASQUERADE";

#[test]
fn neighbours_reach_each_other_untranslated_over_everything() {
    routed_lab();
    for address in ["192.168.15.2", "fd15::2"] {
        let echo = seen_as(check("red", "blue", address), SeenAs::Itself);
        let seen = passes(echo.clone());
        let own = if address.contains(':') { "fd15::1" } else { "192.168.15.1" };
        assert_eq!((seen.seen_as, seen.answered_by, seen.tries), (Some(ip(own)), Some(ns("blue")), 1));
        for protocol in [Protocol::Tcp(80), Protocol::Udp(53)] {
            let seen = passes(listening(echo.clone(), protocol, "blue", port(protocol)));
            assert_eq!((seen.seen_as, seen.answered_by), (Some(ip(own)), Some(ns("blue"))), "{protocol:?}");
        }
        fails(expecting(echo.clone(), Expect::Unreachable), "answered by blue, though it should be unreachable");
        fails(expecting(echo, Expect::Refused), "answered by blue, though it should be refused");
        let other = SeenAs::Address(ip("10.9.9.9"));
        fails(seen_as(check("red", "blue", address), other), "instead of 10.9.9.9: it is not translated on the way");
    }
}

fn port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Icmp => 0,
        Protocol::Tcp(port) | Protocol::Udp(port) => port,
    }
}

#[test]
fn one_reaches_oneself() {
    routed_lab();
    passes(seen_as(check("blue", "blue", "192.168.15.2"), SeenAs::Itself));
    passes(listening(check("blue", "blue", "127.0.0.1"), Protocol::Tcp(80), "blue", 80));
    run("ip -n blue link set lo down");
    fails(check("blue", "blue", "127.0.0.1"), "no answer within 500 ms");
}

#[test]
fn what_the_sender_itself_does_not_let_out() {
    routed_lab();
    let cases = [
        ("ip -n red route del default", "it has no route to 192.168.1.3"),
        ("ip -n red route add blackhole 192.168.1.3", "of type blackhole"),
        ("ip -n red route replace prohibit 192.168.1.3", "of type prohibit"),
        ("ip -n red route replace unreachable 192.168.1.3", "of type unreachable"),
        (
            "ip -n red route del unreachable 192.168.1.3; ip -n red route add default via 192.168.15.5
          ip netns exec red iptables -A OUTPUT -p icmp -j DROP; ip netns exec red iptables -A OUTPUT -p udp -j DROP",
            "a firewall rule",
        ),
    ];
    for (change, words) in cases {
        run(change);
        for protocol in [Protocol::Icmp, Protocol::Tcp(80), Protocol::Udp(53)] {
            if protocol == Protocol::Tcp(80) && words == "a firewall rule" {
                continue; // TCP is told nothing of a dropped SYN.
            }
            let mut probe = check("red", "outside", "192.168.1.3");
            probe.protocol = protocol;
            probe.timeout = LONG;
            let seen = fails(probe.clone(), words);
            assert!(matches!(seen.saw, Outcome::NotSent { .. }) && seen.took < LONG / 2, "{seen:?}");
            passes(expecting(probe.clone(), Expect::Unreachable));
            fails(expecting(probe, Expect::Refused), "though it should be refused");
        }
    }
}

#[test]
fn silence() {
    routed_lab();
    // The request arrives, but outside knows no way back: the lesson of the notes' third stage.
    let mut lost = check("blue", "outside", "192.168.1.3");
    lost.timeout = Duration::from_secs(2);
    let seen = fails(lost.clone(), "it arrived at outside, from 192.168.15.2, but no answer came back within 2 s");
    assert_eq!(seen.saw, Outcome::Silence);
    fails(
        expecting(lost.clone(), Expect::Unreachable),
        "it arrived at outside, from 192.168.15.2, and only the answer",
    );
    passes(expecting(lost.clone(), Expect::Unanswered));
    fails(expecting(lost, Expect::Refused), "though it should be refused");

    run("ip netns exec blue iptables -A INPUT -s 192.168.15.1 -j DROP");
    for protocol in [Protocol::Icmp, Protocol::Tcp(80), Protocol::Udp(53)] {
        let mut dropped = check("red", "blue", "192.168.15.2");
        if protocol != Protocol::Icmp {
            dropped = listening(dropped, protocol, "blue", port(protocol));
        }
        let seen = passes(expecting(dropped.clone(), Expect::Unreachable));
        assert!(seen.took >= Duration::from_millis(500), "silence is waited for: {seen:?}");
        fails(dropped, "no answer within 500 ms");
    }
    run("ip netns exec blue iptables -F; ip -n blue link set eth-blue down");
    passes(expecting(check("red", "blue", "192.168.15.2"), Expect::Unreachable));
}

#[test]
fn refusals() {
    routed_lab();
    for protocol in [Protocol::Tcp(80), Protocol::Udp(53)] {
        for address in ["192.168.15.2", "fd15::2"] {
            let mut closed = check("red", "blue", address);
            closed.protocol = protocol;
            passes(expecting(closed.clone(), Expect::Refused));
            fails(closed.clone(), "nothing listens on");
            fails(expecting(closed, Expect::Unreachable), "though it should be unreachable");
        }
        // Where a check expects a refusal, nothing of nslab listens, whatever other checks need there.
        let open = listening(check("red", "blue", "192.168.15.2"), protocol, "blue", port(protocol));
        let both = report(vec![open.clone(), expecting(open, Expect::Refused)]);
        assert!(both.passed(), "{both:#?}");
    }
    let by_blue = |saw: &Outcome| *saw == Outcome::Refused { by: Some(ip("192.168.15.2")) };
    let mut udp = expecting(check("red", "blue", "192.168.15.2"), Expect::Refused);
    udp.protocol = Protocol::Udp(53);
    assert!(by_blue(&passes(udp).saw));

    // "reject" is a refusal for whatever it is said to, with the port open or not.
    run("ip netns exec blue iptables -A INPUT -p tcp -j REJECT --reject-with tcp-reset
         ip netns exec blue iptables -A INPUT -j REJECT");
    for protocol in [Protocol::Tcp(80), Protocol::Udp(53)] {
        passes(expecting(
            listening(check("red", "blue", "192.168.15.2"), protocol, "blue", port(protocol)),
            Expect::Refused,
        ));
    }
    assert!(by_blue(&passes(expecting(check("red", "blue", "192.168.15.2"), Expect::Refused)).saw));
    passes(expecting(check("red", "blue", "192.168.15.2"), Expect::Unreachable));
    fails(check("red", "blue", "192.168.15.2"), "refused by 192.168.15.2: a rule rejects it");
}

#[test]
fn errors_of_routers() {
    routed_lab();
    // A router reports five errors at once to one host, and then one a second (net.ipv4.route.error_burst).
    let cases = [
        ("red", "prohibit", "administratively prohibited"),
        ("blue", "unreachable", "answered with an error: host unreachable"),
    ];
    for (from, kind, words) in cases {
        run(&format!("ip -n router route replace {kind} 10.1.0.0/16"));
        let probe = check(from, "10.1.0.1", "10.1.0.1");
        let echo = fails(probe.clone(), words);
        assert!(
            matches!(&echo.saw, Outcome::Unreachable { by: Some(by), .. } if *by == ip("192.168.15.5")),
            "{echo:?}"
        );
        passes(expecting(probe.clone(), Expect::Unreachable));
        for protocol in [Protocol::Tcp(80), Protocol::Udp(53)] {
            let mut probe = expecting(probe.clone(), Expect::Unreachable);
            (probe.protocol, probe.timeout) = (protocol, LONG);
            let seen = passes(probe);
            assert!(matches!(seen.saw, Outcome::Unreachable { .. }), "an error, not silence: {seen:?}");
            assert!(seen.took < LONG / 2, "an error is known at once: {seen:?}");
        }
    }
    run("ip -n router -6 route add prohibit fd99::/64");
    fails(check("red", "fd99::1", "fd99::1"), "fd15::5 answered with an error: administratively prohibited");
}

#[test]
fn a_chosen_source_address() {
    routed_lab();
    run("ip -n red addr add 192.168.15.77/24 dev eth-red");
    for protocol in [Protocol::Icmp, Protocol::Tcp(80), Protocol::Udp(53)] {
        let mut chosen = seen_as(check("red", "blue", "192.168.15.2"), SeenAs::Itself);
        if protocol != Protocol::Icmp {
            chosen = listening(chosen, protocol, "blue", port(protocol));
        }
        chosen.probes[0].source = Some(ip("192.168.15.77"));
        assert_eq!(passes(chosen.clone()).seen_as, Some(ip("192.168.15.77")));
        chosen.probes[0].source = Some(ip("192.168.15.78"));
        for expect in [Expect::Reachable, Expect::Unreachable, Expect::Refused] {
            fails(expecting(chosen.clone(), expect), "red does not have the source address 192.168.15.78");
        }
    }
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    routed_lab();
    run("ip -n blue addr add 192.168.15.99/24 dev eth-blue; ip -n blue addr add fd15::99/64 dev eth-blue nodad");
    for address in ["192.168.15.99", "fd15::99"] {
        passes(listening(check("red", "blue", address), Protocol::Udp(53), "blue", 53));
    }
}

#[test]
fn a_port_that_a_real_server_has() {
    routed_lab();
    let mut server = std::process::Command::new("ip")
        .args(["netns", "exec", "blue", "python3", "-c", SERVER])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    std::io::Read::read_exact(server.stdout.as_mut().expect("its output"), &mut [0; 1]).expect("it is ready");
    let tcp = listening(check("red", "blue", "192.168.15.2"), Protocol::Tcp(80), "blue", 80);
    let mut by_blue = tcp.clone();
    by_blue.answered_by = Some(ns("blue"));
    let results = [passes(tcp.clone()), passes(by_blue), passes(seen_as(tcp.clone(), SeenAs::Itself))];
    fails(expecting(tcp, Expect::Refused), "though it should be refused");
    let mute = listening(check("red", "blue", "192.168.15.2"), Protocol::Udp(53), "blue", 53);
    fails(mute, "it arrived at blue, from 192.168.15.1, and the program that has the port there did not answer");
    assert!(results.iter().all(|result| result.saw == Outcome::Answered && result.seen_as == Some(ip("192.168.15.1"))));
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}

/// A server that accepts connections and takes datagrams, and answers neither.
const SERVER: &str = "import socket, sys, time
t = socket.create_server(('0.0.0.0', 80))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0', 53))
sys.stdout.write('!'); sys.stdout.flush(); time.sleep(60)";

#[test]
fn a_probe_is_tried_again_as_often_as_its_check_allows() {
    routed_lab();
    run("ip -n blue addr del 192.168.15.2/24 dev eth-blue");
    let mut late = check("red", "blue", "192.168.15.2");
    (late.timeout, late.retries) = (Duration::from_millis(200), 50);
    let mut in_a_while = std::process::Command::new("sh")
        .args(["-c", "sleep 0.3; ip -n blue addr add 192.168.15.2/24 dev eth-blue"])
        .spawn()
        .expect("sh");
    let seen = result(late.clone());
    assert!(seen.passed && (2..=51).contains(&seen.tries), "{seen:?}");
    in_a_while.wait().expect("it ends");

    run("ip -n blue addr del 192.168.15.2/24 dev eth-blue");
    late.retries = 2;
    let seen = fails(late, "no answer within 200 ms");
    assert_eq!(seen.tries, 3);
}

#[test]
fn many_checks_at_once_keep_their_order_and_their_answers() {
    routed_lab();
    run(MASQUERADE);
    let report = report(vec![
        check("red", "blue", "192.168.15.2"),
        expecting(check("red", "blue", "192.168.15.2"), Expect::Unreachable),
        listening(check("red", "blue", "192.168.15.2"), Protocol::Tcp(80), "blue", 80),
        listening(check("blue", "outside", "192.168.1.3"), Protocol::Udp(53), "outside", 53),
        expecting(check("outside", "red", "192.168.15.1"), Expect::Unreachable),
    ]);
    let passed: Vec<_> = report.checks.iter().map(|check| check.failures() == 0).collect();
    assert_eq!(passed, [true, false, true, true, true]);
    assert_eq!((report.passed(), report.pairs(), report.failures()), (false, 5, 1));
}

#[test]
fn a_lab_that_is_not_there() {
    sandbox();
    run("ip netns add red");
    let lab = lab(indexmap::IndexMap::new(), vec![check("red", "blue", "192.168.15.2")]);
    let error = check::run(&lab, &BTreeMap::new(), None).expect_err("blue does not exist");
    assert_eq!(
        error.to_string(),
        "lab lab is not applied, or not completely: namespace blue does not exist\napply it first: nslab apply FILE"
    );
}

/// Those that fill the table of neighbours, which is one for the whole machine, run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_full_mesh_of_a_hundred_hosts_on_one_bridge() {
    let _alone = alone();
    sandbox();
    run("ip link add v-net type bridge; ip link set v-net up");
    for i in 1..=100 {
        run(&format!(
            "ip netns add h{i}; ip link add v{i} up master v-net type veth peer name eth0 netns h{i}
             ip -n h{i} addr add 10.0.0.{i}/24 dev eth0; ip -n h{i} link set eth0 up"
        ));
    }
    for protocol in [Protocol::Icmp, Protocol::Tcp(80), Protocol::Udp(53)] {
        let mut mesh = seen_as(check("h1", "h2", "10.0.0.2"), SeenAs::Itself);
        mesh.timeout = Duration::from_secs(1);
        mesh.protocol = protocol;
        mesh.probes.clear();
        for from in 1..=100 {
            for to in (1..=100).filter(|to| *to != from) {
                let mut pair = check(&format!("h{from}"), &format!("h{to}"), &format!("10.0.0.{to}"));
                if let Protocol::Tcp(port) | Protocol::Udp(port) = protocol {
                    pair = listening(pair, protocol, &format!("h{to}"), port);
                }
                mesh.probes.extend(pair.probes);
            }
        }
        let report = report(vec![mesh]);
        println!("{protocol:?}: {} pairs in {:?}", report.pairs(), report.elapsed);
        assert_eq!(
            (report.pairs(), report.failures()),
            (9_900, 0),
            "{:?}",
            report.checks[0].pairs.iter().find(|p| !p.passed)
        );
    }
}

/// Among more pairs than run at once, one whose neighbours answer later than the next pairs start: they must not be
/// forgotten meanwhile, since the first packet waits for their answer.
#[test]
fn slow_neighbours_are_waited_for() {
    let _alone = alone();
    sandbox();
    run("ip link add v-net type bridge; ip link set v-net up; ip link add slow type bridge
         for i in $(seq 20); do
             bridge=v-net; [ $i -gt 2 ] || bridge=slow
             ip netns add h$i; ip link add v$i up master $bridge type veth peer name eth0 netns h$i
             ip -n h$i addr add 10.0.0.$i/24 dev eth0; ip -n h$i link set eth0 up
             ip netns exec h$i sysctl -qw net.ipv4.neigh.eth0.retrans_time_ms=300 net.ipv4.neigh.eth0.mcast_solicit=20
         done");
    for protocol in [Protocol::Icmp, Protocol::Udp(53)] {
        let mut mesh = check("h1", "h2", "10.0.0.2");
        mesh.timeout = Duration::from_secs(4);
        mesh.protocol = protocol;
        mesh.probes.clear();
        for (from, to) in (1..=20).flat_map(|from| (1..=20).filter(move |to| *to != from).map(move |to| (from, to))) {
            let mut pair = check(&format!("h{from}"), &format!("h{to}"), &format!("10.0.0.{to}"));
            if let Protocol::Udp(port) = protocol {
                pair = listening(pair, protocol, &format!("h{to}"), port);
            }
            if (from <= 2) == (to <= 2) {
                mesh.probes.extend(pair.probes);
            }
        }
        run("for i in 1 2; do ip -n h$i neigh flush all; done
             ip link set slow down; (sleep 0.7; ip link set slow up) > /dev/null 2>&1 &");
        let report = report(vec![mesh]);
        let silent: Vec<&PairResult> = report.checks[0].pairs.iter().filter(|pair| !pair.passed).collect();
        assert_eq!((report.pairs(), silent.as_slice()), (308, &[][..]), "{protocol:?}");
    }
}

/// A router sends few errors to one sender in a second: what the first try heard holds where the next hears nothing.
#[test]
fn an_error_of_the_first_try_is_told() {
    sandbox();
    run("ip netns add red; ip netns add router; ip link add to-red netns router type veth peer name eth0 netns red; \
         ip -n red addr add 10.0.1.2/24 dev eth0; ip -n red link set eth0 up; ip -n red route add default via \
         10.0.1.1; \
         ip -n router addr add 10.0.1.1/24 dev to-red; ip -n router link set to-red up; ip -n router link set lo up; \
         ip netns exec router sysctl -qw net.ipv4.ip_forward=1");
    let mut check = check("red", "10.0.9.9", "10.0.9.9");
    (check.timeout, check.retries) = (Duration::from_millis(200), 3);
    let pair = &report(vec![check]).checks[0].pairs[0];
    assert!(
        matches!(&pair.saw, Outcome::Unreachable { what, .. } if what.contains("network unreachable")),
        "{:?}",
        pair.saw
    );
    assert_eq!(pair.tries, 4);
}
