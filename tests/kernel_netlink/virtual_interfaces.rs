//! Steps on virtual interfaces and their forwarding entries: see `steps`.

use nslab::lab::{FdbEntry, Mac, MacvlanMode, VirtualInterface, Vxlan};
use nslab::steps::{Change, FdbEntryStep, Presence, Step, VirtualInterfaceStep};

use crate::steps::{Case, case, final_case, mac, new, remove};
use crate::{end, lab, name, ns};

fn vxlan(local: &str) -> Vxlan {
    Vxlan { id: 42, local: Some(local.parse().unwrap()), port: 4789, dev: None, learning: true }
}

pub fn virtual_interfaces() -> Vec<Case> {
    let over_ipv6 = Vxlan { dev: Some(name("veth-red")), learning: false, ..vxlan("2001:db8::1") };
    let changed = |change: fn(&mut Vxlan)| {
        let from = Vxlan { id: 7, ..vxlan("10.0.0.1") };
        let mut to = from.clone();
        change(&mut to);
        options("red/vx", VirtualInterface::Vxlan(from), VirtualInterface::Vxlan(to))
    };
    vec![
        case(
            "add vxlan to host",
            add("host/vx42", VirtualInterface::Vxlan(vxlan("192.168.15.5")), None),
            "ip -d link show vx42",
            "vxlan id 42 local 192.168.15.5 srcport 0 0 dstport 4789",
        ),
        case(
            "add vxlan over IPv6 on an interface",
            add("red/up2", VirtualInterface::Vxlan(over_ipv6), Some(1300)),
            "ip -d -n red link show dev up2",
            "vxlan id 42 local 2001:db8::1 dev veth-red srcport 0 0 dstport 4789",
        ),
        case(
            "add vxlan at another port",
            add("red/vx42", VirtualInterface::Vxlan(Vxlan { port: 8472, ..vxlan("10.0.0.1") }), None),
            "ip -d -n red link show vx42",
            "dstport 8472",
        ),
        case("vxlan learns no more", changed(|to| to.learning = false), "ip -d -n red link show vx", "nolearning"),
        case(
            "vxlan from another address",
            changed(|to| to.local = Some("10.0.0.9".parse().unwrap())),
            "ip -d -n red link show vx",
            "local 10.0.0.9",
        ),
        final_case("delete vxlan", remove("red/vx"), "ip -n red -o link | wc -l", "4"),
    ]
}

fn add(at: &str, kind: VirtualInterface, mtu: Option<u32>) -> Step {
    Step::VirtualInterface(VirtualInterfaceStep::Add { new: new(at, 9, mtu), kind, lab: lab() })
}

fn options(at: &str, from: VirtualInterface, to: VirtualInterface) -> Step {
    Step::VirtualInterface(VirtualInterfaceStep::Options { interface: end(at), change: Change { from, to } })
}

pub fn macvlans() -> Vec<Case> {
    let macvlan = |parent: &str, mode| VirtualInterface::Macvlan { parent: Some(end(parent)), mode };
    vec![
        case(
            "add macvlan",
            add("red/mv0", macvlan("red/veth-red", MacvlanMode::Private), Some(1400)),
            "ip -n red -d link show mv0",
            "macvlan mode private",
        ),
        case(
            "add macvlan on an interface of the host",
            add("blue/mv0", macvlan("host/v-net-0", MacvlanMode::Bridge), None),
            "ip -n blue -d link show mv0",
            "macvlan mode bridge",
        ),
        case(
            "add macvlan in the host",
            add("host/mv0", macvlan("red/veth-red", MacvlanMode::Vepa), None),
            "ip -d link show mv0",
            "macvlan mode vepa",
        ),
        case(
            "macvlan's mode",
            options(
                "red/mv1",
                macvlan("red/veth-red", MacvlanMode::Bridge),
                macvlan("red/veth-red", MacvlanMode::Private),
            ),
            "ip -n red -d link show mv1",
            "macvlan mode private",
        ),
    ]
}

const BRIDGE_FDB: &str = "bridge -n red fdb show dev vx";

pub fn fdb_entries() -> Vec<Case> {
    let entry = |mac, to: &str| FdbEntry { dev: name("vx"), mac, to: to.parse().unwrap() };
    let step = |change| Step::FdbEntry(FdbEntryStep { ns: ns("red"), change });
    let add_fdb = |mac, to: &str| step(Presence::Add(entry(mac, to)));
    let delete_fdb = |to: &str| step(Presence::Remove(entry(Mac::ANY, to)));
    vec![
        case("forwarding entry", add_fdb(mac(1), "10.0.0.2"), BRIDGE_FDB, "02:00:00:00:00:01 dst 10.0.0.2 self"),
        case("second end for everybody", add_fdb(Mac::ANY, "10.0.0.3"), BRIDGE_FDB, "dst 10.0.0.3 self permanent"),
        case("take forwarding entry", delete_fdb("10.0.0.2"), "bridge -n red fdb show dev vx | wc -l", "2"),
    ]
}
