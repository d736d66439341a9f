//! Steps and commands do the same (see `steps`): VLANs of bridges' ports. A kernel without them refuses both.

use nslab::kernel::Kernel;
use nslab::lab::{Tagging, VlanRange, Vlans};
use nslab::steps::{Change, Step, VlansStep};

use crate::steps::{case, check};
use crate::{end, support};

/// Written as `bridge vlan` prints them: "10 pvid untagged, 20, 40-50".
fn vlans(text: &str) -> Vlans {
    let range = |text: &str| {
        let numbers = text.split(' ').next().unwrap();
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let tagging = Tagging { pvid: text.contains(" pvid"), untagged: text.contains(" untagged") };
        VlanRange { first: first.parse().unwrap(), last: last.parse().unwrap(), tagging }
    };
    Vlans::new(text.split(", ").filter(|text| !text.is_empty()).map(range).collect())
}

pub fn set(at: &str, from: &str, to: &str) -> Step {
    let change = Change { from: vlans(from), to: vlans(to) };
    Step::Vlans(VlansStep { interface: end(at), is_bridge: at.ends_with("v-net-0"), change })
}

#[test]
fn vlans_are_the_same_by_step_and_by_command_or_refused_by_both() {
    const PORT: &str = "bridge vlan show dev veth-red-br | tr -s '\\t\\n ' ' '";
    const BRIDGE: &str = "bridge vlan show dev v-net-0 | tr -s '\\t\\n ' ' '";
    let (port, bridge, first) = ("host/veth-red-br", "host/v-net-0", "1 pvid untagged");
    let cases = [
        ("access port", set(port, first, "10 pvid untagged"), PORT, "veth-red-br 10 PVID Egress Untagged "),
        ("trunk", set(port, first, "10, 20-22, 4094"), PORT, "veth-red-br 10 20 21 22 4094 "),
        ("both", set(port, first, "5, 7 pvid untagged"), PORT, "veth-red-br 5 7 PVID Egress Untagged "),
        ("the same VLAN with its tag", set(port, first, "1-4"), PORT, "veth-red-br 1 2 3 4 "),
        ("only one way", set(port, first, "1 untagged, 2 pvid"), PORT, "veth-red-br 1 Egress Untagged 2 PVID "),
        ("bridge", set(bridge, first, "10 pvid untagged, 30-31"), BRIDGE, "v-net-0 10 PVID Egress Untagged 30 31 "),
    ];
    let none = [("port in none", set(port, first, ""), PORT), ("bridge in none", set(bridge, first, ""), BRIDGE)];
    let is_able = std::thread::spawn(|| {
        support::sandbox();
        support::sh("ip link add name try0 type bridge vlan_filtering 1").status.success()
    });
    if is_able.join().unwrap() {
        cases.into_iter().for_each(|(name, step, sees, seen)| check(case(name, step, sees, seen)));
        none.into_iter().for_each(|(name, step, sees)| check(case(name, step, sees, "vlan-id ")));
        return;
    }
    support::sandbox();
    support::run("ip link add name v-net-0 type bridge; ip link add name veth-red-br master v-net-0 type veth");
    let mut kernel = Kernel::open().unwrap();
    for step in cases.into_iter().map(|case| case.1).chain(none.into_iter().map(|case| case.1)) {
        let script = support::sh(&step.script().join("\n"));
        match kernel.run(std::slice::from_ref(&step)) {
            // There is nothing that could be taken away.
            Ok(()) => assert!(step.script().iter().all(|line| line.contains(" del ")), "{}", step.text()),
            Err(error) => {
                assert!(error.to_string().contains(&format!("cannot {}", step.text())), "{error}");
                assert!(!script.status.success(), "{}", step.text());
            }
        }
    }
}
