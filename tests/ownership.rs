//! What is the lab's, what is somebody else's, and what the kernel takes along.

mod support;

use support::rest::at_rest;
use support::{host_account, nslab, run, sandbox, text};

/// Writes a topology and runs nslab on it, which must end with this exit code; what it said.
#[track_caller]
fn on(topology: &str, args: &[&str], code: i32) -> String {
    std::fs::write("/run/lab.yaml", topology).unwrap();
    let output = nslab(args.iter().copied().chain(["/run/lab.yaml"]));
    assert_eq!(output.status.code(), Some(code), "nslab {args:?}:\n{topology}\n{}", text(&output));
    text(&output)
}

/// A lab with a bridge in the host; `more` goes into `host`.
fn with_host(more: &str) -> String {
    format!(
        "name: own\nnamespaces:\n  host:\n    bridges: {{ br7: {{ addresses: [10.77.0.1/24], ports: [p7] }} \
         }}\n{more}  \
         red: {{ interfaces: {{ eth0: {{ addresses: [10.77.0.2/24] }} }} }}\nlinks: [ [red/eth0, host/p7] ]\n"
    )
}

/// The host's own uplink, with a default route.
const UPLINK: &str = "ip link add m0 type veth peer name m1; ip addr add 203.0.113.2/24 dev m0; ip link set m0 up; \
                      ip link set m1 up; ip route add default via 203.0.113.1 dev m0";

#[test]
fn the_machines_own_default_route_is_in_the_way_and_stays() {
    sandbox();
    run(UPLINK);
    let before = host_account();
    let lab = with_host("    routes: [ { to: default, via: 10.77.0.2 } ]\n");
    let plan = on(&lab, &["plan"], 0);
    assert!(plan.contains("route default via 203.0.113.1 dev m0 of host exists and was not made by nslab"), "{plan}");
    assert!(!plan.contains("replace route"), "{plan}");
    on(&lab, &["apply"], 3);
    on(&lab, &["apply", "--adopt"], 3);
    before.assert_same(&host_account(), "refused");
}

#[test]
fn a_route_of_somebody_elses_through_the_labs_bridge_is_left_alone() {
    sandbox();
    let lab = with_host("");
    on(&lab, &["apply"], 0);
    run("ip route add 10.55.0.0/16 via 10.77.0.2");
    on(&lab, &["plan", "--exit-code"], 0);
    on(&lab, &["apply"], 0);
    assert!(run("ip route").contains("10.55.0.0/16"));
}

/// What the model cannot express carries nslab's number and no lab's name; and what it can no longer recognise as the
/// other lab's neither.
#[test]
fn what_another_lab_has_in_the_host_is_left_alone_when_it_was_altered() {
    sandbox();
    let one = "name: one\nnamespaces:\n  host:\n    routes: [{ to: 10.9.0.0/24, via: 10.1.0.2 }, { to: 10.67.0.0/16, \
               type: blackhole }]\n    rules: [{ from: 10.77.0.0/16, table: 77, priority: 77 }]\n    \
               interfaces: { v: { addresses: [10.1.0.1/24] } }\n  a: { interfaces: { e: { addresses: [10.1.0.2/24] } } \
               }\nlinks: [[host/v, a/e]]\n";
    on(one, &["apply"], 0);
    run("ip route change 10.9.0.0/24 via 10.1.0.2 mtu 1400 proto 213; \
         ip route replace unreachable 10.67.0.0/16 proto 213; ip rule del priority 77; \
         ip rule add from 10.77.0.0/16 ipproto udp table 77 priority 77 protocol 213");
    let other = "name: two\nnamespaces:\n  host: { rules: [{ from: 10.78.0.0/16, table: 78, priority: 78 }] }\n";
    let plan = on(other, &["plan"], 0);
    assert!(!plan.contains("remove"), "{plan}");
    on(other, &["apply"], 0);
    on(other, &["destroy"], 0);
    let left = run("ip route; ip rule");
    for text in ["10.9.0.0/24", "unreachable 10.67.0.0/16", "from 10.77.0.0/16 ipproto udp"] {
        assert!(left.contains(text), "{text} is gone:\n{left}");
    }
}

/// The others have learned a MAC address that no interface has any more, and believe it for up to a minute.
#[test]
fn whoever_is_made_anew_is_reached_at_once() {
    sandbox();
    let lab = "name: anew
namespaces:
  host: { bridges: { br7: { addresses: [10.77.0.1/24], ports: [p1, p2] } } }
  red: { interfaces: { eth0: { addresses: [10.77.0.2/24] } } }
  blue: { interfaces: { eth0: { addresses: [10.77.0.3/24] } } }
links: [ [red/eth0, host/p1], [blue/eth0, host/p2] ]
checks: [ { from: [host, red], to: blue } ]
";
    on(lab, &["apply", "--check"], 0);
    run("ip netns del blue");
    on(lab, &["apply", "--check"], 0);
}

#[test]
fn a_state_folder_that_somebody_has_mounted_stays() {
    sandbox();
    run("mkdir /run/nslab; mount -t tmpfs tmpfs /run/nslab");
    let lab = with_host("");
    on(&lab, &["apply"], 0);
    on(&lab, &["destroy"], 0);
    assert_eq!(run("ls -A /run/nslab; ip netns"), "");
}

#[test]
fn a_name_that_only_a_kill_left_is_made_anew() {
    sandbox();
    let lab = with_host("");
    let before = host_account();
    run("printf 'nslab:own\\n' > /run/netns/red");
    on(&lab, &["apply"], 0);
    on(&lab, &["plan", "--exit-code"], 0);
    on(&lab, &["destroy"], 0);
    before.assert_same(&host_account(), "destroyed");
}

#[test]
fn a_foreign_file_under_a_wanted_name_is_told_before_anything_is_touched() {
    sandbox();
    run("echo mine > /run/netns/red");
    let before = host_account();
    let said = on(&with_host(""), &["apply"], 3);
    assert!(said.contains("namespace red exists and was not made by nslab"), "{said}");
    before.assert_same(&host_account(), "refused");
    assert_eq!(run("cat /run/netns/red"), "mine\n");
    run("printf 'nslab:other\\n' > /run/netns/red");
    let said = on(&with_host(""), &["apply"], 3);
    assert!(said.contains("namespace red exists and belongs to lab other"), "{said}");
}

#[test]
fn several_addresses_of_a_subnet_can_go_at_once() {
    sandbox();
    let lab = |addresses: &str| with_host("").replace("10.77.0.2/24", addresses);
    on(&lab("10.77.0.2/24, 10.77.0.3/24, 10.77.0.4/24"), &["apply"], 0);
    on(&lab("10.77.0.5/24"), &["apply"], 0);
    on(&lab("10.77.0.5/24"), &["plan", "--exit-code"], 0);
    on(&lab("10.77.0.6/24, 10.77.0.5/24"), &["apply"], 0);
    on(&lab("10.77.0.6/24, 10.77.0.5/24"), &["plan", "--exit-code"], 0);
}

#[test]
fn addresses_are_given_in_the_order_of_the_file() {
    sandbox();
    on(&with_host("").replace("10.77.0.2/24", "10.77.0.9/24, 10.77.0.3/24"), &["apply"], 0);
    assert_eq!(run("ip -n red -4 -o addr show dev eth0 primary | awk '{print $4}'"), "10.77.0.9/24\n");
}

/// Packets leave with the first address of a subnet.
#[test]
fn the_first_address_of_a_subnet_is_put_back_in_its_place() {
    let lab = with_host("")
        .replace("10.77.0.2/24", "10.77.0.9/24, 10.77.0.3/24, 10.77.0.5/24")
        .replace("] } } }\n", "] } }, routes: [ { to: default, via: 10.77.0.1 } ] }\n");
    for promote in [0, 1] {
        sandbox();
        on(&lab, &["apply"], 0);
        run(&format!("ip netns exec red sysctl -qw net.ipv4.conf.all.promote_secondaries={promote}"));
        for order in ["3 5 9", "5 3 9", "3 9 5", "5", "3 5"] {
            run(&format!(
                "ip -n red addr flush dev eth0; for n in {order}; do ip -n red addr add 10.77.0.$n/24 dev eth0; done; \
                          ip -n red route add default via 10.77.0.1"
            ));
            on(&lab, &["plan", "--exit-code"], 1);
            on(&lab, &["apply"], 0);
            on(&lab, &["plan", "--exit-code"], 0);
            let first = run("ip -n red -4 -o addr show dev eth0 primary | awk '{print $4}'");
            assert_eq!(first, "10.77.0.9/24\n", "{order}, promote_secondaries {promote}");
            assert!(run("ip -n red route get 10.77.0.1").contains("src 10.77.0.9"));
        }
        // The order of the others is of no account.
        run("ip -n red addr del 10.77.0.3/24 dev eth0; ip -n red addr add 10.77.0.3/24 dev eth0");
        on(&lab, &["plan", "--exit-code"], 0);
    }
}

#[test]
fn a_lost_built_in_policy_rule_is_mended() {
    sandbox();
    on(&with_host(""), &["apply"], 0);
    run("ip -n red rule del pref 32766");
    let plan = on(&with_host(""), &["plan", "--exit-code"], 1);
    assert!(plan.contains("priority 32766 from all lookup 254 in red (every namespace has it)"), "{plan}");
    on(&with_host(""), &["apply"], 0);
    on(&with_host(""), &["plan", "--exit-code"], 0);
}

/// A later step fails: what the kernel took along with an earlier one comes back.
#[test]
fn undoing_brings_back_what_the_kernel_took_along() {
    sandbox();
    let lab = |address: &str, sysctl: &str| {
        format!(
            "name: undo\nnamespaces:\n  red:\n    interfaces: {{ eth0: {{ addresses: [{address}/24] }} }}\n    \
             routes: [ {{ to: default, via: 10.77.0.1 }} ]\n{sysctl}  blue: {{ interfaces: {{ eth0: {{ addresses: \
             [10.77.0.1/24] }} }} }}\n\
             links: [ [red/eth0, blue/eth0] ]\n"
        )
    };
    on(&lab("10.77.0.2", ""), &["apply"], 0);
    let account = || {
        at_rest();
        run("ip -n red -j addr show dev eth0 | sed 's/[a-z_]*_life_time\":[0-9]*//g'; ip -n red route; ip -n red rule")
    };
    let before = account();
    let said = on(&lab("10.77.0.9", "    sysctls: { net.ipv4.no_such_thing: 1 }\n"), &["apply"], 3);
    assert!(said.contains("undone"), "{said}");
    assert_eq!(account(), before);
    on(&lab("10.77.0.2", ""), &["plan", "--exit-code"], 0);
}

#[test]
fn a_lab_that_is_right_but_not_ours_is_left_alone_and_nothing_is_noted_of_it() {
    sandbox();
    run("ip netns add red; ip -n red link set lo up; ip netns add blue; ip -n blue link set lo up; \
         ip -n red link add eth0 up type veth peer name eth0 netns blue; ip -n blue link set eth0 up");
    let lab = "name: own\nnamespaces: { red: {}, blue: {} }\nlinks: [ [red/eth0, blue/eth0] ]\n";
    let said = on(lab, &["apply"], 0);
    assert!(said.contains("nothing to do") && said.contains("--adopt"), "{said}");
    assert_eq!(run("ls /run/nslab 2>/dev/null || true"), "");
    on(lab, &["apply", "--adopt"], 0);
    on(lab, &["destroy"], 0);
    assert_eq!(run("ls /run/netns"), "");
}

#[test]
fn a_secondary_address_goes_without_touching_the_first() {
    sandbox();
    on(&with_host(""), &["apply"], 0);
    run("ip -n red addr add 10.77.0.77/24 dev eth0");
    let plan = on(&with_host(""), &["plan", "--exit-code"], 1);
    assert!(plan.contains("1 step to do"), "{plan}");
    on(&with_host(""), &["apply"], 0);
    on(&with_host(""), &["plan", "--exit-code"], 0);
}

#[test]
fn a_lab_built_by_hand_is_taken_over_if_asked_for() {
    sandbox();
    let before = host_account();
    run("ip netns add red; ip -n red link set lo up; ip link add br7 type bridge; ip link add p7 type veth peer name \
         eth0 netns red; \
         ip link set p7 master br7 up; ip -n red link set eth0 up; ip addr add 10.77.0.1/24 dev br7; ip link set br7 \
         up");
    on(&with_host(""), &["apply"], 3);
    let said = on(&with_host(""), &["apply", "--adopt"], 0);
    assert!(
        said.contains("take ownership of namespace red") && said.contains("give red/eth0 the address 10.77.0.2/24"),
        "{said}"
    );
    on(&with_host(""), &["plan", "--exit-code"], 0);
    on(&with_host(""), &["apply"], 0);
    on(&with_host(""), &["destroy"], 0);
    before.assert_same(&host_account(), "destroyed");
}

/// A lab with these lines in namespace `red`; an interface with a long name in it.
fn with_settings(lines: &str) -> String {
    format!(
        "name: own\nnamespaces:\n  red:\n    interfaces: {{ veth-red-uplink: {{}} }}\n{lines}  blue: {{}}\n\
         links: [ [red/veth-red-uplink, blue/eth0] ]\n"
    )
}

/// More settings, with longer names, than the alias of an interface could hold.
const MANY_SETTINGS: &str = "    forwarding: true\n    sysctls:\n      net.ipv4.tcp_rmem: 4096 131072 131073\n      \
    net.ipv4.ip_default_ttl: 33\n      net.ipv4.conf.all.promote_secondaries: 1\n      \
    net.ipv4.conf.veth-red-uplink.arp_ignore: 2\n      net.ipv4.conf.veth-red-uplink.arp_announce: 2\n      \
    net.ipv4.conf.veth-red-uplink.rp_filter: 2\n      net.ipv4.conf.veth-red-uplink.log_martians: 1\n      \
    net.ipv4.neigh.veth-red-uplink.mcast_solicit: 7\n      net.ipv6.conf.veth-red-uplink.accept_ra: 0\n      \
    net.ipv6.conf.veth-red-uplink.hop_limit: 77\n";

/// What the kernel says of the settings of `red`.
fn settings_of_red() -> String {
    run("ip netns exec red sysctl -a 2>/dev/null | grep '^net.ip' | grep -vE 'stable_secret|tcp_fastopen_key'")
}

/// What is noted in `red` of former values.
fn notes_of_red() -> String {
    run("ip -n red link show lo | grep altname || true")
}

#[test]
fn settings_taken_out_of_the_file_go_back() {
    sandbox();
    on(&with_settings(""), &["apply"], 0);
    let fresh = settings_of_red();
    on(&with_settings(MANY_SETTINGS), &["apply"], 0);
    assert_ne!(settings_of_red(), fresh);
    run("rm -r /run/nslab");
    let plan = on(&with_settings(""), &["plan", "--exit-code"], 1);
    assert!(plan.contains("set net.ipv4.ip_forward to 0 in red (it is 1, and the file no longer sets it)"), "{plan}");
    assert!(plan.contains("11 steps to do"), "{plan}");
    on(&with_settings(""), &["apply"], 0);
    on(&with_settings(""), &["plan", "--exit-code"], 0);
    assert_eq!(settings_of_red(), fresh);
    assert_eq!(notes_of_red(), "");
}

#[test]
fn a_setting_that_was_right_and_drifted_goes_back_to_what_it_was_at_first() {
    sandbox();
    on(&with_settings("    sysctls: { net.ipv4.conf.all.arp_ignore: 0 }\n"), &["apply"], 0);
    run("ip netns exec red sysctl -qw net.ipv4.conf.all.arp_ignore=1");
    on(&with_settings("    sysctls: { net.ipv4.conf.all.arp_ignore: 0 }\n"), &["apply"], 0);
    on(&with_settings("    sysctls: { net.ipv4.conf.all.arp_ignore: 2 }\n"), &["apply"], 0);
    on(&with_settings(""), &["apply"], 0);
    assert_eq!(run("ip netns exec red sysctl -n net.ipv4.conf.all.arp_ignore"), "0\n");
    assert_eq!(notes_of_red(), "");
}

#[test]
fn a_setting_goes_with_its_interface() {
    sandbox();
    let setting = "    sysctls: { net.ipv4.conf.veth-red-uplink.arp_ignore: 1 }\n";
    on(&with_settings(setting), &["apply"], 0);
    on("name: own\nnamespaces: { red: {}, blue: {} }\n", &["apply"], 0);
    assert_eq!(notes_of_red(), "");
    on(&with_settings(setting), &["apply"], 0);
    // Made anew, it has what every new one has.
    run("ip -n blue link del eth0");
    on(&with_settings(""), &["apply"], 0);
    assert_eq!(run("ip netns exec red sysctl -n net.ipv4.conf.veth-red-uplink.arp_ignore"), "0\n");
    on(&with_settings(""), &["plan", "--exit-code"], 0);
}

#[test]
fn a_failed_edit_forgets_what_it_noted() {
    sandbox();
    on(&with_settings("    forwarding: true\n"), &["apply"], 0);
    let (settings, notes) = (settings_of_red(), notes_of_red());
    let contrary =
        "    sysctls: { net.ipv4.conf.all.arp_ignore: 1, net.ipv4.conf.all.log_martians: 1, net.no_such: 1 }\n";
    on(&with_settings(contrary), &["apply"], 3);
    assert_eq!((settings_of_red(), notes_of_red()), (settings, notes));
}

#[test]
fn a_mark_taken_off_is_put_back_on() {
    for damage in [
        "ip link set p7 alias ''",
        "ip link set br7 alias ''",
        "ip link set p7 alias ''; ip link set br7 group default",
        "ip link set br7 group default; ip link set p7 group 77",
    ] {
        sandbox();
        let lab = with_host("    forwarding: true\n");
        let before = host_account();
        let marks = || run("ip link | grep -oE '^[0-9]+: [a-z0-9]+|group [0-9a-z]+|alias .*'");
        on(&lab, &["apply"], 0);
        let marked = marks();
        run(damage);
        let plan = on(&lab, &["plan", "--exit-code"], 1);
        assert!(plan.contains("take ownership of host/") && plan.contains("one is missing"), "{plan}");
        on(&lab, &["apply"], 0);
        assert_eq!(marks(), marked);
        on(&lab, &["plan", "--exit-code"], 0);
        // Also while it is off, everything is removed.
        run(damage);
        on(&lab, &["destroy"], 0);
        before.assert_same(&host_account(), damage);
    }
}

/// A run that fails leaves the lab's interfaces its own.
#[test]
fn a_mark_that_was_put_back_on_stays_on_when_the_rest_is_undone() {
    sandbox();
    on(&with_host(""), &["apply"], 0);
    run("ip link set br7 alias ''");
    on(&with_host("    sysctls: { net.ipv4.no_such_thing: 1 }\n"), &["apply"], 3);
    on(&with_host(""), &["apply"], 0);
    on(&with_host(""), &["plan", "--exit-code"], 0);
}

/// A lab whose policy rules let nothing through.
const REFUSING: &str = "
name: own
namespaces:
  host:
    bridges: { br7: { addresses: [10.77.0.1/24], ports: [p7] } }
    routes: [ { to: 10.9.0.0/16, via: 10.77.0.2 } ]
    rules: [ { to: 10.77.0.0/24, priority: 1, type: KIND } ]
  red:
    interfaces: { eth0: { addresses: [10.77.0.2/24, 'fd77::2/64'] } }
    routes:
      - { to: default, via: 10.77.0.1 }
      - { to: 10.8.0.0/16, via: 10.77.0.1, table: 100 }
      - { to: default, via: 'fd77::1' }
      - { to: default, via: 'fd77::1', table: 100 }
    rules: [ { priority: 5, type: KIND }, { priority: 5, type: KIND, family: 6 } ]
links: [ [red/eth0, host/p7] ]
";

/// The kernel looks a route's gateway up by the policy rules, which may refuse everything.
#[test]
fn a_lost_route_comes_back_under_rules_that_let_nothing_through() {
    for kind in ["prohibit", "blackhole", "unreachable"] {
        sandbox();
        let lab = REFUSING.replace("KIND", kind);
        on(&lab, &["apply"], 0);
        let account = || {
            at_rest();
            let of = |ip: &str| format!("{ip} route show table all; {ip} rule;");
            let text = run(&["ip", "ip -n red", "ip -n red -6"].map(of).concat());
            text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        let before = account();
        for damage in [
            "ip -n red route del default; ip -n red route del 10.8.0.0/16 table 100",
            "ip -n red -6 route del default; ip -n red -6 route del default table 100",
            "ip route del 10.9.0.0/16",
            "ip -n red addr del 10.77.0.2/24 dev eth0",
        ] {
            run(damage);
            let plan = on(&lab, &["plan", "--exit-code"], 1);
            assert!(!plan.contains(kind), "the rules are right: {plan}");
            on(&lab, &["apply"], 0);
            on(&lab, &["plan", "--exit-code"], 0);
            assert_eq!(account(), before, "{damage}");
        }
    }
}

/// Of the rules of one priority, the kernel removes the first that has what the request says, and perhaps more.
#[test]
fn policy_rules_that_say_more_are_not_taken_for_one_that_says_less() {
    sandbox();
    let strangers = "from 10.5.0.0/16 lookup 77 priority 2000";
    run(&format!("ip rule add {strangers}"));
    let before = host_account();
    let lab = |rules: &str| with_host(&format!("    rules: [ {rules} ]\n"));
    let (more, less) = ("{ priority: 2000, from: 10.6.0.0/16, table: 77 }", "{ priority: 2000, table: 77 }");
    let both = format!("{more}, {less}");
    // The one that says less is the last of them, and goes first.
    on(&lab(more), &["apply"], 0);
    on(&lab(&both), &["apply"], 0);
    on(&lab(more), &["apply"], 0);
    on(&lab(more), &["plan", "--exit-code"], 0);
    let rules = run("ip rule show priority 2000");
    assert!(rules.contains("10.5.0.0/16") && rules.contains("10.6.0.0/16") && !rules.contains("all"), "{rules}");
    // Both go, by nslab and by the printed script.
    on(&lab(&both), &["apply"], 0);
    on(&lab(&both), &["destroy"], 0);
    before.assert_same(&host_account(), "destroyed");
    on(&lab(more), &["apply"], 0);
    on(&lab(&both), &["apply"], 0);
    run(&on(&lab(&both), &["commands", "--undo"], 0));
    before.assert_same(&host_account(), "undone by hand");
}

#[test]
fn a_file_whose_name_was_changed_leads_to_the_lab_it_made() {
    sandbox();
    on(&with_host(""), &["apply"], 0);
    let renamed = with_host("").replace("name: own", "name: other");
    let said = on(&renamed, &["destroy"], 0);
    assert!(said.contains("nothing to remove") && said.contains("nslab destroy own"), "{said}");
    on(&with_host(""), &["destroy"], 0);
    assert!(!on(&renamed, &["destroy"], 0).contains("nslab destroy own"));
}

#[test]
fn what_another_lab_has_is_refused_also_where_it_is_as_wanted() {
    sandbox();
    let file = with_host("");
    on(&file, &["apply"], 0);
    let copy = file.replace("name: own", "name: copy");
    assert!(on(&copy, &["plan"], 0).contains("Owned by another lab; apply refuses:"));
    for args in [&["apply"][..], &["apply", "--adopt"]] {
        let said = on(&copy, args, 3);
        assert!(said.contains("namespace red exists and belongs to lab own") && !said.contains("--adopt"), "{said}");
    }
    assert_eq!(on(&copy.replace("10.77.0.2", "10.77.0.9"), &["plan"], 0).matches("--adopt").count(), 0);
    assert_eq!(run("ls /run/nslab").trim(), "own");
    assert!(on(&file, &["plan"], 0).contains("the kernel is as the file says"));
}
