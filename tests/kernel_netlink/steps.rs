//! Steps and commands do the same: each step is run by the kernel room in one private host, and its script by `sh -e`
//! in another, and the kernel's account (`ip -d -j …`) must be the same. It must have changed, show what was to be
//! seen, and be as before once the step's inverse has been run.

use std::collections::BTreeSet;
use std::sync::Arc;

use nslab::kernel::{Kernel, netns};
use nslab::lab::{
    Address, BridgeOptions, InterfaceFlags, InterfaceRef, Mac, Neighbour, NsName, PortOptions, PortSwitch,
};
use nslab::steps::{
    AddressStep, BridgePortStep, BridgeStep, Change, InterfaceStep, MarkStep, NamespaceStep, NeighbourStep,
    NewInterface, Presence, Step, Tier, Update, VethStep,
};
use serde_json::Value;

use crate::virtual_interfaces::{fdb_entries, macvlans, virtual_interfaces};
use crate::{end, lab, name, ns, observe, support, wanting};
use crate::{routing, vlans};

/// One case of a table.
pub struct Case {
    name: &'static str,
    step: Step,
    /// A command, and what it must print once the step is done.
    sees: (&'static str, &'static str),
    /// Whether the inverse brings everything back; else there is none.
    reversible: bool,
}

pub fn case(name: &'static str, step: Step, command: &'static str, sees: &'static str) -> Case {
    Case { name, step, sees: (command, sees), reversible: true }
}

pub fn final_case(name: &'static str, step: Step, command: &'static str, sees: &'static str) -> Case {
    Case { reversible: false, ..case(name, step, command, sees) }
}

/// What every case starts from. Without link-local addresses, which come when the carrier does.
const SETUP: &str = "
ip netns add red; ip netns add blue; ip netns add bare
setting=net.ipv6.conf.default.addr_gen_mode=1
sysctl -qw $setting; for ns in red blue; do ip netns exec $ns sysctl -qw $setting; done
ip -batch - <<END
link add name v-net-0 address 02:00:00:00:00:05 type bridge
link add name v-net-1 address 02:00:00:00:00:06 type bridge
link add name veth-red-br address 02:00:00:00:01:01 type veth peer name veth-red address 02:00:00:00:00:01 netns red
link set dev veth-red-br master v-net-0
END
ip -n red link set dev veth-red up
ip -batch - <<END
link set dev veth-red-br up
link set dev v-net-0 up
END
ip -n red -batch - <<END
link add name up address 02:00:00:00:00:07 up type bridge
addr add 10.0.0.1/24 dev veth-red
addr add 2001:db8::1/64 dev veth-red nodad
route add 10.1.0.0/16 via 10.0.0.2 proto 213
route add 2001:db8:1::/48 via 2001:db8::2 proto 213
route add 2001:db8:2::/48 dev veth-red proto 213
rule add priority 50 from 10.0.0.0/8 lookup 100 protocol 213
link add name vx address 02:00:00:00:00:08 type vxlan id 7 local 10.0.0.1 dstport 4789
END
bridge -n red -batch - <<END
fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2 self permanent
fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2 port 4790 vni 9 via veth-red self permanent
fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2 port 4791 self permanent
END
ip -n red -batch - <<END
link add link veth-red name mv1 address 02:00:00:00:00:0a type macvlan mode bridge
neigh add 10.0.0.7 lladdr 02:00:00:00:00:77 dev veth-red nud permanent
END
";

pub fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

pub fn new(text: &str, last: u8, mtu: Option<u32>) -> NewInterface {
    NewInterface { interface: end(text), mac: Some(mac(last)), mtu }
}

pub fn remove(at: &str) -> Step {
    Step::Interface(InterfaceStep::Remove { interface: end(at), tier: Tier::Base })
}

fn neighbour(address: &str, last: u8) -> Neighbour {
    Neighbour { dev: name("veth-red"), address: address.parse().unwrap(), mac: mac(last) }
}

fn objects() -> Vec<Case> {
    let bridge = |at: &str, options, mtu| Step::Bridge(BridgeStep::Add { new: new(at, 9, mtu), options, lab: lab() });
    let stp = BridgeOptions { stp: true, ..BridgeOptions::default() };
    let plain = BridgeOptions::default();
    let veth = |main, peer| Step::Veth(VethStep { main, master: None, up: false, peer, lab: lab() });
    let port = |main, master: &str, peer| {
        Step::Veth(VethStep { main, master: Some(name(master)), up: true, peer, lab: lab() })
    };
    vec![
        case(
            "add namespace",
            Step::Namespace(NamespaceStep::Add { ns: ns("green"), lab: lab() }),
            "ip -n green link",
            "alias nslab:t",
        ),
        final_case(
            "delete namespace",
            Step::Namespace(NamespaceStep::Remove { ns: ns("bare") }),
            "ip netns | wc -l",
            "2",
        ),
        case("add bridge to host", bridge("host/br", plain, None), "ip link show br", "alias nslab:t"),
        case("add bridge with options", bridge("red/br", stp, Some(1400)), "ip -d -n red link show br", "stp_state 1"),
        case("add bridge called a", bridge("red/a", plain, None), "ip -n red link show dev a", "mtu 1500"),
        case(
            "add veth to a bridge of the host",
            port(new("host/veth-blue-br", 0x12, None), "v-net-0", new("blue/veth-blue", 0x13, Some(1450))),
            "ip link show veth-blue-br; ip -n blue link show veth-blue",
            "master v-net-0",
        ),
        case(
            "add veth between namespaces",
            port(new("red/port", 0x15, Some(1400)), "up", new("blue/eth0", 0x16, None)),
            "ip -n red link show port",
            "mtu 1400",
        ),
        case(
            "add veth within the host",
            veth(new("host/one", 0x17, None), new("host/two", 0x18, None)),
            "ip link show two",
            "alias nslab:t",
        ),
        case(
            "add veth within a namespace",
            veth(new("red/one", 0x17, None), new("red/two", 0x18, None)),
            "ip -n red link show two",
            "two@one",
        ),
        final_case("delete veth", remove("host/veth-red-br"), "ip -n red -o link | wc -l", "3"),
        final_case("delete bridge called up", remove("red/up"), "ip -n red -o link | wc -l", "4"),
    ]
}

fn settings() -> Vec<Case> {
    let master = |from: Option<&str>, to: Option<&str>| {
        let change = Change { from: from.map(name), to: to.map(name) };
        Step::BridgePort(BridgePortStep::Master { interface: end("host/veth-red-br"), tier: Tier::Base, change })
    };
    let (off, on) = (BridgeOptions::default(), BridgeOptions { stp: true, ..BridgeOptions::default() });
    let up = |at: &str, up| Step::Interface(InterfaceStep::Up { interface: end(at), tier: Tier::Base, up });
    let (interface, tier) = (end("red/up"), Tier::Bridge);
    vec![
        case("up", up("host/v-net-1", true), "ip link show up", "v-net-1"),
        case("up a bridge called up", up("red/up", false), "ip -n red link show dev up", "state DOWN"),
        case(
            "mtu",
            Step::Interface(InterfaceStep::Mtu {
                interface: interface.clone(),
                tier,
                change: Change { from: 1500, to: 1400 },
            }),
            "ip -n red link show dev up",
            "mtu 1400",
        ),
        case(
            "mac",
            Step::Interface(InterfaceStep::Mac { interface, tier, change: Change { from: mac(7), to: mac(0x42) } }),
            "ip -n red link show dev up",
            "02:00:00:00:00:42",
        ),
        case("move port", master(Some("v-net-0"), Some("v-net-1")), "bridge link", "master v-net-1"),
        case(
            "mark",
            Step::Mark(MarkStep { interface: end("host/v-net-1"), tier: Tier::Bridge, change: Presence::Add(lab()) }),
            "ip link show v-net-1",
            "alias nslab:t",
        ),
        case("detach port", master(Some("v-net-0"), None), "bridge link | wc -l", "0"),
        case(
            "bridge option",
            Step::Bridge(BridgeStep::Options { interface: end("host/v-net-1"), change: Change { from: off, to: on } }),
            "ip -d link",
            "stp_state 1",
        ),
        case("flags of an interface", flags(), "ip link show veth-red-br", "<BROADCAST,NOARP,ALLMULTI,PROMISC"),
        case("options of a port", port_options(), "ip -d link show veth-red-br", "hairpin on guard on root_block off"),
        case("every bridge option", bridge_options(off, other_options()), "ip -d link show v-net-1", OTHER_OPTIONS),
    ]
}

fn bridge_options(from: BridgeOptions, to: BridgeOptions) -> Step {
    Step::Bridge(BridgeStep::Options { interface: end("host/v-net-1"), change: Change { from, to } })
}

fn flags() -> Step {
    let to = InterfaceFlags { arp: false, multicast: false, promisc: true, allmulticast: true };
    let (interface, change) = (end("host/veth-red-br"), Change { from: InterfaceFlags::ETHERNET, to });
    Step::Interface(InterfaceStep::Flags { interface, tier: Tier::Base, change })
}

fn port_options() -> Step {
    let mut to = PortOptions { hairpin: true, isolated: true, learning: false, flood: false, ..PortOptions::default() };
    [PortSwitch::BcastFlood, PortSwitch::Guard].into_iter().for_each(|switch| to.altered.insert(switch));
    let change = Change { from: PortOptions::default(), to };
    Step::BridgePort(BridgePortStep::Options { interface: end("host/veth-red-br"), change })
}

/// All that a kernel without VLAN filtering takes.
fn other_options() -> BridgeOptions {
    BridgeOptions {
        stp: true,
        vlan_filtering: false,
        forward_delay: Some(400),
        ageing_time: Some(6000),
        mcast_snooping: false,
        group_fwd_mask: 0x4000,
        nf_call_iptables: true,
    }
}

const OTHER_OPTIONS: &str = "mcast_snooping 0";

fn address(text: &str) -> Address {
    match text.split_once(" peer ") {
        Some((ip, peer)) => Address::with_peer(ip.parse().unwrap(), peer.parse().unwrap()).unwrap(),
        None => text.parse::<ipnet::IpNet>().unwrap().into(),
    }
}

fn addresses() -> Vec<Case> {
    let step = |at: &str, change| Step::Address(AddressStep { interface: end(at), change });
    let add = |at: &str, address: &str| step(at, Presence::Add(self::address(address)));
    let delete = |at: &str, address: &str| step(at, Presence::Remove(self::address(address)));
    vec![
        case("IPv4 address", add("host/v-net-0", "192.168.15.5/24"), "ip -br addr show v-net-0", "192.168.15.5/24"),
        case("loopback address", add("blue/lo", "127.0.0.2/8"), "ip -n blue addr", "scope host lo"),
        case("address on an interface called up", add("red/up", "10.5.0.1/24"), "ip -n red addr", "10.5.0.1/24"),
        case("IPv6 address", add("host/v-net-0", "2001:db8:9::1/64"), "ip addr show v-net-0", "nodad"),
        case("link-local address", add("red/veth-red", "fe80::5/64"), "ip -n red addr", "fe80::5/64"),
        case("take IPv4 address", delete("red/up", "10.5.0.1/24"), "ip -n red -br -4 addr | wc -l", "1"),
        case("peer", add("red/up", "10.5.0.1 peer 10.6.0.1/32"), "ip -n red addr", "10.5.0.1 peer 10.6.0.1/32"),
        case("peer's subnet", add("red/up", "10.5.0.1 peer 10.6.0.9/24"), "ip -n red addr", "peer 10.6.0.9/24"),
        case("IPv6 peer", add("red/up", "fd05::1 peer fd06::9/64"), "ip -n red addr", "fd05::1 peer fd06::9/64"),
        case("take peer", delete("red/up", "10.5.0.1 peer 10.6.0.1/32"), "ip -n red -br -4 addr | wc -l", "1"),
        case("take IPv6 peer", delete("red/up", "fd05::1 peer fd06::9/128"), "ip -n red -br -6 addr | wc -l", "1"),
        case("neighbour", set(None, neighbour("10.0.0.8", 8)), "ip -n red neigh", "10.0.0.8"),
        case("IPv6 neighbour", set(None, neighbour("2001:db8::8", 8)), "ip -n red neigh", "2001:db8::8"),
        case(
            "change neighbour",
            set(Some(neighbour("10.0.0.7", 0x77)), neighbour("10.0.0.7", 0x78)),
            "ip -n red neigh",
            "02:00:00:00:00:78 PERMANENT",
        ),
        case(
            "remove neighbour",
            change_neighbour(Update::Remove(neighbour("10.0.0.7", 0x77))),
            "ip -n red neigh show nud permanent | wc -l",
            "0",
        ),
    ]
}

fn set(from: Option<Neighbour>, to: Neighbour) -> Step {
    change_neighbour(Update::to(from, to))
}

fn change_neighbour(change: Update<Neighbour>) -> Step {
    Step::Neighbour(NeighbourStep { ns: ns("red"), change })
}

/// Whether the examples of a step belong here: sysctls leave files behind and firewalls are asked elsewhere, both in
/// `kernel_system`; foreign objects have their rows in the drift table, and so have keys and peers of WireGuard, which
/// not every kernel has: `kinds` runs their script; programs and files in `/etc`, which are none of the kernel's, have
/// tests of their own. A step on a new object does not compile here before it is decided.
fn object(step: &Step) -> Option<&'static str> {
    match step {
        Step::Namespace(_) => Some("namespace"),
        Step::Mark(_) => Some("mark"),
        Step::Interface(_) => Some("interface"),
        Step::Veth(_) => Some("veth"),
        Step::Bridge(_) => Some("bridge"),
        Step::BridgePort(_) => Some("bridge port"),
        Step::Vlans(_) => Some("VLANs"),
        Step::VirtualInterface(_) => Some("virtual interface"),
        Step::Address(_) => Some("address"),
        Step::Route(_) => Some("route"),
        Step::PolicyRule(_) => Some("policy rule"),
        Step::Neighbour(_) => Some("neighbour entry"),
        Step::FdbEntry(_) => Some("forwarding entry"),
        Step::Wireguard(_) | Step::Foreign(_) | Step::Sysctl(_) | Step::Firewall(_) | Step::Nft(_) => None,
        Step::Program(_) | Step::EtcFiles(_) => None,
    }
}

/// As many as [`object`] names.
const OBJECTS: usize = 13;

#[test]
fn steps_on_every_object_have_an_example() {
    let cases = [
        objects(),
        virtual_interfaces(),
        macvlans(),
        fdb_entries(),
        settings(),
        addresses(),
        routing::ipv4_routes(),
        routing::rules(),
    ];
    let vlans = vlans::set("host/veth-red-br", "1 pvid untagged", "10");
    let steps = cases.iter().flatten().map(|case| &case.step).chain([&vlans]);
    let found: BTreeSet<&str> = steps.filter_map(object).collect();
    assert_eq!(found.len(), OBJECTS, "{found:?}");
}

#[test]
fn objects_are_the_same_by_step_and_by_command() {
    objects().into_iter().for_each(check);
}

#[test]
fn virtual_interfaces_are_the_same_by_step_and_by_command() {
    virtual_interfaces().into_iter().chain(macvlans()).chain(fdb_entries()).for_each(check);
}

#[test]
fn settings_are_the_same_by_step_and_by_command() {
    settings().into_iter().for_each(check);
}

#[test]
fn addresses_and_neighbours_are_the_same_by_step_and_by_command() {
    addresses().into_iter().for_each(check);
}

/// Checks one case. Two machines can share them out: `NSLAB_PART=odd` on one, and `even` on the other.
pub fn check(case: Case) {
    let part = if case.name.bytes().fold(0, |parity, byte| parity ^ byte & 1) == 1 { "odd" } else { "even" };
    if std::env::var("NSLAB_PART").is_ok_and(|wanted| wanted != part) {
        return;
    }
    let case = Arc::new(case);
    let (before, by_step, seen, undone) = in_sandbox(&case, |case| {
        let mut kernel = Kernel::open().unwrap();
        let before = account();
        kernel.run(std::slice::from_ref(&case.step)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let (after, seen) = (account(), support::run(case.sees.0));
        let inverse = case.step.inverse();
        assert_eq!(inverse.is_some(), case.reversible, "{}: inverse", case.name);
        kernel.run(inverse.as_slice()).unwrap_or_else(|error| panic!("{}, undone: {error}", case.name));
        (before, after, seen, account())
    });
    let (by_command, undone_by_command) = in_sandbox(&case, |case| {
        support::run(&case.step.script().join("\n"));
        let after = account();
        if let Some(inverse) = case.step.inverse() {
            support::run(&inverse.script().join("\n"));
        }
        (after, account())
    });
    let name = case.name;
    assert_ne!(before, by_step, "{name}: nothing changed");
    assert!(seen.contains(case.sees.1), "{name}: `{}` does not print `{}`:\n{seen}", case.sees.0, case.sees.1);
    same(&format!("{name}: step and command"), &by_step, &by_command);
    if case.reversible {
        same(&format!("{name}: before and after the inverse"), &before, &undone);
        same(&format!("{name}: inverse by step and by command"), &undone, &undone_by_command);
    }
}

#[track_caller]
fn same(what: &str, one: &str, other: &str) {
    if let Some(at) = one.bytes().zip(other.bytes()).position(|(one, other)| one != other) {
        let line = one[..at].rfind('\n').map_or(0, |start| start + 1);
        let begin = at.saturating_sub(100).max(line);
        let part = |text: &str| text[begin..].chars().take(200).collect::<String>();
        panic!("{what} differ in `{}`:\n{}\n{}", &one[line..line + 30], part(one), part(other));
    }
    assert_eq!(one.len(), other.len(), "{what} differ: one goes on");
}

/// Runs something in a private host of its own, where everything that the cases start from is there.
fn in_sandbox<T: Send + 'static>(case: &Arc<Case>, f: impl FnOnce(&Case) -> T + Send + 'static) -> T {
    let case = Arc::clone(case);
    let inside = move || {
        support::sandbox();
        support::run(SETUP);
        if let Step::Address(AddressStep { interface: InterfaceRef { ns, name }, change: Presence::Remove(address) }) =
            &case.step
        {
            let nodad = if address.is_ipv6() { "nodad" } else { "" };
            support::run(&format!("ip -n {ns} addr add {address} dev {name} {nodad}"));
        }
        f(&case)
    };
    match std::thread::spawn(inside).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The kernel's account of every namespace, one thing a line, with our own observation at the end.
fn account() -> String {
    let mut lines = Vec::new();
    let mut namespaces = vec![NsName::host()];
    namespaces.extend(netns::list().unwrap());
    for (ns, [printed, fdb, vlans]) in namespaces.iter().zip(accounts(&namespaces)) {
        // Those that lead to another end; what a bridge learns comes and goes.
        lines.extend(fdb.lines().filter(|line| line.contains(" dst ")).map(|line| format!("{ns}: {line}")));
        lines.push(format!("{ns}: {vlans}"));
        for list in serde_json::Deserializer::from_str(&printed).into_iter::<Vec<Value>>() {
            // The kernel's own routes come and go with the carrier.
            for mut thing in list.unwrap().into_iter().filter(|thing| thing["protocol"] != "kernel") {
                steady(&mut thing);
                lines.push(format!("{ns}: {thing}"));
            }
        }
    }
    lines.sort();
    let live = observe(&mut Kernel::open().unwrap(), &wanting(namespaces));
    lines.push(format!("observed: {}", serde_json::to_string(&live).unwrap()));
    lines.join("\n")
}

/// What `ip` prints of each namespace (JSON), its forwarding entries, and its VLANs (JSON): all by one shell, since an
/// emulated machine takes long to start a program.
fn accounts(namespaces: &[NsName]) -> Vec<[String; 3]> {
    let script = namespaces.iter().map(|ns| {
        let option = if ns.is_host() { String::new() } else { format!("-n {ns}") };
        format!(
            "printf '%s\n' link addr 'route show table all' rule 'neigh show nud permanent' | ip {option} -d -j -batch -
             ip {option} -6 -d -j rule
             echo {PART}; bridge {option} fdb
             echo {PART}; bridge {option} -j vlan
             echo {PART}\n"
        )
    });
    let printed = support::run(&script.collect::<String>());
    let parts: Vec<&str> = printed.split(&format!("{PART}\n")).collect();
    assert_eq!(parts.len(), namespaces.len() * 3 + 1, "parts of\n{printed}");
    parts.chunks_exact(3).map(|parts| [parts[0].to_owned(), parts[1].to_owned(), parts[2].to_owned()]).collect()
}

/// Between two parts of an account.
const PART: &str = "----";

/// Takes away what changes by itself: states that follow the carrier, timers, and numbers of namespaces, which the
/// kernel hands out when somebody looks.
fn steady(thing: &mut Value) {
    match thing {
        Value::Array(things) => things.iter_mut().for_each(steady),
        Value::Object(fields) => {
            fields.retain(|key, _| !FLEETING.contains(&key.as_str()) && !key.ends_with("_timer"));
            if let Some(Value::Array(flags)) = fields.get_mut("flags") {
                flags.retain(|flag| flag.as_str().is_some_and(|flag| LASTING.contains(&flag)));
            }
            fields.values_mut().for_each(steady);
        }
        _ => {}
    }
}

/// Flags of interfaces and routes that do not change by themselves.
const LASTING: [&str; 6] = ["UP", "NOARP", "MULTICAST", "PROMISC", "ALLMULTI", "onlink"];

/// Fields of the account that change by themselves.
/// The limits of a bridge are those of its ports, once it has had any.
const FLEETING: [&str; 13] = [
    "tso_max_size",
    "qdisc",
    "operstate",
    "tentative",
    "state",
    "link_netnsid",
    "link_index",
    "bridge_id",
    "root_id",
    "designated_bridge",
    "designated_root",
    "topology_change",
    "topology_change_detected",
];
