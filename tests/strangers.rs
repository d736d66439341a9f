//! What is somebody else's survives every command, whatever its name looks like.

mod support;

use support::rest::at_rest;
use support::{host_account, nslab, project, run, sandbox, text};

/// A namespace, interfaces, addresses, rules, routes (one with nslab's own protocol number, by mistake) and a bridge
/// that has the name of the course notes' bridge.
const STRANGERS: &str = "
    ip netns add my-vpn
    ip link add veth1 type veth peer name eth0 netns my-vpn
    ip addr add 10.50.0.1/24 dev veth1; ip link set veth1 up; ip -n my-vpn link set eth0 up
    ip link add v-net-0 type bridge; ip addr add 10.51.0.1/24 dev v-net-0; ip link set v-net-0 up
    iptables -t nat -A POSTROUTING -s 10.50.0.0/24 -j MASQUERADE
    iptables -N NSLAB; iptables -A FORWARD -s 10.50.0.0/24 -j NSLAB
    ip rule add from 10.50.0.0/24 lookup 50 priority 5000
    ip route add 10.52.0.0/24 via 10.50.0.2 proto 213
    ip route add 10.53.0.0/24 via 10.50.0.2
    sysctl -qw net.ipv4.conf.veth1.rp_filter=2
    ip -n my-vpn addr add 10.50.0.2/24 dev eth0";

/// A lab that would like to have a bridge of that name in the host: stage 2 of the course notes.
const WANTS_THE_BRIDGE: &str = "topologies/02-bridge.yaml";
/// A lab that gets in nobody's way, and changes the host.
const LAB: &str = "tests/sweep/lab.yaml";

#[test]
fn strangers_survive_every_command() {
    sandbox();
    run(STRANGERS);
    at_rest();
    let strangers = host_account();
    let inside = || run("ip -n my-vpn -4 addr; ip -n my-vpn route; ip -n my-vpn -br link");
    let vpn = inside();
    let (lab, greedy) = (project(LAB).display().to_string(), project(WANTS_THE_BRIDGE).display().to_string());
    let alone: [(&[&str], i32); 12] = [
        (&["plan", &greedy], 0),
        (&["apply", &greedy], 3),
        (&["destroy", "bridge"], 0),
        (&["destroy", "my-vpn"], 0),
        (&["destroy", "--all"], 0),
        (&["list"], 0),
        (&["status"], 0),
        (&["status", "bridge"], 2),
        (&["check", &greedy], 3),
        (&["commands", &greedy], 0),
        (&["validate", &greedy], 0),
        (&["test", &greedy], 0),
    ];
    for (args, code) in alone {
        let output = nslab(args);
        assert_eq!(output.status.code(), Some(code), "nslab {args:?}: {}", text(&output));
        strangers.assert_same(&host_account(), &format!("after {args:?}"));
        assert_eq!(inside(), vpn, "after {args:?}");
    }
    let refused = text(&nslab(["apply", &greedy]));
    assert!(refused.contains("bridge v-net-0 of") && refused.contains("nothing was changed"), "{refused}");
    // Beside a lab that does change the host.
    for args in [&["apply", &lab][..], &["apply", &lab], &["plan", "--exit-code", &lab], &["status", "sweep"]] {
        let output = nslab(args);
        assert_eq!(output.status.code(), Some(0), "nslab {args:?}: {}", text(&output));
        assert_eq!(inside(), vpn, "after {args:?}");
    }
    let beside = run("ip route; ip rule; iptables-save; ip -br link");
    for own in ["10.52.0.0/24", "10.53.0.0/24", "5000:", "-s 10.50.0.0/24 -j MASQUERADE", "-j NSLAB\n", "v-net-0"] {
        assert!(beside.contains(own), "{own} is gone:\n{beside}");
    }
    for forget in ["true", "rm -rf /run/nslab"] {
        run(forget);
        assert_eq!(nslab(["destroy", "--all"]).status.code(), Some(0));
        strangers.assert_same(&host_account(), "when the lab is gone");
        assert_eq!(inside(), vpn);
        assert_eq!(nslab(["apply", &lab]).status.code(), Some(0));
    }
}

/// Ends of VXLANs share a port: one of somebody else's with the same number keeps the lab's from being made, whatever
/// its name.
#[test]
fn a_strangers_vxlan_of_the_same_number_is_a_conflict() {
    sandbox();
    run("ip link add up0 type veth peer name up1; ip addr add 10.70.0.1/24 dev up0; ip link set up0 up; ip link set \
    up1 up
         ip link add tun9 type vxlan id 42 local 10.70.0.1 dstport 4789; ip link set tun9 up");
    let before = host_account();
    let lab = |id: u32, port: u16| {
        let text = format!(
            "name: t\nnamespaces:\n  host:\n    vxlans:\n      vx0: {{ id: {id}, local: 10.70.0.1, port: {port}, \
             addresses: [10.71.0.1/24] }}\n"
        );
        std::fs::write("/run/t.yaml", text).unwrap();
    };
    lab(42, 4789);
    for command in ["apply", "doctor"] {
        let refused = nslab([command, "/run/t.yaml"]);
        assert_eq!(refused.status.code(), Some(if command == "apply" { 3 } else { 1 }), "{}", text(&refused));
        let said = text(&refused);
        assert!(said.contains("vxlan tun9 of host with the id 42 on port 4789 exists"), "{said}");
    }
    let adopted = nslab(["apply", "--adopt", "/run/t.yaml"]);
    assert_eq!(adopted.status.code(), Some(3), "{}", text(&adopted));
    before.assert_same(&host_account(), "when refused");
    for (id, port) in [(43, 4789), (42, 4790)] {
        lab(id, port);
        let applied = nslab(["apply", "/run/t.yaml"]);
        assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
        assert_eq!(nslab(["destroy", "t"]).status.code(), Some(0));
        before.assert_same(&host_account(), "when the lab is gone");
    }
}

/// A port that a program listens at: the kernel says so when the end comes up, and all is undone.
#[test]
fn a_strangers_port_is_left_to_it() {
    sandbox();
    let listening = std::net::UdpSocket::bind("0.0.0.0:4789").unwrap();
    let before = host_account();
    let lab = "name: t\nnamespaces: { host: { vxlans: { vx0: { id: 1, local: 10.70.0.1 } } } }\n";
    std::fs::write("/run/t.yaml", lab).unwrap();
    let refused = nslab(["apply", "/run/t.yaml"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused));
    let said = text(&refused);
    assert!(said.contains("cannot bring host/vx0 up: Address already in use") && said.contains("`port`"), "{said}");
    before.assert_same(&host_account(), "when refused");
    drop(listening);
    assert_eq!(nslab(["apply", "/run/t.yaml"]).status.code(), Some(0));
}
