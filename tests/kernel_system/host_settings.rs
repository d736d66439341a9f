//! Sysctls, and the counting of host settings across labs.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use nslab::engine::{Machine, host_settings};
use nslab::kernel::{Kernel, KernelError, netns, sysctl};
use nslab::lab::{LabName, NsName, SysctlKey, SysctlValue};
use nslab::steps::{Step, SysctlStep};

use crate::support::{run, sandbox};

const FORWARD: &str = "net.ipv4.ip_forward";

fn key(text: &str) -> SysctlKey {
    text.parse().unwrap()
}

fn value(text: &str) -> SysctlValue {
    text.parse().unwrap()
}

fn lab(text: &str) -> LabName {
    text.parse().unwrap()
}

fn host() -> OwnedFd {
    netns::open(&NsName::host()).unwrap()
}

/// What the kernel says of a setting of the host.
fn kernel(key: &str) -> String {
    run(&format!("sysctl -n {key}")).trim().to_owned()
}

/// Everything that is remembered about host settings.
fn remembered() -> String {
    run("cd /run/nslab/host 2>/dev/null && find . -path './net*' | sort || true")
}

fn try_set(name: &str, setting: &str, to: &str) -> Result<(), KernelError> {
    let (ns, key, from, to, lab) = (NsName::host(), key(setting), None, value(to), lab(name));
    Machine::open()?.run(&[Step::Sysctl(SysctlStep::Set { ns, key, from, to, lab })])
}

fn set(name: &str, to: &str) {
    try_set(name, FORWARD, to).unwrap();
}

fn restore(name: &str) {
    Machine::open().unwrap().run(&[restore_step(name)]).unwrap();
}

fn claim(name: &str, to: &str) -> Result<bool, KernelError> {
    host_settings::claim(&mut Kernel::open()?, &key(FORWARD), &value(to), &lab(name))
}

fn set_step(name: &str) -> Step {
    Step::Sysctl(SysctlStep::Set { ns: NsName::host(), key: key(FORWARD), from: None, to: value("1"), lab: lab(name) })
}

fn restore_step(name: &str) -> Step {
    Step::Sysctl(SysctlStep::RestoreHost { key: key(FORWARD), lab: lab(name) })
}

fn script(step: &Step) {
    run(&step.script().join("\n"));
}

#[test]
fn a_namespace_has_settings_of_its_own() {
    sandbox();
    run("ip netns add red");
    let red: NsName = "red".parse().unwrap();
    let ns = netns::open(&red).unwrap();
    let keys: BTreeSet<_> = [
        FORWARD,
        "net.ipv4.ip_local_port_range",
        "net.ipv6.conf.lo.disable_ipv6",
        "net.ipv4.no_such_setting",
        // They exist but have no value yet.
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv6.conf.lo.stable_secret",
    ]
    .map(key)
    .into();
    sysctl::write(ns.as_fd(), &red, &key(FORWARD), &value("1")).unwrap();
    sysctl::write(ns.as_fd(), &red, &key("net.ipv4.ip_local_port_range"), &value("20000 30000")).unwrap();
    let read = sysctl::read(ns.as_fd(), &keys).unwrap();
    let read: Vec<_> = read.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    assert_eq!(
        read,
        ["net.ipv4.ip_forward = 1", "net.ipv4.ip_local_port_range = 20000 30000", "net.ipv6.conf.lo.disable_ipv6 = 0"]
    );
    assert_eq!(run(&format!("ip netns exec red sysctl -n {FORWARD}")).trim(), "1");
    assert_eq!(kernel(FORWARD), "0");
    assert!(sysctl::read(ns.as_fd(), &BTreeSet::new()).unwrap().is_empty());
}

#[test]
fn a_dot_in_an_interface_name_is_no_folder() {
    sandbox();
    run("ip link add eth0.1 type bridge");
    let key = key("net.ipv4.conf.eth0/1.rp_filter");
    sysctl::write(host().as_fd(), &NsName::host(), &key, &value("2")).unwrap();
    assert_eq!(run("cat /proc/sys/net/ipv4/conf/eth0.1/rp_filter").trim(), "2");
}

#[test]
fn a_refusal_names_the_setting_and_what_to_do() {
    sandbox();
    let refusal = |name: &str, to: &str| {
        sysctl::write(host().as_fd(), &NsName::host(), &key(name), &value(to)).unwrap_err().to_string()
    };
    let missing = refusal("net.ipv4.conf.nosuch.forwarding", "1");
    assert!(missing.contains("net.ipv4.conf.nosuch.forwarding"), "{missing}");
    assert!(missing.contains("no such interface"), "{missing}");
    let word = refusal(FORWARD, "yes");
    assert!(word.contains("`yes`") && word.contains("does not take this value"), "{word}");
}

#[test]
fn the_last_lab_restores_whichever_it_is() {
    for (first, last) in [("a", "b"), ("b", "a")] {
        sandbox();
        let before = remembered();
        set("a", "1");
        set("b", "1");
        assert_eq!(host_settings::claimed_by(&lab("a")).unwrap(), [key(FORWARD)]);
        restore(first);
        assert_eq!(kernel(FORWARD), "1", "{last} still needs it");
        assert_eq!(host_settings::claimed_by(&lab(first)).unwrap(), []);
        restore(first);
        assert_eq!(kernel(FORWARD), "1", "a second removal of {first} changes nothing");
        restore(last);
        assert_eq!(kernel(FORWARD), "0");
        assert_eq!(remembered(), before);
    }
}

#[test]
fn a_claim_changes_nothing_but_counts() {
    sandbox();
    set("a", "1");
    claim("b", "1").unwrap();
    restore("a");
    assert_eq!(kernel(FORWARD), "1");
    restore("b");
    assert_eq!(kernel(FORWARD), "0");
}

#[test]
fn a_setting_that_had_no_value_has_none_again() {
    sandbox();
    let ports = "net.ipv4.ip_local_reserved_ports";
    try_set("a", ports, "8080").unwrap();
    assert_eq!(kernel(ports), "8080");
    let restore = SysctlStep::RestoreHost { key: key(ports), lab: lab("a") };
    Machine::open().unwrap().run(&[Step::Sysctl(restore)]).unwrap();
    assert_eq!(kernel(ports), "");
}

#[test]
fn the_printed_commands_and_nslab_undo_each_other() {
    // Who sets, who restores: nslab itself, or the commands that it prints.
    type Act = fn(&str);
    let sets: [Act; 2] = [|lab| set(lab, "1"), |lab| script(&set_step(lab))];
    let restores: [Act; 2] = [restore, |lab| script(&restore_step(lab))];
    for set_a in sets {
        for set_b in sets {
            for restore_a in restores {
                for restore_b in restores {
                    sandbox();
                    set_a("a");
                    set_b("b");
                    assert_eq!(kernel(FORWARD), "1");
                    restore_a("a");
                    assert_eq!(kernel(FORWARD), "1");
                    restore_b("b");
                    assert_eq!(kernel(FORWARD), "0");
                    assert_eq!(remembered(), "");
                }
            }
        }
    }
}

/// What the printed commands do not know, nslab does without: what the kernel changes along with forwarding, and which
/// values were set.
#[test]
fn the_printed_commands_and_nslab_write_the_same() {
    let files = || {
        run("cd /run/nslab/host && find . -type f -path './net*' ! -name along ! -name set | sort | xargs grep -H ''")
    };
    sandbox();
    set("a", "1");
    let ours = files();
    assert_eq!(ours, format!("./{FORWARD}/labs/a:1\n./{FORWARD}/was:0\n"));
    sandbox();
    script(&set_step("a"));
    assert_eq!(files(), ours);
}

#[test]
fn a_claim_to_another_value_is_refused() {
    sandbox();
    script(&set_step("a"));
    let before = remembered();
    let refused = claim("b", "0").unwrap_err().to_string();
    assert!(refused.contains("lab b") && refused.contains("lab a needs net.ipv4.ip_forward=1"), "{refused}");
    assert_eq!(remembered(), before);
    claim("b", "1").unwrap();
    // A claim of which the value is not known stands in nobody's way.
    run(&format!(": > /run/nslab/host/{FORWARD}/labs/a; rm /run/nslab/host/{FORWARD}/labs/b"));
    claim("b", "0").unwrap();
}

#[test]
fn what_a_crash_leaves_is_right() {
    // What stands in the state directory when the writer dies at each of its points, and the value then.
    let folder = format!("/run/nslab/host/{FORWARD}");
    let points = [
        (format!("mkdir -p {folder}"), "0"),
        (format!("mkdir -p {folder}/labs; : > {folder}/labs/a"), "0"),
        (format!("mkdir -p {folder}/labs; : > {folder}/labs/a; echo 0 > {folder}/.was.new"), "0"),
        (format!("mkdir -p {folder}/labs; : > {folder}/labs/a; echo 0 > {folder}/was"), "0"),
        (format!("mkdir -p {folder}/labs; : > {folder}/labs/a; echo 0 > {folder}/was"), "1"),
    ];
    for (left, value) in points {
        sandbox();
        run(&format!("umask 077; {left}; sysctl -qw {FORWARD}={value}"));
        restore("a");
        assert_eq!(kernel(FORWARD), "0", "after {left}");
        set("a", "1");
        restore("a");
        assert_eq!(kernel(FORWARD), "0", "after {left}, and another round");
        assert_eq!(remembered(), "", "after {left}");
    }
}

#[test]
fn looking_for_claims_makes_no_folders() {
    sandbox();
    let before = run("ls /run");
    assert_eq!(host_settings::claimed_by(&lab("a")).unwrap(), []);
    restore("a");
    assert_eq!(run("ls /run"), before);
}

#[test]
fn the_state_directory_is_private_and_no_link() {
    sandbox();
    run("mkdir -m 0777 /run/nslab");
    set("a", "1");
    assert_eq!(run("stat -c %a /run/nslab /run/nslab/host").lines().collect::<Vec<_>>(), ["700", "700"]);

    sandbox();
    run("mkdir /run/elsewhere; ln -s /run/elsewhere /run/nslab");
    let refused = try_set("a", FORWARD, "1").unwrap_err().to_string();
    assert!(refused.contains("/run/nslab"), "{refused}");
    assert_eq!(run("ls /run/elsewhere"), "");
    assert_eq!(kernel(FORWARD), "0");

    sandbox();
    run("mkdir /run/nslab; chown 65534 /run/nslab");
    let refused = try_set("a", FORWARD, "1").unwrap_err().to_string();
    assert!(refused.contains("belongs to user 65534"), "{refused}");
}
