//! What the model has no words for, beside routes, policy rules and forwarding entries: observed, removed, put back as
//! it was, and removed by the command that is shown.

use nslab::kernel::Kernel;
use nslab::lab::ForeignObject;
use nslab::steps::{ForeignStep, Presence, Step};

use crate::{ns, observe, support, wanting};

/// One case of a table.
struct Case {
    /// What a person or a program does in the namespace `red`.
    make: &'static str,
    /// How it is called.
    texts: &'static [&'static str],
    /// The kernel's account of its kind.
    account: &'static str,
}

/// What every case starts from.
const SETUP: &str = "ip netns add red; ip -n red link add name a type veth peer name b
ip -n red link set dev a addrgenmode none; ip -n red link set dev b addrgenmode none
ip -n red link set dev a up; ip -n red link set dev b up; ip -n red addr add 10.0.0.1/24 dev a
ip -n red link add name br type bridge; ip -n red link set dev br addrgenmode none; ip -n red link set dev br up
ip -n red link add name c type veth peer name d; ip -n red link set dev a master br";

const NFT: &str = "ip netns exec red nft -s list ruleset";

const TABLES: [Case; 6] = [
    Case {
        make: "ip netns exec red nft -f - <<'END'
table inet guard {
  comment \"of somebody\"
  counter hits { }
  set bad { type ipv4_addr; flags interval, timeout; elements = { 10.6.0.0/16 timeout 1d, 10.7.0.1 } }
  map ways { type inet_service : verdict; elements = { 22 : jump evil, 23 : drop } }
  chain evil { ip saddr @bad counter name hits drop; ip daddr { 10.8.0.1, 10.8.0.2 } reject; }
  chain in { type filter hook input priority -5; policy drop; tcp dport vmap @ways; ct state established accept; }
  chain nat { type nat hook postrouting priority 100; oifname \"a\" masquerade; }
}
END",
        texts: &["nftables table inet guard"],
        account: NFT,
    },
    Case {
        make: "ip netns exec red nft 'add table ip nothing { flags dormant; }'",
        texts: &["nftables table ip nothing"],
        account: NFT,
    },
    Case {
        make: "ip netns exec red nft -f - <<'END'
table netdev one {
  chain in { type filter hook ingress device a priority 0; ip ttl 3 drop; }
}
table arp two {
  chain in { type filter hook input priority 0; policy drop; }
}
table bridge three {
  chain pass { type filter hook forward priority 0; ether saddr 02:00:00:00:00:01 drop; }
}
END",
        texts: &["nftables table arp two", "nftables table bridge three", "nftables table netdev one"],
        account: NFT,
    },
    Case {
        make: "ip netns exec red iptables -t mangle -A FORWARD -m mark --mark 7 -m comment --comment 'it is' -j MARK \
               --set-mark 8; ip netns exec red ip6tables -t raw -A OUTPUT -j CT --notrack",
        texts: &["nftables table ip mangle", "nftables table ip6 raw"],
        account: NFT,
    },
    Case {
        make: "ip netns exec red iptables -A INPUT -s 10.0.0.0/8 -j ACCEPT
               ip netns exec red nft add chain ip filter in '{ type filter hook input priority 7; policy drop; }'",
        texts: &["nftables table ip filter"],
        account: NFT,
    },
    Case {
        make: "ip netns exec red iptables-legacy -t raw -P OUTPUT DROP; ip netns exec red iptables-legacy -t raw -N a
               ip netns exec red iptables-legacy -t raw -A PREROUTING -m comment --comment \"it's\" -j a",
        texts: &["legacy iptables table raw"],
        account: "ip netns exec red iptables-legacy -t raw -S",
    },
];

/// Beside the namespace's own: it has a bridge.
const BRIDGES: [Case; 1] = [Case {
    make: "bridge -n red fdb add 02:00:00:00:66:01 dev a master static
           bridge -n red fdb add 02:00:00:00:66:02 dev br self permanent
           bridge -n red fdb add 02:00:00:00:66:03 dev a master permanent",
    texts: &[
        "forwarding entry 02:00:00:00:66:01 dev a",
        "forwarding entry 02:00:00:00:66:02 dev br",
        "forwarding entry 02:00:00:00:66:03 dev a",
    ],
    account: "bridge -n red fdb show | grep -v '33:33\\|01:00'",
}];

const OTHERS: [Case; 3] = [
    Case {
        make: "tc -n red qdisc add dev a root handle 5: tbf rate 8mbit burst 10k latency 5ms
               tc -n red qdisc add dev b ingress",
        texts: &["qdisc dev b ingress", "qdisc dev a root tbf"],
        account: "tc -n red qdisc",
    },
    Case {
        make: "ip -n red link set dev lo up; ip -n red nexthop add id 7 via 10.0.0.2 dev a
               ip -n red nexthop add id 8 blackhole
               ip -n red nexthop add id 9 group 7",
        texts: &["nexthop id 9 group 7", "nexthop id 7 dev a via 10.0.0.2", "nexthop id 8 blackhole"],
        account: "ip -n red nexthop",
    },
    Case {
        make: "ip -n red xfrm policy add src 10.0.0.0/8 dst 10.1.0.0/16 dir out mark 7 mask 0xff action block
               ip -n red xfrm policy add src 2001:db8::/32 dst ::/0 dir in tmpl proto esp mode tunnel",
        texts: &[
            "xfrm policy src 2001:db8::/32 dst ::/0 dir in",
            "xfrm policy src 10.0.0.0/8 dst 10.1.0.0/16 dir out mark 0x7 mask 0xff",
        ],
        account: "ip -n red xfrm policy",
    },
];

#[test]
fn queues_nexthops_and_transformations_go_and_come_back() {
    OTHERS.iter().for_each(check);
}

#[test]
fn entries_of_bridges_go_and_come_back() {
    BRIDGES.iter().for_each(check);
}

#[test]
fn tables_of_other_programs_go_and_come_back() {
    TABLES.iter().for_each(check);
}

fn check(case: &'static Case) {
    let inside = || {
        support::sandbox();
        support::run(SETUP);
        support::rest::at_rest();
        let account = || support::run(case.account);
        let without = account();
        support::run(case.make);
        let with = account();
        let mut kernel = Kernel::open().unwrap();
        let objects = others(&mut kernel);
        let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
        assert_eq!(texts, case.texts);
        let steps: Vec<Step> = objects.into_iter().map(removal).collect();
        kernel.run(&steps).unwrap();
        assert_eq!(account(), without, "{texts:?} removed");
        let inverses: Vec<Step> = steps.iter().rev().map(|step| step.inverse().unwrap()).collect();
        kernel.run(&inverses).unwrap();
        assert_eq!(sorted(&account()), sorted(&with), "{texts:?} put back");
        // The kernel has given what was put back other numbers.
        for step in others(&mut kernel).into_iter().map(removal) {
            support::run(&step.command());
        }
        assert_eq!(account(), without, "{texts:?} removed by command");
        assert_eq!(others(&mut kernel), []);
    };
    std::thread::spawn(inside).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn others(kernel: &mut Kernel) -> Vec<ForeignObject> {
    let live = observe(kernel, &wanting([ns("red")]));
    live.namespaces[&ns("red")].foreign.others.iter().map(|other| other.object.clone()).collect()
}

fn removal(object: ForeignObject) -> Step {
    Step::Foreign(ForeignStep { ns: ns("red"), change: Presence::Remove(object) })
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
