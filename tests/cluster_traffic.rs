//! Clusters on a real kernel, one after the other for every way that packets can take between nodes
//! (`tests/cluster/ways`): what arrives, what the network between the nodes sees, what an unplugged node takes along,
//! and that a cluster that grows does not disturb those who are there.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nslab::topology;
use serde_json::Value;
use support::rest::at_rest;
use support::{host_account, nslab, project, run, sandbox, text};

/// The file of every way, by the way's name.
fn ways() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(project("tests/cluster/ways")).expect("ways");
    let mut ways: Vec<_> = entries
        .map(|entry| entry.expect("a way").path())
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    ways.sort();
    assert!(ways.len() >= 3, "the ways are gone");
    ways
}

/// Does something in a sandbox of its own for every way.
fn on_every_way(work: impl Fn(&str, &str) + Send + Copy + 'static) {
    for (way, file) in ways() {
        let name = way.clone();
        let done = std::thread::spawn(move || {
            sandbox();
            fs::copy(file, "/run/lab.yaml").expect("a copy");
            work(&way, "/run/lab.yaml");
        });
        done.join().unwrap_or_else(|panic| {
            eprintln!("with routing: {name}");
            std::panic::resume_unwind(panic)
        });
    }
}

#[track_caller]
fn expect(code: i32, args: &[&str]) -> String {
    let output = nslab(args);
    assert_eq!(output.status.code(), Some(code), "nslab {}:\n{}", args.join(" "), text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Everything that crosses the switch between the nodes during some work, for `tcpdump -r` with a filter. Only headers
/// are kept: the buffer has room for as many packets as fit there with all that is kept of them.
fn captured(work: impl FnOnce()) -> impl Fn(&str) -> Vec<String> {
    let mut tcpdump = Command::new("ip")
        .args(
            "netns exec lan tcpdump --immediate-mode -s 256 -B 16384 -Z root -U -i br-lan -w /run/lan.pcap".split(' '),
        )
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpdump");
    let mut said = tcpdump.stderr.take().expect("its messages");
    let mut heard = String::new();
    while !heard.contains("listening on") {
        let mut byte = [0];
        assert_eq!(said.read(&mut byte).expect("a message"), 1, "tcpdump ended: {heard}");
        heard.push(char::from(byte[0]));
    }
    work();
    std::thread::sleep(Duration::from_millis(200));
    kill(Pid::from_raw(i32::try_from(tcpdump.id()).expect("a pid")), Signal::SIGINT).expect("a signal");
    said.read_to_string(&mut heard).expect("its last messages");
    assert!(tcpdump.wait().expect("tcpdump").success(), "{heard}");
    assert!(heard.contains("\n0 packets dropped by kernel"), "{heard}");
    |filter| {
        let lines = run(&format!("tcpdump -nn -t -r /run/lan.pcap '{filter}' 2>/dev/null"));
        lines.lines().map(str::to_owned).collect()
    }
}

/// What a way's tunnels look like from outside, in the words of tcpdump; none: it has none.
fn tunnel(way: &str) -> Option<&'static str> {
    (way == "vxlan").then_some("udp port 4789")
}

/// Packets for pods. tcpdump compares the outermost addresses.
const FOR_PODS: &str = "dst net 10.244.0.0/16 or dst net fd00:10:244::/48";

/// A pod or node reaches every other one under its own address. The network between the nodes sees just that, or
/// nothing but packets from node to node where there is a tunnel.
#[test]
fn every_way_leads_everywhere_without_translation() {
    on_every_way(|way, file| {
        let before = host_account();
        expect(0, &["apply", file]);
        expect(0, &["plan", "--exit-code", file]);
        let seen = captured(|| {
            expect(0, &["check", file]);
        });
        let asked = |from: &str, to: &str| {
            !seen(&format!("icmp[icmptype] == icmp-echo and src {from} and dst {to}")).is_empty()
        };
        assert!(asked("10.244.3.200", "192.168.1.11"), "a pod does not ask a node");
        match tunnel(way) {
            None => {
                assert!(asked("10.244.1.2", "10.244.3.200") && asked("192.168.1.11", "10.244.3.200"), "{way}");
                assert!(!seen("ip6 and src fd00:10:244:1::2 and dst fd00:10:244:3::c8").is_empty(), "{way}: no IPv6");
            }
            Some(packets) => {
                assert!(seen(packets).len() > 100, "{way}: the tunnel carries nothing");
                assert_eq!(seen(FOR_PODS), [""; 0], "{way}: outside of the tunnel");
            }
        }
        expect(0, &["destroy", file]);
        before.assert_same(&host_account(), file);
    });
}

/// The overlay keeps its promise to the letter: while all of its checks run, no pod's address is on the network between
/// the nodes.
#[test]
fn the_network_below_the_overlay_sees_no_pod() {
    sandbox();
    let file = project("topologies/08-overlay.yaml").display().to_string();
    expect(0, &["apply", &file]);
    let seen = captured(|| {
        expect(0, &["check", &file]);
    });
    assert!(seen("udp port 4789").len() > 100, "the tunnel carries nothing");
    assert_eq!(seen("net 10.244.0.0/16"), [""; 0]);
    let largest = "ping -c 1 -W 5 -M do -s 1422 10.244.3.2";
    run(&format!("ip netns exec pod-1-1 {largest}"));
    let tight = text(&support::sh(&format!("ip netns exec pod-1-1 {}", largest.replace("1422", "1423"))));
    assert!(tight.contains("message too long"), "{tight}");
}

/// Pods leave under their node's address, and reach each other under their own.
#[test]
fn pods_leave_under_their_nodes_address() {
    on_every_way(|_, file| {
        let shorthand = fs::read_to_string(file).expect("the file");
        let (cluster, _) = shorthand.split_once("checks:\n").expect("checks");
        let outside = r#"  egress: masquerade
namespaces:
  lan: { bridges: { br-lan: { ports: [outside-lan] } } }
  outside: { interfaces: { eth0: { addresses: [192.168.1.3/24, "fd00:192:168:1::3/64"] } } }
links:
  - [outside/eth0, lan/outside-lan]
checks:
  - { from: pods, to: pods, seen_as: itself }
  - { from: pods, to: pods, seen_as: itself, family: 6 }
  - { from: nodes, to: pods, seen_as: itself }
  - { from: pod-1-1, to: outside, seen_as: 192.168.1.11 }
  - { from: web, to: outside, port: 80, seen_as: 192.168.1.13 }
  - { from: web, to: outside, family: 6, seen_as: "fd00:192:168:1::13" }
  - { from: outside, to: pods, expect: unreachable }
"#;
        fs::write(file, format!("{cluster}{outside}")).expect("the file");
        expect(0, &["apply", "--check", file]);
    });
}

/// The pairs of a run of the checks that did not come out as promised, `FROM → ADDRESS`.
fn failed(report: &str) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(report).expect("JSON");
    let checks = report["checks"].as_array().expect("checks").iter();
    let pairs = checks.flat_map(|check| check["pairs"].as_array().expect("pairs"));
    let failed = pairs.filter(|pair| pair["passed"] == false);
    failed.map(|pair| format!("{} → {}", pair["from"], pair["address"]).replace('"', "")).collect()
}

/// Which pairs of the file have one side on `node2` and the other elsewhere, by the addresses that they have.
fn across(file: &str) -> BTreeSet<String> {
    let on_node2 = ["node2", "db.1", "a-pod-of-a-long-name"];
    let lab = topology::load(file.as_ref()).unwrap_or_else(|error| panic!("{error}")).lab;
    let probes = lab.checks.iter().flat_map(|check| &check.probes);
    let here = |address: &std::net::IpAddr| {
        let text = address.to_string();
        ["10.244.2.", "192.168.1.12", "fd00:10:244:2:", "fd00:192:168:1::12"].iter().any(|own| text.starts_with(own))
    };
    let across = probes.filter(|probe| on_node2.contains(&probe.from.as_str()) != here(&probe.to.address));
    across.map(|probe| format!("{} → {}", probe.from, probe.to.address)).collect()
}

/// A node is unplugged: what had to cross its cable fails, and nothing else; `apply` plugs it in again.
#[test]
fn an_unplugged_node_fails_where_it_must_and_is_mended() {
    on_every_way(|_, file| {
        expect(0, &["apply", "--check", file]);
        run("ip -n lan link set node2-lan down");
        let wanted = across(file);
        assert!(wanted.len() > 20, "{wanted:?}");
        assert_eq!(failed(&expect(1, &["check", "--format", "json", file])), wanted);
        let plan = expect(1, &["plan", "--exit-code", file]);
        assert!(plan.contains("bring lan/node2-lan up (it is down)") && plan.contains(": 1 step "), "{plan}");
        expect(0, &["apply", "--check", file]);
    });
}

/// Runs something on a thread that has moved to a namespace.
fn within<T: Send + 'static>(ns: &str, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let ns = File::open(format!("/run/netns/{ns}")).expect("a namespace");
    std::thread::spawn(move || {
        setns(ns, CloneFlags::CLONE_NEWNET).expect("a move");
        work()
    })
}

static RUNNING: AtomicBool = AtomicBool::new(true);
static RECEIVED: AtomicU64 = AtomicU64::new(0);

/// What every namespace of a list has, once it is at rest: interfaces with their numbers, addresses, routes.
fn account(namespaces: &[String]) -> Vec<String> {
    at_rest();
    let one = |ns: &String| {
        // A bridge without IP addresses has its MAC address from a port, and nothing speaks to it.
        let links = r#"ip -n NS -d -j link | jq -c '.[]
            | [.ifindex, .ifname, .address, .mtu, .master, (.operstate | sub("UNKNOWN"; "UP"))]
            | if .[1] == "br-lan" then del(.[2]) else . end'"#;
        let addresses = r#"ip -n NS -j addr | jq -c ".[] | [.ifindex, [.addr_info[] | [.local, .prefixlen]]]""#;
        let lines = run(&format!("{links}; {addresses}; ip -n NS route; ip -n NS -6 route").replace("NS", ns));
        lines.lines().map(|line| format!("{ns}: {line}")).collect::<Vec<_>>()
    };
    namespaces.iter().flat_map(one).collect()
}

/// A pod and a node come to a running cluster while two pods talk: their connection goes on, and of what was there,
/// nothing is another thing afterwards.
#[test]
fn a_cluster_grows_without_disturbing_anybody() {
    on_every_way(|way, file| {
        expect(0, &["apply", "--check", file]);
        let shorthand = fs::read_to_string(file).expect("the file");
        let larger = shorthand.replace("    node1: { pods: 2 }\n", "    node1: { pods: 3 }\n    node4: { pods: 1 }\n");
        assert_ne!(shorthand, larger);
        let namespaces: Vec<String> = run("ls /run/netns").lines().map(str::to_owned).collect();
        let before = account(&namespaces);

        RUNNING.store(true, Ordering::Relaxed);
        RECEIVED.store(0, Ordering::Relaxed);
        let receiver = within("web", || {
            let (mut stream, from) = TcpListener::bind("0.0.0.0:7000").expect("a port").accept().expect("a connection");
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer).expect("data") {
                    0 => return from.ip().to_string(),
                    count => RECEIVED.fetch_add(count as u64, Ordering::Relaxed),
                };
            }
        });
        let sender = within("pod-1-1", || {
            let mut stream = connected("10.244.3.200:7000");
            let mut sent = 0;
            while RUNNING.load(Ordering::Relaxed) {
                stream.write_all(&[7; 1000]).expect("data");
                sent += 1000;
                std::thread::sleep(Duration::from_millis(1));
            }
            sent
        });
        progress();
        fs::write(file, larger).expect("the file");
        expect(0, &["apply", file]);
        progress();
        RUNNING.store(false, Ordering::Relaxed);
        let sent: u64 = sender.join().expect("the sender");
        assert_eq!(receiver.join().expect("the receiver"), "10.244.1.2", "with routing: {way}");
        assert_eq!(RECEIVED.load(Ordering::Relaxed), sent);

        let after: BTreeSet<String> = account(&namespaces).into_iter().collect();
        let lost: Vec<&String> = before.iter().filter(|line| !after.contains(*line)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        expect(0, &["check", file]);
        expect(0, &["plan", "--exit-code", file]);
    });
}

/// A connection, as soon as somebody listens.
fn connected(to: &str) -> TcpStream {
    let start = Instant::now();
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until more has been received.
fn progress() {
    let (start, before) = (Instant::now(), RECEIVED.load(Ordering::Relaxed));
    while RECEIVED.load(Ordering::Relaxed) < before + 20_000 {
        assert!(start.elapsed() < Duration::from_secs(20), "the transfer stands still at {before} bytes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A kernel that has IP-in-IP carries pods in it, and one that lacks it says so before anything is made.
#[test]
fn ipip_leads_everywhere_or_is_refused() {
    sandbox();
    let unknown = text(&support::sh("ip link add try0 type ipip")).contains("Unknown device type");
    support::sh("ip link del try0");
    let file = project("tests/cluster/ipip.yaml").display().to_string();
    let before = host_account();
    if unknown {
        let refused = nslab(["apply", &file]);
        assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
        assert!(text(&refused).contains("no interfaces of the kind ipip"), "{}", text(&refused));
        assert!(text(&refused).contains("needed by `routing: ipip`, line "), "{}", text(&refused));
    } else {
        expect(0, &["apply", &file]);
        let seen = captured(|| {
            expect(0, &["check", &file]);
        });
        assert!(!seen("ip proto 4").is_empty(), "the tunnel carries nothing");
        assert_eq!(seen(FOR_PODS), [""; 0]);
        expect(0, &["destroy", &file]);
    }
    before.assert_same(&host_account(), &file);
}

/// A thousand pods of ten lines. Between them are twenty nodes, which have a thousand neighbours: as many as the
/// kernel's table holds.
#[test]
fn a_thousand_pods_of_ten_lines() {
    sandbox();
    let file = project("tests/cluster/thousand.yaml").display().to_string();
    let before = host_account();
    expect(0, &["apply", "--check", &file]);
    assert_eq!(run("ls /run/netns | wc -l").trim(), "1021");
    expect(0, &["plan", "--exit-code", &file]);
    expect(0, &["destroy", &file]);
    before.assert_same(&host_account(), &file);
}
