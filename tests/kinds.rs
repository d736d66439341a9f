//! Kinds of interfaces: each file in `tests/kinds` is a lab with the kinds that make up the file's name (`filtering`
//! are bridges that keep VLANs apart). A kernel that has them builds and proves the lab, by nslab and by its script;
//! one that lacks any says so before anything is made.

mod support;

use std::os::unix::fs::MetadataExt;

use nslab::lab::VirtualKind;
use support::{golden, host_account, lacking, nslab, run, sandbox, sh, text};

#[test]
fn each_kind_works_or_is_refused_at_once() {
    golden::run("tests/kinds", &golden::part(golden::files("tests/kinds", "yaml")), |kind, file| {
        works_or_is_refused(kind, &file.display().to_string());
        Ok(())
    });
}

/// The compiler asks for a line here when there is a further kind, and the test for its file.
#[test]
fn every_kind_has_a_case() {
    let mut missing: Vec<&str> = Vec::new();
    let mut next = Some(VirtualKind::Vxlan);
    while let Some(kind) = next {
        let name;
        (name, next) = match kind {
            VirtualKind::Vxlan => ("vxlan", Some(VirtualKind::Macvlan)),
            VirtualKind::Macvlan => ("macvlan", Some(VirtualKind::Ipvlan)),
            VirtualKind::Ipvlan => ("ipvlan", Some(VirtualKind::Vlan)),
            VirtualKind::Vlan => ("vlan", Some(VirtualKind::Ipip)),
            VirtualKind::Ipip => ("ipip", Some(VirtualKind::Gre)),
            VirtualKind::Gre => ("gre", Some(VirtualKind::Wireguard)),
            VirtualKind::Wireguard => ("wireguard", Some(VirtualKind::Dummy)),
            VirtualKind::Dummy => ("dummy", Some(VirtualKind::Vrf)),
            VirtualKind::Vrf => ("vrf", None),
        };
        if !golden::files("tests/kinds", "yaml").iter().any(|(case, _)| case == name) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "tests/kinds has no file for {missing:?}");
}

fn works_or_is_refused(kind: &str, file: &str) {
    sandbox();
    let lacking: Vec<String> = kind.split('+').filter_map(lacking).collect();
    let before = host_account();
    let applied = nslab(["apply", "--check", file]);
    let said = text(&applied);
    if !lacking.is_empty() {
        assert_eq!(applied.status.code(), Some(3), "{kind}: {said}");
        let doctor = text(&nslab(["doctor", file]));
        for what in lacking {
            assert!(said.contains(&what) && said.contains("use a kernel"), "{kind}: {said}");
            assert!(doctor.contains(&what), "{kind}: {doctor}");
        }
    } else {
        assert_eq!(applied.status.code(), Some(0), "{kind}: {said}");
        assert_eq!(nslab(["plan", "--exit-code", file]).status.code(), Some(0), "{kind}");
        assert_eq!(nslab(["destroy", "kind"]).status.code(), Some(0), "{kind}");
        before.assert_same(&host_account(), kind);
        run(&format!("{} commands {file} | sh", env!("CARGO_BIN_EXE_nslab")));
        let planned = nslab(["plan", "--exit-code", file]);
        assert_eq!(planned.status.code(), Some(0), "{kind}, by its script: {}", text(&planned));
        assert_eq!(nslab(["check", file]).status.code(), Some(0), "{kind}, by its script");
        run(&format!("{} commands --undo {file} | sh", env!("CARGO_BIN_EXE_nslab")));
    }
    before.assert_same(&host_account(), kind);
}

/// With the first VRF of a namespace, the kernel gives it this rule, once and for all; `ip` can make it as well.
#[test]
fn the_rule_of_vrfs_is_the_kernels_and_others_like_it_are_extras() {
    sandbox();
    let file = "/run/rule.yaml";
    std::fs::write(file, "name: kind\nnamespaces: { red: {} }\n").unwrap();
    let planned = || text(&nslab(["plan", file]));
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    let tried = sh("ip -n red rule add pref 1000 l3mdev");
    if !tried.status.success() {
        assert!(text(&tried).contains("not supported"), "{}", text(&tried));
        return;
    }
    assert!(planned().contains("nothing to do"), "{}", planned());
    run("ip -n red rule add pref 1001 l3mdev; ip -n red rule add pref 1000 from 10.0.0.0/8 l3mdev");
    for extra in ["priority 1000 from 10.0.0.0/8 l3mdev", "priority 1001 from all l3mdev"] {
        assert!(planned().contains(&format!("remove policy rule {extra} from red")), "{}", planned());
    }
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    assert!(planned().contains("nothing to do"), "{}", planned());
    assert!(run("ip -n red rule show pref 1000").contains("1000:\tfrom all lookup [l3mdev-table]"));
}

/// A word that the packets below carry, in hexadecimal.
const WORD: (&str, &str) = ("in clear", "696e20636c656172");

/// What the router in the middle of a shipped topology sees of packets from one site to the other.
fn seen_on_the_way(file: &str) -> String {
    let file = support::project(file).display().to_string();
    assert_eq!(nslab(["apply", &file]).status.code(), Some(0), "{file}");
    run(&format!(
        "ip netns exec internet tcpdump -Uni w1 -w /run/way.pcap 2>/run/said & tcpdump=$!
        until grep -q listening /run/said; do sleep 0.1; done
        ip netns exec left ping -qc 3 -i 0.2 -W 5 -p {} 10.2.0.2
        sleep 1; kill $tcpdump; wait $tcpdump || true",
        WORD.1
    ));
    run("tcpdump -Anr /run/way.pcap 2>/dev/null")
}

#[test]
fn what_goes_through_gre_can_be_read_on_the_way_and_not_through_wireguard() {
    sandbox();
    if lacking("gre").or_else(|| lacking("wireguard")).is_some() {
        // `walkthrough` has such a kernel refuse both.
        return;
    }
    let gre = seen_on_the_way("topologies/17-gre.yaml");
    assert!(gre.contains("GREv0, key=0x7") && gre.contains(WORD.0), "{gre}");
    assert_eq!(nslab(["destroy", "gre"]).status.code(), Some(0));
    let wireguard = seen_on_the_way("topologies/18-wireguard.yaml");
    let sent = wireguard.matches("192.0.2.2.51820 > 192.0.2.6.51820: UDP").count();
    assert!(sent >= 3 && !wireguard.contains(WORD.0), "{wireguard}");
}

#[test]
fn private_keys_are_kept_for_root_alone_and_shown_nowhere() {
    sandbox();
    if lacking("wireguard").is_some() {
        // Its case has such a kernel refuse it.
        return;
    }
    let file = support::project("topologies/18-wireguard.yaml").display().to_string();
    let mut said = text(&nslab(["apply", "--check", &file]));
    run("ip -n site1 link del wg0; ip netns exec site2 wg set wg0 private-key /dev/null");
    for args in [["plan", "--format=json"], ["plan", "--format=text"], ["commands", "--undo"], ["apply", "--no-wait"]] {
        said += &text(&nslab([args[0], args[1], &file]));
    }
    for args in [["status", "--format=json"], ["status", "--format=text"], ["list", "--format=json"]] {
        said += &text(&nslab([args[0], args[1], "wireguard"]));
    }
    said += &run("cat /run/nslab/wireguard/journal.json /run/nslab/wireguard/topology.yaml");
    let mut keys = 0;
    for entry in std::fs::read_dir("/run/nslab/wireguard/wireguard").unwrap() {
        let path = entry.unwrap().path();
        let (mode, key) = (std::fs::metadata(&path).unwrap().mode(), std::fs::read_to_string(&path).unwrap());
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        assert!(key.trim().len() == 44 && !said.contains(key.trim()), "{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap().replace(':', " wg show ");
        assert_eq!(run(&format!("ip netns exec {name} private-key")), key, "{name}");
        keys += 1;
    }
    assert_eq!(keys, 2);
    assert_eq!(nslab(["destroy", "wireguard"]).status.code(), Some(0));
    assert!(!std::path::Path::new("/run/nslab").exists());
}

/// What `wg` and `ip` say of both ends, keys included; of peers, nothing of what they have sent.
const ACCOUNT: &str = "for ns in red blue; do
    ip netns exec $ns wg show wg0 dump | cut -f 1-4,8 | sort; ip -n $ns -o link show wg0 | grep -o '<.*>'; ip -n $ns -o -4 addr show wg0
done";

/// Keys and peers that somebody has changed are what they were wherever an apply that is to mend them fails.
#[test]
fn a_failed_change_of_keys_and_peers_is_undone() {
    sandbox();
    if lacking("wireguard").is_some() {
        // Its case has such a kernel refuse it.
        return;
    }
    let file = "/run/wireguard.yaml";
    let end = |own: &str, address: &str, tunnel: &str, other: &str| {
        format!(
            "  {own}:\n    interfaces: {{ eth0: {{ addresses: [{address}/24] }} }}\n    \
             wireguards: {{ wg0: {{ addresses: [{tunnel}/24], peers: {{ {other}: }} }} }}\n"
        )
    };
    let both = end("red", "192.0.2.1", "10.9.0.1", "blue") + &end("blue", "192.0.2.2", "10.9.0.2", "red");
    std::fs::write(file, format!("name: kind\nnamespaces:\n{both}links: [[red/eth0, blue/eth0]]\n")).unwrap();
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    let mut before = damaged();
    let mut refused = 0;
    for at in 1..=25 {
        let outcome = sh(&format!("NSLAB_STOP_AT=fail:{at} {} apply {file}", env!("CARGO_BIN_EXE_nslab")));
        match outcome.status.success() {
            // Not every failure stops an apply.
            true => before = damaged(),
            false => refused += 1,
        }
        assert_eq!(run(ACCOUNT), before, "{at}: {}", text(&outcome));
    }
    assert!(refused > 10, "{refused} failures");
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    assert_eq!(nslab(["plan", "--exit-code", file]).status.code(), Some(0));
}

/// The account of two ends of which keys, peers and the port have been changed.
fn damaged() -> String {
    run("wg genkey | ip netns exec red wg set wg0 private-key /dev/stdin
        ip netns exec red wg set wg0 peer $(ip netns exec blue wg show wg0 public-key) allowed-ips 10.0.0.0/8
        ip netns exec blue wg set wg0 listen-port 777 peer $(wg genkey | wg pubkey) allowed-ips 10.66.0.0/16
        ip netns exec blue wg set wg0 peer $(wg genkey | wg pubkey) endpoint 192.0.2.9:9");
    run(ACCOUNT)
}
