//! The kernel room where things go wrong, and where it meets `ip netns`.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nslab::kernel::{Kernel, KernelError, netns};
use nslab::lab::{BridgeOptions, ForeignObject, MAIN_TABLE, ObservedNamespace, Route, RouteKind, RouteScope};
use nslab::steps::{
    AddressStep, BridgeStep, Change, ForeignStep, InterfaceStep, NamespaceStep, NewInterface, Presence, RouteStep,
    Step, Tier, Update, VethStep,
};

use crate::{end, lab, ns, observe, support, wanting};

fn add_namespace(name: &str) -> Step {
    Step::Namespace(NamespaceStep::Add { ns: ns(name), lab: lab() })
}

fn delete_namespace(name: &str) -> Step {
    Step::Namespace(NamespaceStep::Remove { ns: ns(name) })
}

fn new(at: &str) -> NewInterface {
    NewInterface { interface: end(at), mac: None, mtu: None }
}

fn add_veth(main: &str, peer: &str) -> Step {
    let (main, peer) = (new(main), new(peer));
    Step::Veth(VethStep { main, master: None, up: false, peer, lab: lab() })
}

fn add_bridge(at: &str) -> Step {
    Step::Bridge(BridgeStep::Add { new: new(at), options: BridgeOptions::default(), lab: lab() })
}

fn delete_interface(at: &str) -> Step {
    Step::Interface(InterfaceStep::Remove { interface: end(at), tier: Tier::Base })
}

fn add_address(at: &str, address: &str) -> Step {
    let change = Presence::Add(address.parse::<ipnet::IpNet>().unwrap().into());
    Step::Address(AddressStep { interface: end(at), change })
}

fn refused(kernel: &mut Kernel, step: Step) -> KernelError {
    kernel.run(std::slice::from_ref(&step)).expect_err(&step.text())
}

/// Everything in one namespace.
fn observed(kernel: &mut Kernel, name: &str) -> ObservedNamespace {
    observe(kernel, &wanting([ns(name)])).namespaces.remove(&ns(name)).unwrap()
}

#[test]
fn an_error_says_what_where_and_why() {
    support::sandbox();
    support::run(
        "ip netns add red; ip -n red link add name veth-red type veth peer name other; ip -n red link set dev \
         veth-red up
         ip -n red addr add 10.0.0.1/24 dev veth-red; ip -n red route add 10.1.0.0/16 via 10.0.0.2
         ip -n red rule add to 10.0.0.3 prohibit",
    );
    let mut kernel = Kernel::open().unwrap();
    let there = observed(&mut kernel, "red").is.routes.first().unwrap().clone();
    let astray = Route { via: Some([1, 2, 3, 4].into()), to: "10.9.0.0/16".parse().unwrap(), ..there.clone() };
    let prohibited = Route { via: Some([10, 0, 0, 3].into()), to: "10.9.0.0/16".parse().unwrap(), ..there.clone() };
    let add = |route| Step::Route(RouteStep { ns: ns("red"), change: Update::Add(route) });
    let cases = [
        (
            add(astray),
            Errno::ENETUNREACH,
            "cannot add route 10.9.0.0/16 via 1.2.3.4 dev veth-red in red: Network is unreachable (ENETUNREACH): \
             Nexthop has invalid gateway",
        ),
        (
            add(prohibited),
            Errno::EACCES,
            "cannot add route 10.9.0.0/16 via 10.0.0.3 dev veth-red in red: Permission denied (EACCES): Nexthop has \
             invalid gateway\n\
             this is not about privileges: a policy rule, a route or a sysctl (such as `disable_ipv6`) forbids it",
        ),
        (
            add(there),
            Errno::EEXIST,
            "cannot add route 10.1.0.0/16 via 10.0.0.2 dev veth-red in red: File exists (EEXIST)",
        ),
        (
            add_namespace("red"),
            Errno::EEXIST,
            "cannot make namespace red: File exists (EEXIST): /run/netns/red is there already",
        ),
        (
            add_address("red/gone", "10.0.0.1/24"),
            Errno::ENODEV,
            "cannot give red/gone the address 10.0.0.1/24: No such device (ENODEV): there is no interface gone",
        ),
        (delete_namespace("blue"), Errno::ENOENT, "cannot remove namespace blue: No such file or directory (ENOENT)"),
        (
            add_address("blue/eth0", "10.0.0.1/24"),
            Errno::ENOENT,
            "cannot open namespace blue: No such file or directory (ENOENT)",
        ),
    ];
    for (step, errno, message) in cases {
        let error = refused(&mut kernel, step);
        assert_eq!(error.to_string(), message);
        assert_eq!(error.errno(), Some(errno));
    }
}

#[test]
fn a_bridge_keeps_vlans_apart_or_the_kernels_lack_is_told() {
    support::sandbox();
    let options = BridgeOptions { vlan_filtering: true, ..BridgeOptions::default() };
    let step = Step::Bridge(BridgeStep::Add { new: new("host/br"), options, lab: lab() });
    match Kernel::open().unwrap().run(&[step]) {
        Ok(()) => assert!(support::run("ip -d link show br").contains("vlan_filtering 1")),
        Err(error) => {
            assert_eq!(error.errno(), Some(Errno::EOPNOTSUPP));
            assert!(error.to_string().contains("\nthis kernel lacks the feature"), "{error}");
            assert!(!support::run("ip link").contains("br:"));
        }
    }
}

#[test]
fn a_step_that_fails_leaves_nothing() {
    support::sandbox();
    support::run(
        "ip netns add red; ip -n red link add name taken type bridge; printf 'nslab:other\\n' > /run/netns/left",
    );
    let mut kernel = Kernel::open().unwrap();
    let before = support::host_account();
    assert_eq!(refused(&mut kernel, add_veth("host/new", "red/taken")).errno(), Some(Errno::EEXIST));
    assert_eq!(refused(&mut kernel, add_namespace("left")).errno(), Some(Errno::EEXIST));
    before.assert_same(&support::host_account(), "after two refused steps");
}

#[test]
fn namespaces_are_those_of_ip_netns() {
    support::sandbox();
    let mut kernel = Kernel::open().unwrap();
    kernel.run(&[add_namespace("ours"), add_bridge("ours/inside")]).unwrap();
    support::run("ip netns add theirs; ip -n theirs link add name inside type bridge");
    for name in ["ours", "theirs"] {
        assert!(support::run(&format!("ip netns exec {name} ip link")).contains("inside"), "{name}");
        let fd = netns::open(&ns(name)).unwrap();
        let links = netns::run_in(fd.as_fd(), || support::run("ip link")).unwrap();
        assert!(links.contains("inside"), "{name}");
    }
    assert!(!support::run("ip link").contains("inside"), "run_in has moved its caller");
    kernel.run(&[delete_namespace("theirs")]).unwrap();
    support::run("ip netns del ours");
    assert_eq!(support::run("ip netns"), "");
    assert_eq!(netns::list().unwrap(), []);
    assert!(!support::run("cat /proc/self/mountinfo").contains("nsfs"), "a mount is left");
}

#[test]
fn a_namespace_that_is_removed_is_freed_while_the_kernel_room_lives() {
    support::sandbox();
    let mut kernel = Kernel::open().unwrap();
    kernel.run(&[add_namespace("red"), add_veth("host/one", "red/two"), delete_namespace("red")]).unwrap();
    // It is held until something else is done.
    kernel.run(&[add_bridge("host/other")]).unwrap();
    let start = Instant::now();
    // The pair goes when the kernel frees the namespace that its other end is in.
    while support::run("ip link").contains("one") {
        assert!(start.elapsed() < Duration::from_secs(20), "something holds the namespace");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(netns::wait_freed(Duration::from_secs(60)));
}

#[test]
fn a_leftover_can_be_removed_and_then_made() {
    support::sandbox();
    support::run("printf 'nslab:t\\n' > /run/netns/red");
    let mut kernel = Kernel::open().unwrap();
    assert_eq!(netns::open(&ns("red")).unwrap_err().errno(), Some(Errno::EINVAL));
    kernel.run(&[delete_namespace("red"), add_namespace("red")]).unwrap();
    assert!(support::run("ip -n red link show lo").contains("alias nslab:t"));
}

#[test]
fn what_is_made_anew_under_an_old_name_is_found() {
    support::sandbox();
    let mut kernel = Kernel::open().unwrap();
    let bridge = [add_bridge("host/br"), add_address("host/br", "10.0.0.1/24")];
    let veth = [add_veth("host/one", "host/two"), add_address("host/two", "10.0.1.1/24")];
    kernel.run(&bridge).unwrap();
    kernel.run(&[delete_interface("host/br")]).unwrap();
    kernel.run(&bridge).unwrap();
    kernel.run(&veth).unwrap();
    kernel.run(&[delete_interface("host/one")]).unwrap();
    kernel.run(&veth).unwrap();
    assert!(support::run("ip -br addr show br").contains("10.0.0.1/24"));
    assert!(support::run("ip -br addr show two").contains("10.0.1.1/24"));
}

#[test]
fn what_the_vocabulary_cannot_express_can_be_removed() {
    support::sandbox();
    support::run(
        "ip netns add red; ip -n red link add name a type veth peer name b
         ip -n red link set dev a addrgenmode none; ip -n red link set dev b addrgenmode none
         ip -n red link set dev a up; ip -n red link set dev b up
         ip -n red addr add 10.0.0.1/24 dev a; ip -n red addr add 2001:db8::1/64 dev a nodad",
    );
    // `ip route` shows whether an interface has a carrier, which the kernel may notice later.
    support::rest::at_rest();
    let mut kernel = Kernel::open().unwrap();
    let before = observed(&mut kernel, "red");
    support::run(
        "ip -n red route add 10.1.0.0/16 nexthop via 10.0.0.2 nexthop via 172.16.0.1 dev a onlink
         ip -n red route add 10.2.0.0/16 via 10.0.0.2 advmss 1300
         ip -n red route add 10.2.0.0/16 dev a tos 0x10
         ip -n red route add 10.4.0.0/16 dev a tos 0x08
         ip -n red nexthop add id 7 via 10.0.0.2 dev a; ip -n red route add 10.5.0.0/16 nhid 7
         ip -n red -6 route add 2001:db8:2::/48 via 2001:db8::2 advmss 1300
         ip -n red route add broadcast 10.3.0.9 dev a table local
         ip -n red -6 route add 2001:db8:1::/48 nexthop via 2001:db8::2 nexthop via 2001:db8:f::3 dev a onlink
         ip -n red rule add priority 106 not from 10.0.0.0/8 lookup 100
         ip -n red rule add priority 110 tos 0x10 lookup 100
         ip -n red rule add priority 110 goto 32766
         ip -n red -6 rule add priority 109 lookup main suppress_prefixlength 0",
    );
    let shown = observed(&mut kernel, "red");
    assert_eq!((shown.is.routes.len(), shown.is.rules.len()), (0, 0));
    let objects: Vec<ForeignObject> = shown.foreign.objects().cloned().collect();
    let texts: Vec<&str> = objects.iter().map(|object| object.text.as_str()).collect();
    let expected = [
        "10.1.0.0/16 nexthop via 10.0.0.2 dev a weight 1 nexthop via 172.16.0.1 dev a weight 1 onlink",
        "10.2.0.0/16 via 10.0.0.2 dev a advmss 1300",
        "10.2.0.0/16 dev a tos 0x10",
        "10.4.0.0/16 dev a tos 0x08",
        "10.5.0.0/16 via 10.0.0.2 dev a nhid 7",
        "broadcast 10.3.0.9/32 dev a table 255",
        "2001:db8:2::/48 via 2001:db8::2 dev a advmss 1300",
        "2001:db8:1::/48 nexthop via 2001:db8::2 dev a weight 1 nexthop via 2001:db8:f::3 dev a weight 1 onlink",
        "priority 106 not from 10.0.0.0/8 lookup 100",
        "priority 110 from all lookup 100 tos 0x10",
        "priority 110 from all goto 32766",
        "priority 109 from all lookup 254 suppress_prefixlength 0",
        "id 7 dev a via 10.0.0.2",
    ];
    assert_eq!(BTreeSet::from_iter(texts), BTreeSet::from(expected));
    let all = routing();
    // The nexthop comes last, and would take its route along.
    for object in objects.iter().filter(|object| object.text != "id 7 dev a via 10.0.0.2") {
        let step = removal(object);
        kernel.run(std::slice::from_ref(&step)).unwrap();
        assert_eq!(routing().lines().count(), all.lines().count() - 1, "{} is removed alone", object.text);
        kernel.run(&[step.inverse().unwrap()]).unwrap();
        assert_eq!(sorted(&routing()), sorted(&all), "{} was put back", object.text);
    }
    let steps: Vec<Step> = objects.iter().map(removal).collect();
    kernel.run(&steps).unwrap();
    assert_eq!(observed(&mut kernel, "red"), before);
}

/// All routes and policy rules of `red`, a line for each.
fn routing() -> String {
    support::run("ip -n red route show table all; ip -n red rule; ip -n red -6 rule").replace("\n\t", " ")
}

fn removal(object: &ForeignObject) -> Step {
    Step::Foreign(ForeignStep { ns: ns("red"), change: Presence::Remove(object.clone()) })
}

#[test]
fn a_forwarding_entry_that_the_vocabulary_cannot_express_can_be_removed() {
    support::sandbox();
    support::run(
        "ip netns add red; ip -n red link add name a type veth peer name b
         ip -n red link add name vx type vxlan id 7 local 10.0.0.1 dstport 4789
         ip netns exec red bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2 self permanent
         ip netns exec red bridge fdb append 00:00:00:00:00:00 dev vx dst 10.0.0.2 port 4790 vni 9 via a \
         self permanent",
    );
    let account = || support::run("ip netns exec red bridge fdb show dev vx");
    let all = account();
    let mut kernel = Kernel::open().unwrap();
    let shown = observed(&mut kernel, "red");
    assert_eq!((shown.is.fdb.len(), shown.foreign.fdb.len()), (1, 1));
    let object = shown.foreign.fdb[0].object.clone();
    assert_eq!(object.text, "00:00:00:00:00:00 dev vx dst 10.0.0.2 port 4790 vni 9 via a");
    let step = Step::Foreign(ForeignStep { ns: ns("red"), change: Presence::Remove(object) });
    kernel.run(std::slice::from_ref(&step)).unwrap();
    assert_eq!(account().lines().count(), 1, "{}", account());
    kernel.run(&[step.inverse().unwrap()]).unwrap();
    assert_eq!(sorted(&account()), sorted(&all));
    support::run(&step.command());
    assert_eq!(account().lines().count(), 1, "{}", account());
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn routes_over_several_hops_are_replaced_whole() {
    support::sandbox();
    support::run(
        "ip netns add red; ip -n red link add name a type veth peer name b; ip -n red link set dev a up; ip -n red \
         link set dev b up
         ip -n red addr add 10.0.0.1/24 dev a; ip -n red addr add 2001:db8::1/64 dev a nodad
         ip -n red route add 10.1.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3
         ip -n red -6 route add 2001:db8:1::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3",
    );
    let mut kernel = Kernel::open().unwrap();
    for (to, metric, via) in [("10.1.0.0/16", 0, "10.0.0.4"), ("2001:db8:1::/48", 1024, "2001:db8::4")] {
        let (table, kind, scope) = (MAIN_TABLE, RouteKind::Unicast, RouteScope::Global);
        let (to, via, dev) = (to.parse().unwrap(), via.parse().ok(), "a".parse().ok());
        let (source, onlink, nexthops) = (None, false, BTreeSet::new());
        let to = Route { table, to, metric, kind, via, dev, source, scope, onlink, mtu: None, nexthops };
        let from = to.clone();
        kernel.run(&[Step::Route(RouteStep { ns: ns("red"), change: Update::Replace(Change { from, to }) })]).unwrap();
    }
    let routes = support::run("ip -n red route show proto 213; ip -n red -6 route show proto 213");
    let hops: Vec<_> = routes.split_whitespace().skip_while(|word| *word != "via").collect();
    assert_eq!(routes.matches("via").count(), 2, "{hops:?}");
    assert!(routes.contains("via 10.0.0.4") && routes.contains("via 2001:db8::4"), "{routes}");
}

#[test]
fn three_hundred_namespaces_are_made_and_removed() {
    support::sandbox();
    let mut kernel = Kernel::open().unwrap();
    let mut steps = vec![add_bridge("host/br")];
    for n in 1..=300 {
        let (main, peer) = (new(&format!("host/p{n}")), new(&format!("n{n}/eth0")));
        let veth = Step::Veth(VethStep { main, master: "br".parse().ok(), up: true, peer, lab: lab() });
        let up =
            Step::Interface(InterfaceStep::Up { interface: end(&format!("n{n}/eth0")), tier: Tier::Base, up: true });
        steps.extend([add_namespace(&format!("n{n}")), veth, up]);
    }
    kernel.run(&steps).unwrap();
    let marked = kernel.marks().unwrap().remove(&lab()).unwrap();
    assert_eq!((marked.namespaces.len(), marked.interfaces.len()), (300, 301));
    assert_eq!(support::run("bridge link | wc -l").trim(), "300");
    let steps: Vec<Step> = marked.namespaces.iter().map(|ns| delete_namespace(ns.as_str())).collect();
    kernel.run(&steps).unwrap();
    assert_eq!(support::run("ip netns"), "");
}
