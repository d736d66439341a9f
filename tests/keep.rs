//! What programs add is left alone where the file says `keep`, and nothing else is.

mod support;

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use support::{ends, host_account, inside, run, sandbox, sh, text};

/// keepalived's number, for routes and for addresses.
const KEEPALIVED: u8 = 18;

/// A lab of two namespaces; `keep` is what red keeps.
fn write(keep: &str) {
    let lab = format!(
        "name: kept
namespaces:
  red:
    interfaces: {{ e: {{ addresses: [10.0.0.1/24, \"fd00::1/64\"] }} }}
    routes: [{{ to: 10.9.0.0/16, via: 10.0.0.2 }}]
    {keep}
  blue:
    interfaces: {{ e: {{ addresses: [10.0.0.2/24, \"fd00::2/64\"] }} }}
links: [[red/e, blue/e]]
"
    );
    std::fs::write("/run/t.yaml", lab).unwrap();
}

/// Gives an interface of a namespace an address as a program does that says who it is (iproute2 has no word for that
/// before 6.4).
fn add_address(ns: &str, dev: &str, address: &str, prefix_len: u8, protocol: u8) {
    let index = run(&format!("ip -n {ns} -o link show dev {dev} | cut -d: -f1"));
    let address: IpAddr = address.parse().unwrap();
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.prefix_len = prefix_len;
    message.header.index = index.trim().parse().unwrap();
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
        AddressAttribute::Protocol(AddressProtocol::from(protocol)),
    ];
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewAddress(message));
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    inside(ns, move || {
        let socket = Socket::new(NETLINK_ROUTE).unwrap();
        socket.send(&bytes, 0).unwrap();
        let (answer, _) = socket.recv_from_full().unwrap();
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).unwrap();
        assert!(matches!(&answer.payload, NetlinkPayload::Error(error) if error.code.is_none()), "{answer:?}");
    });
}

/// What FRR, bird and keepalived do in red: routes that a lab could have, one that it could not, one of several next
/// hops, nexthop objects; and a person's route beside them.
const ROUTES: &str = "
    ip -n red route add 10.20.0.0/16 via 10.0.0.2 proto zebra
    ip -n red route add 10.21.0.0/16 via 10.0.0.2 proto zebra advmss 1000
    ip -n red -6 route add fd20::/64 via fd00::2 proto zebra
    ip -n red nexthop add id 7 via 10.0.0.2 dev e proto zebra
    ip -n red route add 10.22.0.0/16 nhid 7 proto zebra
    ip -n red route add 10.23.0.0/16 via 10.0.0.2 proto bird
    ip -n red route add blackhole 10.24.0.0/16 proto bgp
    ip -n red route add 10.30.0.0/16 via 10.0.0.2";

/// The routes of red that are not the kernel's.
fn routes() -> String {
    run("ip -n red route | grep -v 'proto kernel' | cut -d' ' -f1-2; ip -n red -6 route | grep -o '^fd20::/64' || true")
}

#[test]
fn routes_of_programs_that_are_kept_stay_and_others_go() {
    sandbox();
    let before = host_account();
    for keep in ["keep: [routes: zebra, routes: [bird, 186]]", "keep: { routes: [zebra, bird, bgp] }"] {
        write(keep);
        ends(&["apply", "/run/t.yaml"], 0);
        run(ROUTES);
        let plan = ends(&["plan", "--exit-code", "/run/t.yaml"], 1);
        assert!(plan.contains("kept: 1 step to do") && plan.contains("remove route 10.30.0.0/16"), "{plan}");
        let was = routes();
        ends(&["apply", "/run/t.yaml"], 0);
        let is = was.lines().filter(|line| !line.contains("10.30.")).collect::<Vec<_>>().join("\n");
        assert_eq!(routes().trim(), is);
        assert!(is.contains("fd20::/64") && is.contains("10.24.0.0/16"), "{is}");
        assert!(run("ip -n red route get 10.22.0.1").contains("via 10.0.0.2"));
        ends(&["plan", "--exit-code", "/run/t.yaml"], 0);
        // Who is not named is not kept.
        write("keep: [routes: bird]");
        let plan = ends(&["plan", "--exit-code", "/run/t.yaml"], 1);
        for gone in ["10.20.0.0/16", "10.21.0.0/16", "10.22.0.0/16", "fd20::/64", "10.24.0.0/16"] {
            assert!(plan.contains(gone), "{gone}:\n{plan}");
        }
        assert!(!plan.contains("10.23.0.0/16"), "{plan}");
        ends(&["apply", "/run/t.yaml"], 0);
        assert_eq!(routes().lines().count(), 2, "{}", routes());
        ends(&["destroy", "kept"], 0);
        before.assert_same(&host_account(), "when the lab is gone");
    }
}

#[test]
fn a_kept_route_does_not_take_the_place_of_one_of_the_file() {
    sandbox();
    write("keep: [routes: zebra]");
    ends(&["apply", "/run/t.yaml"], 0);
    for damage in [
        "ip -n red route replace 10.9.0.0/16 via 10.0.0.3 proto zebra",
        "ip -n red route replace 10.9.0.0/16 via 10.0.0.2 advmss 900 proto zebra",
        "ip -n red route prepend 10.9.0.0/16 via 10.0.0.3 proto zebra",
    ] {
        run(damage);
        let plan = ends(&["plan", "--exit-code", "/run/t.yaml"], 1);
        assert!(plan.contains("10.9.0.0/16"), "{damage}: {plan}");
        ends(&["apply", "/run/t.yaml"], 0);
        let is = run("ip -n red route show 10.9.0.0/16");
        assert_eq!(is.trim(), "10.9.0.0/16 via 10.0.0.2 dev e proto 213", "{damage}");
    }
}

#[test]
fn addresses_of_programs_that_are_kept_stay_and_others_go() {
    sandbox();
    let addresses = || run("ip -n red -br address show dev e");
    write("keep: [addresses: keepalived, addresses: [10.7.0.0/24, \"fd07::1\"]]");
    ends(&["apply", "/run/t.yaml"], 0);
    add_address("red", "e", "10.0.0.100", 24, KEEPALIVED);
    add_address("red", "e", "fd00::100", 64, KEEPALIVED);
    run("ip -n red addr add 10.7.0.5/32 dev e; ip -n red addr add fd07::1/128 dev e nodad");
    ends(&["plan", "--exit-code", "/run/t.yaml"], 0);
    let was = addresses();
    run("ip -n red addr add 10.8.0.5/32 dev e; ip -n red addr add fd07::2/128 dev e nodad");
    add_address("red", "e", "10.8.0.6", 32, KEEPALIVED + 1);
    let plan = ends(&["plan", "--exit-code", "/run/t.yaml"], 1);
    assert!(plan.contains("kept: 3 steps to do"), "{plan}");
    // keepalived 2.2 and older kernels do not say whose an address is; then the plan says that.
    let unmarked = "take the address 10.8.0.5/32 from red/e (the file does not have it, and no program has marked it";
    assert!(plan.contains(unmarked), "{plan}");
    assert!(plan.contains("take the address 10.8.0.6/32 from red/e (the file does not have it)"), "{plan}");
    ends(&["apply", "/run/t.yaml"], 0);
    assert_eq!(addresses(), was);
    assert!(was.contains("10.0.0.100/24") && was.contains("fd00::100/64"), "{was}");
    // An address that is gone is the program's to add again, and the others are not kept any more.
    write("");
    assert!(ends(&["plan", "--exit-code", "/run/t.yaml"], 1).contains("kept: 4 steps to do"));
    ends(&["apply", "/run/t.yaml"], 0);
    assert!(!addresses().contains(".100") && !addresses().contains("fd07"), "{}", addresses());
    ends(&["destroy", "kept"], 0);
}

/// An apply that fails half-way leaves the programs' routes and addresses as they are.
#[test]
fn what_is_kept_survives_an_undo() {
    sandbox();
    write("keep: { routes: zebra, addresses: keepalived }");
    ends(&["apply", "/run/t.yaml"], 0);
    run("ip -n red route add 10.20.0.0/16 via 10.0.0.2 proto zebra");
    add_address("red", "e", "10.0.0.100", 24, KEEPALIVED);
    let account = || run("ip -n red -d route; ip -n red -4 address");
    let was = account();
    let lab = std::fs::read_to_string("/run/t.yaml").unwrap();
    let routes = "routes: [{ to: 10.8.0.0/16, via: 10.0.0.2 }, { to: 10.7.0.0/16, via: 10.0.0.2 }, { to: 10.9";
    std::fs::write("/run/t.yaml", lab.replace("routes: [{ to: 10.9", routes)).unwrap();
    let mut undone = 0;
    for failpoint in 1..20 {
        let applied = sh(&format!("NSLAB_STOP_AT=fail:{failpoint} {} apply /run/t.yaml", env!("CARGO_BIN_EXE_nslab")));
        if applied.status.success() {
            break;
        }
        assert_eq!(applied.status.code(), Some(3), "{}", text(&applied));
        assert_eq!(account(), was, "{}", text(&applied));
        undone += usize::from(text(&applied).contains("undone"));
    }
    assert!(undone > 0, "nothing was ever undone");
}

/// On every node of a cluster, and on none of its pods.
#[test]
fn the_nodes_of_a_cluster_keep_what_the_cluster_says() {
    sandbox();
    let lab = "
name: kept
cluster:
  node_network: 192.168.1.0/24
  pod_network: 10.244.0.0/16
  keep: [routes: bird]
  nodes: { node1: { pods: 1 }, node2: { pods: 1 } }
namespaces:
  node2: { keep: [routes: zebra] }
";
    std::fs::write("/run/t.yaml", lab).unwrap();
    ends(&["apply", "/run/t.yaml"], 0);
    run("for ns in node1 node2 pod-1-1; do for by in bird zebra; do
           ip -n $ns route add blackhole 10.$(($(echo $by | wc -c) * 10)).0.0/16 proto $by; done; done");
    let plan = ends(&["plan", "--exit-code", "/run/t.yaml"], 1);
    let removed: Vec<&str> = plan.lines().filter(|line| line.contains("remove route")).map(str::trim).collect();
    let expected = [("10.60.0.0/16", "node1"), ("10.50.0.0/16", "pod-1-1"), ("10.60.0.0/16", "pod-1-1")];
    let expected: Vec<String> = expected
        .iter()
        .map(|(to, ns)| format!("remove route blackhole {to} from {ns} (the file does not have it)"))
        .collect();
    let mut removed: Vec<String> = removed.into_iter().map(str::to_owned).collect();
    removed.sort();
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(removed, sorted, "{plan}");
    ends(&["destroy", "kept"], 0);
}
