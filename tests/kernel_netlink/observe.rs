//! What `observe` says about what plain commands have built: each script of `tests/observe/` builds something by hand
//! in a private host, and the JSON beside it is the account. A new case is a new script.

use std::collections::BTreeMap;
use std::path::Path;

use nslab::kernel::{Kernel, Marked, netns};
use nslab::lab::{LabName, NsName, ObservedNamespace};

use crate::support::golden;
use crate::{lab, name, ns, observe, support, wanting};

#[test]
fn what_is_built_by_hand_is_seen_as_it_is() {
    golden::run("tests/observe", &golden::files_with_expectations("tests/observe", "sh"), |_, script| {
        golden::expect(&script.with_extension("json"), &(observe_script(script) + "\n"))
    });
}

/// Every namespace with a name, and the host, after a script.
fn observe_script(script: &Path) -> String {
    support::sandbox();
    let group = lab().group().to_string();
    let text = std::fs::read_to_string(script).unwrap().replace("@GROUP@", &group);
    support::run(&text);
    let mut kernel = Kernel::open().unwrap();
    let desired = wanting(netns::list().unwrap());
    let live = observe(&mut kernel, &desired);
    serde_json::to_string_pretty(&live.namespaces.iter().map(essence).collect::<BTreeMap<_, _>>()).unwrap()
}

/// A namespace without what this room leaves to others.
fn essence((ns, namespace): (&NsName, &ObservedNamespace)) -> (String, serde_json::Value) {
    let mut value = serde_json::to_value(namespace).unwrap();
    for key in ["sysctls", "firewall", "labels"] {
        value.as_object_mut().unwrap().remove(key);
    }
    (ns.to_string(), value)
}

#[test]
fn only_what_is_wanted_or_marked_is_observed() {
    support::sandbox();
    support::run(
        "ip netns add red; ip netns add blue
         for name in green:t grey:t-2; do
             file=/run/netns/${name%:*}; echo nslab:${name#*:} > $file
             unshare --net=$file ip link set lo alias nslab:${name#*:}
         done
         ip netns add not-given; ip -n not-given link set lo alias nslab:t; echo nslab:t > /run/netns/left",
    );
    let mut kernel = Kernel::open().unwrap();
    let live = observe(&mut kernel, &wanting([ns("red"), ns("absent")]));
    let names: Vec<_> = live.namespaces.keys().map(NsName::as_str).collect();
    assert_eq!(names, ["green", "host", "left", "red"]);
    assert_eq!(live.namespaces[&ns("green")].is.owner, Some(lab()));
    assert_eq!(live.namespaces[&ns("red")].is.owner, None);
    assert!(live.namespaces[&ns("left")].is.interfaces.is_empty());
}

#[test]
fn link_local_addresses_are_seen_where_they_are_wanted() {
    support::sandbox();
    support::run(
        "ip netns add red; ip -n red link add name a address 02:00:00:00:00:01 type veth peer name b
         ip -n red addr add fe80::5/64 dev a nodad; ip -n red addr add fe80::5/64 dev b nodad",
    );
    let mut kernel = Kernel::open().unwrap();
    let mut desired = wanting([ns("red")]);
    let mut all = observe(&mut kernel, &desired);
    let mut link = all.namespaces.get_mut(&ns("red")).unwrap().is.interfaces.shift_remove(&name("a")).unwrap();
    assert_eq!(link.addresses, [].into());
    link.addresses.insert("fe80::5/64".parse::<ipnet::IpNet>().unwrap().into());
    let expected = link.addresses.clone();
    desired.namespaces.get_mut(&ns("red")).unwrap().interfaces.insert("a".parse().unwrap(), link);
    let live = observe(&mut kernel, &desired);
    let links = &live.namespaces[&ns("red")].is.interfaces;
    assert_eq!(links[&name("a")].addresses, expected);
    assert_eq!(links[&name("b")].addresses, [].into());
}

#[test]
fn a_namespace_that_was_made_anew_is_not_taken_for_the_old_one() {
    support::sandbox();
    support::run("ip netns add red; ip -n red link add old type bridge");
    let mut kernel = Kernel::open().unwrap();
    let desired = wanting([ns("red")]);
    observe(&mut kernel, &desired);
    support::run("ip netns del red; ip netns add red; ip -n red link add new type bridge");
    let live = observe(&mut kernel, &desired);
    let names: Vec<_> = live.namespaces[&ns("red")].is.interfaces.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["lo", "new"]);
}

#[test]
fn marks_are_found_wherever_they_are() {
    support::sandbox();
    let [a, ab]: [LabName; 2] = ["a", "a-b"].map(|name| name.parse().unwrap());
    support::run(&format!(
        "cd /run/netns; echo {} > red; echo {} > blue; echo {} > left
         for ns in red blue; do unshare --net=$ns ip link set lo alias $(cat $ns); done
         ip netns add other; ip -n other link add inner alias nslab:c type bridge \
         || true
         ip link add one group {} type bridge; ip link add two type bridge; ip link set two alias {}
         ip link add three group 77 type bridge",
        a.mark(),
        ab.mark(),
        a.mark(),
        a.group(),
        ab.mark(),
    ));
    let marks = Kernel::open().unwrap().marks().unwrap();
    let marked = |namespaces: &[&str], link: &str| Marked {
        namespaces: namespaces.iter().copied().map(ns).collect(),
        interfaces: [name(link)].into(),
    };
    assert_eq!(marks, BTreeMap::from([(a, marked(&["left", "red"], "one")), (ab, marked(&["blue"], "two"))]));
}

#[test]
fn three_hundred_namespaces_are_seen_with_their_peers() {
    support::sandbox();
    let script: String =
        (1..=300).map(|n| format!("netns add n{n}\nlink add p{n} type veth peer name eth0 netns n{n}\n")).collect();
    std::fs::write("/run/batch", script).unwrap();
    support::run("ip -batch /run/batch");
    let mut kernel = Kernel::open().unwrap();
    let live = observe(&mut kernel, &wanting(netns::list().unwrap()));
    assert_eq!(live.namespaces.len(), 301);
    for n in 1..=300 {
        let peer = live.namespaces[&ns(&format!("n{n}"))].is.interfaces[&name("eth0")].peer().unwrap();
        assert_eq!(peer.to_string(), format!("host/p{n}"));
        let back = live.namespaces[&NsName::host()].is.interfaces[&name(&format!("p{n}"))].peer().unwrap();
        assert_eq!(back.to_string(), format!("n{n}/eth0"));
    }
}
