//! What `conf.default` says goes for every interface without a setting of its own, whatever was there before.

mod support;

use support::{ends, host_account, run, sandbox};

/// The settings of the lab, with the values of its defaults: none is what a new interface has anyway.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("net.ipv4.conf", "rp_filter", "2"),
    ("net.ipv4.conf", "arp_announce", "1"),
    ("net.ipv6.conf", "hop_limit", "50"),
    ("net.ipv6.conf", "accept_ra", "0"),
];

/// Writes a lab: of red's interfaces, `a` has addresses, `b` has none, `br0` is a bridge with the port `c`, `small` has
/// no room for IPv6; and `own` has settings of its own.
fn write(defaults: bool, with_d: bool) {
    let set = |(folder, setting, value): &(&str, &str, &str)| format!("      {folder}.default.{setting}: {value}\n");
    let defaults: String = SETTINGS.iter().filter(|_| defaults).map(set).collect();
    let (d, link) = if with_d { (", d: { addresses: [10.2.0.1/24] }", ", [red/d, blue/d]") } else { ("", "") };
    let lab = format!(
        "name: defaults
namespaces:
  red:
    interfaces:
      {{ a: {{ addresses: [10.0.0.1/24, \"fd00::1/64\"] }}, own: {{ addresses: [10.1.0.1/24] }}, small: {{ mtu: 1000 }}{d} }}
    bridges: {{ br0: {{ ports: [c], addresses: [10.3.0.1/24] }} }}
    sysctls:
      net.ipv4.conf.own.rp_filter: 1
      net.ipv6.conf.own.hop_limit: 40
{defaults}  blue: {{ interfaces: {{ a: {{ addresses: [10.0.0.2/24, \"fd00::2/64\"] }} }} }}
links:
  [[red/a, blue/a], [red/b, blue/b], [red/c, blue/c], [red/own, blue/own], [red/small, blue/small]{link}]
"
    );
    std::fs::write("/run/t.yaml", lab).unwrap();
}

#[track_caller]
fn applies() {
    ends(&["apply", "/run/t.yaml"], 0);
    ends(&["plan", "--exit-code", "/run/t.yaml"], 0);
}

/// What the kernel says of all of these settings of red.
fn account() -> String {
    run("ip netns exec red sh -c 'cd /proc/sys/net; for file in ipv4/conf/*/rp_filter ipv4/conf/*/arp_announce \
         ipv6/conf/*/hop_limit ipv6/conf/*/accept_ra; do echo $file $(cat $file); done' | grep -v '/all/\\|/lo/'")
}

/// What it has to say of each interface.
#[track_caller]
fn assert_set(with_d: bool) {
    let account = account();
    let interfaces = ["a", "b", "c", "br0", "small", "default"].into_iter().chain(with_d.then_some("d"));
    for interface in interfaces {
        for (folder, setting, value) in &SETTINGS {
            let line = format!("{}/{interface}/{setting} {value}\n", folder.replace("net.", "").replace('.', "/"));
            let has_none = interface == "small" && folder.contains("ipv6");
            assert_eq!(account.contains(&line), !has_none, "{line}in\n{account}");
        }
    }
    for own in ["ipv4/conf/own/rp_filter 1", "ipv4/conf/own/arp_announce 1", "ipv6/conf/own/hop_limit 40"] {
        assert!(account.contains(own), "{own} in\n{account}");
    }
}

#[test]
fn the_default_has_one_effect_whatever_was_there_before() {
    sandbox();
    let before = host_account();
    // From nothing.
    write(true, true);
    applies();
    assert_set(true);
    let from_nothing = account();
    ends(&["destroy", "defaults"], 0);
    // By an edit that adds the setting.
    write(false, true);
    applies();
    let without = account();
    write(true, true);
    applies();
    assert_set(true);
    assert_eq!(account(), from_nothing);
    // By an edit that takes it out again: what was before is back.
    write(false, true);
    applies();
    assert_eq!(account(), without);
    ends(&["destroy", "defaults"], 0);
    // By an edit that adds an interface.
    write(true, false);
    applies();
    assert_set(false);
    write(true, true);
    applies();
    assert_set(true);
    assert_eq!(account(), from_nothing);
    // Whatever somebody does to one of them.
    run("ip netns exec red sysctl -qw net.ipv6.conf.b.hop_limit=9 net.ipv4.conf.default.rp_filter=0");
    let plan = ends(&["plan", "--exit-code", "/run/t.yaml"], 1);
    assert!(plan.contains("set net.ipv6.conf.b.hop_limit to 50 in red (it is 9)"), "{plan}");
    applies();
    assert_eq!(account(), from_nothing);
    // Taken out of a lab that was made with it: what a new namespace has.
    write(false, true);
    applies();
    assert_eq!(account(), without);
    ends(&["destroy", "defaults"], 0);
    before.assert_same(&host_account(), "when the lab is gone");
}

/// New neighbour tables begin with what the machine says, and no namespace has a word in that: the file is refused.
#[test]
fn namespaces_have_no_default_of_neighbour_tables() {
    sandbox();
    run("ip netns add n; ip netns exec n sh -c '! test -e /proc/sys/net/ipv4/neigh/default'");
    let lab = "name: t\nnamespaces: { red: { sysctls: { net.ipv4.neigh.default.gc_stale_time: 30 } } }\n";
    std::fs::write("/run/t.yaml", lab).unwrap();
    let refused = ends(&["apply", "/run/t.yaml"], 2);
    assert!(refused.contains("red has no `net.ipv4.neigh.default.gc_stale_time`"), "{refused}");
}
