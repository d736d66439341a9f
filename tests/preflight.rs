//! Looking before leaping. Each folder of `tests/preflight` has a host (`host.sh`, run in a sandbox), a lab
//! (`lab.yaml`), how nslab is run there (`run-as`, a prefix of its command line) and what `nslab apply` then says
//! beside its result (`expected.txt`). A refusal leaves the host as it was, and `doctor` says the same.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nslab::lab::{Family, VirtualKind};
use nslab::preflight::{DroppingChain, Facts, Feature, Finding, Needs, examine};
use nslab::topology;
use support::{golden, host_account, nslab, project, run, sandbox, text};

/// Where nslab and the lab are while a case runs: readable for every user.
const WORK: &str = "/run/case";

#[test]
fn hosts_and_labs() {
    golden::run("tests/preflight", &golden::folders("tests/preflight"), |_, case| check(case));
}

fn check(case: &Path) -> Result<(), String> {
    sandbox();
    fs::create_dir(WORK).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_nslab"), format!("{WORK}/nslab")).unwrap();
    fs::copy(case.join("lab.yaml"), format!("{WORK}/lab.yaml")).unwrap();
    run(&format!("chmod 755 /run {WORK}; NSLAB={WORK}/nslab; {}", fs::read_to_string(case.join("host.sh")).unwrap()));
    let before = host_account();
    let state = run("find /run/nslab 2>/dev/null || true");

    let doctor = in_case(case, "doctor");
    let applied = in_case(case, "apply");
    let code = applied.status.code();
    let said = format!("exit {}\n{}", code.unwrap_or(-1), String::from_utf8_lossy(&applied.stderr));
    if code == Some(3) {
        before.assert_same(&host_account(), &case.display().to_string());
        assert_eq!(run("find /run/nslab 2>/dev/null || true"), state, "{}", case.display());
    }
    assert_eq!(doctor.status.code(), Some(i32::from(code != Some(0))), "{}:\n{}", case.display(), text(&doctor));
    for line in said.lines().filter(|line| line.starts_with("  ")) {
        assert!(text(&doctor).contains(line), "{}: doctor does not say `{line}`:\n{}", case.display(), text(&doctor));
    }

    golden::expect(&case.join("expected.txt"), &said)
}

fn in_case(case: &Path, command: &str) -> Output {
    let prefix = fs::read_to_string(case.join("run-as")).unwrap_or_default();
    let line = format!("exec {} {WORK}/nslab {command} {WORK}/lab.yaml", prefix.trim());
    Command::new("sh").args(["-c", &line]).output().unwrap()
}

/// The kernel decides whether it can keep VLANs apart: nslab does it, or says so before anything is made.
#[test]
fn vlan_filtering_works_or_is_refused_at_once() {
    sandbox();
    let able = support::sh("ip link add try0 type bridge && ip link set try0 type bridge vlan_filtering 1");
    run("ip link del try0");
    let file = "/run/vlans.yaml";
    let lab = "name: vlans\nnamespaces:\n  host: { bridges: { br0: { addresses: [10.7.0.1/24] } } }\n  \
               red: { bridges: { br1: { vlan: 10 } } }\n";
    fs::write(file, lab).unwrap();
    let before = host_account();
    let applied = nslab(["apply", file]);
    if able.status.success() {
        assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
        assert!(run("ip -n red -d link show br1").contains("vlan_filtering 1"));
        assert!(run("ip netns exec red bridge vlan show dev br1").contains("10 PVID Egress Untagged"));
        assert_eq!(nslab(["destroy", "vlans"]).status.code(), Some(0));
    } else {
        assert_eq!(applied.status.code(), Some(3), "{}", text(&applied));
        assert!(text(&applied).contains("this kernel has no VLAN filtering of bridges"), "{}", text(&applied));
        assert!(
            text(&applied).contains("needed by red/br1 [kernel-feature-missing]\n      take `vlan_filtering`"),
            "{}",
            text(&applied)
        );
    }
    before.assert_same(&host_account(), "afterwards");
}

#[test]
fn a_healthy_machine_is_fine() {
    sandbox();
    for file in ["01-veth", "03-nat", "04-port-forward", "06-pods"] {
        let file = project(format!("topologies/{file}.yaml")).display().to_string();
        let doctor = nslab(["doctor", &file]);
        assert_eq!(doctor.status.code(), Some(0), "{}", text(&doctor));
        assert!(text(&doctor).ends_with("\nall fine\n"), "{}", text(&doctor));
        assert!(text(&doctor).lines().rev().skip(1).all(|line| line.starts_with('✓')), "{}", text(&doctor));
    }
    let general = nslab(["doctor", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&general.stdout).unwrap();
    assert_eq!((general.status.code(), &report["fine"]), (Some(0), &true.into()), "{}", text(&general));
}

/// A plan shows what apply would say; a lab that is as it should be is not examined.
#[test]
fn plan_shows_what_stands_in_the_way() {
    sandbox();
    let file = project("tests/preflight/01-lan-of-the-host/lab.yaml").display().to_string();
    assert_eq!(nslab(["apply", &file]).status.code(), Some(0));
    run("ip link add lan0 type veth peer name lan1; ip addr add 192.168.1.77/24 dev lan0; ip link set lan0 up");
    assert!(text(&nslab(["plan", &file])).contains("nothing to do"));
    run("ip -n red addr del 192.168.1.3/24 dev eth0");
    let plan = text(&nslab(["plan", &file]));
    assert!(plan.contains("apply refuses, because of this:\n  the subnet 192.168.1.0/24"), "{plan}");
    let json = nslab(["plan", "--format", "json", &file]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["findings"][0]["severity"], "error", "{json}");
    assert_eq!(json["findings"][0]["code"], "subnet-of-host", "{json}");
}

fn healthy() -> Facts {
    Facts { capabilities: u64::MAX, ipv6: true, sysctls_writable: true, open_files: 1 << 20, ..Facts::default() }
}

fn found(lab: &str, facts: &Facts) -> Vec<Finding> {
    let lab = topology::parse("lab.yaml", lab).unwrap_or_else(|faults| panic!("{}", faults.render(false))).lab;
    examine(&Needs::of(&lab), facts).into_iter().flat_map(|examined| examined.findings).collect()
}

/// What no sandbox can show: limits of the machine and features of other kernels.
#[test]
fn limits_and_kernels_that_are_not_this_one() {
    let pair = |a: &str, b: &str| {
        format!(
            "name: x\nnamespaces:\n  red: {{ interfaces: {{ a: {{ addresses: [{a}] }} }} }}\n  \
             blue: {{ interfaces: {{ b: {{ addresses: [{b}] }} }} }}\nlinks: [ [red/a, blue/b] ]\n"
        )
    };
    let (four, six) = (pair("10.0.0.1/24", "10.0.0.2/24"), pair("2001:db8::1/64", "2001:db8::2/64"));
    assert_eq!(found(&four, &healthy()), []);
    assert_eq!(found(&six, &healthy()), []);

    let without = Facts { ipv6: false, ..healthy() };
    assert_eq!(found(&four, &without), []);
    assert_eq!(found(&six, &without)[0].what, "IPv6 is disabled on this machine; needed by red/a");

    let small = Facts { neighbours: [(Family::Ipv4, 1)].into(), ..healthy() };
    let [warning] = found(&four, &small).try_into().unwrap();
    assert!(!warning.is_error());
    assert_eq!(
        warning.to_string(),
        "the lab has 2 addresses; the machine remembers 1 neighbours at once (net.ipv4.neigh.default.gc_thresh3) [neighbour-table-too-small]\n\
         packets get lost when the table overflows; make it larger: sysctl -w net.ipv4.neigh.default.gc_thresh3=8"
    );

    let addresses: Vec<String> = (0..1100).map(|n| format!("10.1.{}.{}/16", n / 250, 1 + n % 250)).collect();
    let many =
        format!("name: x\nnamespaces:\n  red: {{ bridges: {{ br0: {{ addresses: [{}] }} }} }}\n", addresses.join(", "));
    assert_eq!(found(&many, &Facts { neighbours: [(Family::Ipv4, 4096)].into(), ..healthy() }), []);
    let [warning] = found(&many, &Facts { neighbours: [].into(), ..healthy() }).try_into().unwrap();
    assert_eq!(
        warning.what,
        "the lab has 1100 addresses; the machine remembers 1024 neighbours at once (the default of \
         net.ipv4.neigh.default.gc_thresh3, which cannot be seen from here)"
    );

    let full = Facts { memory: Some(2), ..healthy() };
    assert_eq!(found(&four, &full), []);
    let ten: String = (1..=10).map(|n| format!("  h{n}: {{}}\n")).collect();
    let [warning] = found(&format!("name: x\nnamespaces:\n{ten}"), &full).try_into().unwrap();
    assert!(!warning.is_error());
    assert_eq!(
        warning.to_string(),
        "the lab takes about 3 MiB of memory in the kernel; 2 MiB are available [low-memory]\n\
         free some first, or make the lab smaller: when memory runs out, the kernel kills processes"
    );

    let half = Facts { existing: 5, ..full };
    assert_eq!(found(&format!("name: x\nnamespaces:\n{ten}"), &half), [], "what is there has its memory");

    let old = Facts { lacking: [(Feature::Veth, "Unknown device type".to_owned())].into(), ..healthy() };
    let [error] = found(&four, &old).try_into().unwrap();
    assert_eq!(
        error.to_string(),
        "this kernel has no veth pairs (Unknown device type); needed by red/a [kernel-feature-missing]\nload its module: modprobe veth"
    );
}

/// Shorthand is told in its own words: nobody has written the interfaces that it stands for.
#[test]
fn a_kind_that_the_kernel_lacks_is_told_where_the_file_asks_for_it() {
    for (routing, kind) in [("ipip", VirtualKind::Ipip), ("vxlan", VirtualKind::Vxlan)] {
        let lab = format!(
            "name: x\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  routing: {routing}\n  \
             nodes: {{ node1: {{ pods: 1 }} }}\n"
        );
        let without =
            Facts { lacking: [(Feature::Virtual(kind), "Unknown device type".to_owned())].into(), ..healthy() };
        let [error] = found(&lab, &without).try_into().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "this kernel has no interfaces of the kind {routing} (Unknown device type); needed by `routing: \
                 {routing}`, \
                 line 5, column 12 of the file [kernel-feature-missing]\nload its module: modprobe {routing}; or use a kernel that has it"
            )
        );
    }
}

/// Services of pods behind bridges need what not every kernel has, and then there is a way without bridges.
#[test]
fn services_without_br_netfilter_are_told_what_works() {
    let lab = |routing: &str| {
        format!(
            "name: x\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  routing: {routing}\n  \
             nodes: {{ node1: {{ pods: 1 }} }}\n  services: [{{ name: web, ports: [{{ port: 80 }}] }}]\n"
        )
    };
    let without = Facts { lacking: [(Feature::BridgeNetfilter, "No such file".to_owned())].into(), ..healthy() };
    let [error] = found(&lab("routes"), &without).try_into().unwrap();
    assert_eq!(
        error.to_string(),
        "this kernel has no iptables for packets that cross bridges (No such file); needed by node1/v-net-0, for \
         services (with `routing: routed`, pods are behind no bridge) [kernel-feature-missing]\nload its module: \
         modprobe br_netfilter"
    );
    assert_eq!(found(&lab("routed"), &without), []);
}

/// What helps services does not help policies: only nf_tables enforces them.
#[test]
fn policies_without_nf_tables_are_told_what_helps() {
    let lab = "name: x\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  routing: routed\n  \
               nodes: { node1: { pods: 1 } }\n  policies: [{ name: none }]\n";
    let without = Facts { lacking: [(Feature::NftPolicies, "Not supported".to_owned())].into(), ..healthy() };
    let [error] = found(lab, &without).try_into().unwrap();
    assert_eq!(
        error.to_string(),
        "this kernel has no tables of nf_tables for both families, with maps and sets (Not supported); needed by the \
         network policies of node1 [kernel-feature-missing]\nload its modules: modprobe -a nf_tables nft_ct, or use a \
         kernel with CONFIG_NF_TABLES_INET; nothing else enforces network policies: with `enforce: false` they are \
         ignored, and what they forbid works"
    );
}

/// A switch in the host suffers from a filter that forwards nothing only where bridged packets pass the filter.
#[test]
fn bridged_packets_are_forwarded_ones_with_br_netfilter() {
    let switch = "name: x\nnamespaces:\n  host: { bridges: { v-net-0: { ports: [a] } } }\n  \
                  red: { interfaces: { a: {} } }\nlinks: [ [red/a, host/a] ]\n";
    let chain = DroppingChain { name: "chain FORWARD of table ip filter".to_owned(), families: [Family::Ipv4].into() };
    let without = Facts { forward_drops: vec![chain], ..healthy() };
    assert_eq!(found(switch, &without), []);
    let [warning] = found(switch, &Facts { bridges_filter: true, ..without }).try_into().unwrap();
    assert!(!warning.is_error());
    assert_eq!(
        warning.what,
        "the host drops what crosses its bridges (net.bridge.bridge-nf-call-iptables is 1): chain FORWARD of table ip \
         filter has the policy DROP"
    );
}
