//! What programs in namespaces find in `/etc`: under `nslab exec`, under `ip netns exec`, and the machine's own, which
//! stays as it is.

mod support;

use support::{nslab, run, sandbox, sh, text};

const FILE: &str = "/run/names.yaml";

const LAB: &str = r#"
name: names
namespaces:
  red: { interfaces: { eth0: { addresses: [10.0.0.1/24, "fd00::1/64"] } } }
  blue:
    interfaces: { eth0: { addresses: [10.0.0.2/24] } }
    dns: { nameservers: [10.0.0.1], search: [example.org, lab], options: ["ndots:2", rotate] }
  green: { hosts: { db: 10.0.0.9, www.example.org: [10.0.0.9, "fd00::9"] } }
  grey: { hosts: machine }
  # Called like a file.
  hosts: {}
links: [[red/eth0, blue/eth0]]
"#;

const LAB_HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n10.0.0.1 red\nfd00::1 red\n\
                         10.0.0.2 blue\n";

/// A sandbox with an `/etc` of its own, in which `/etc/netns` can be.
fn own_etc() {
    sandbox();
    support::own_etc();
    std::fs::write(FILE, LAB).unwrap();
}

/// The machine's own files: names, kinds, inodes and contents.
fn machines() -> String {
    run("find /etc -path /etc/netns -prune -o -printf '%p %y %i %m %s %T@\\n' | sort
         find /etc -path /etc/netns -prune -o -type f -print0 | sort -z | xargs -0 md5sum")
}

#[track_caller]
fn ends(code: i32, args: &[&str]) -> String {
    let output = nslab(args);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

fn etc_of(how: &str, ns: &str, file: &str) -> String {
    match how {
        "nslab" => ends(0, &["exec", "names", ns, "--", "cat", &format!("/etc/{file}")]),
        _ => run(&format!("ip netns exec {ns} cat /etc/{file}")),
    }
}

#[test]
fn programs_find_what_the_file_says_and_the_machine_keeps_its_own() {
    own_etc();
    let before = machines();
    ends(0, &["apply", FILE]);
    let machines_hosts = run("cat /etc/hosts");
    for how in ["nslab", "ip netns"] {
        for (ns, hosts) in [("red", LAB_HOSTS), ("blue", LAB_HOSTS), ("grey", &*machines_hosts)] {
            assert_eq!(etc_of(how, ns, "hosts"), hosts, "{how} {ns}");
            assert_eq!(etc_of(how, ns, "hostname"), format!("{ns}\n"), "{how}");
        }
        assert!(
            etc_of(how, "green", "hosts")
                .ends_with("\n10.0.0.9 db\n10.0.0.9 www.example.org\nfd00::9 www.example.org\n")
        );
        let resolver = "nameserver 10.0.0.1\nsearch example.org lab\noptions ndots:2 rotate\n";
        assert_eq!(etc_of(how, "blue", "resolv.conf"), resolver);
        assert_eq!(etc_of(how, "red", "resolv.conf"), run("cat /etc/resolv.conf"));
    }
    assert!(ends(0, &["exec", "names", "blue", "--", "getent", "ahosts", "red"]).contains("10.0.0.1"));
    assert_eq!(nslab(["exec", "names", "green", "--", "getent", "hosts", "red"]).status.code(), Some(2));
    assert_eq!(machines(), before);
    ends(0, &["plan", "--exit-code", FILE]);
    ends(0, &["destroy", "names"]);
    assert_eq!(machines(), before);
    assert_eq!(run("ls -A /etc/netns; ls -A /run/nslab 2>/dev/null || true"), "");
}

#[test]
fn whoever_has_a_file_open_sees_what_becomes_of_it() {
    own_etc();
    ends(0, &["apply", FILE]);
    let mut sleeper = std::process::Command::new(env!("CARGO_BIN_EXE_nslab"))
        .args(["exec", "names", "red", "--", "sleep", "60"])
        .spawn()
        .unwrap();
    let seen = format!("cat /proc/{}/root/etc/hosts", sleeper.id());
    for _ in 0..200 {
        if sh(&seen).stdout == LAB_HOSTS.as_bytes() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    run(&format!("sed -i 's,10.0.0.2/24,10.0.0.3/24,' {FILE}"));
    ends(0, &["apply", FILE]);
    assert_eq!(run(&seen), LAB_HOSTS.replace("10.0.0.2", "10.0.0.3"));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    ends(0, &["destroy", "names"]);
}

#[test]
fn what_is_altered_is_planned_and_mended() {
    own_etc();
    ends(0, &["apply", FILE]);
    for (damage, step) in [
        ("rm /etc/netns/red", "make the link /etc/netns/red"),
        ("echo 10.0.0.7 red >> /run/nslab/names/etc/.hosts", "write down the names of the lab's namespaces"),
        ("rm /run/nslab/names/etc/.hosts", "write down the names of the lab's namespaces"),
        ("echo else > /run/nslab/names/etc/blue/hostname", "write /etc/hostname of blue"),
        ("rm /run/nslab/names/etc/blue/resolv.conf", "write /etc/resolv.conf of blue"),
        ("echo nameserver 1.2.3.4 > /run/nslab/names/etc/red/resolv.conf", "remove /etc/resolv.conf of red"),
        ("rm -r /run/nslab/names/etc/green", "write /etc/hosts and /etc/hostname of green"),
        ("ln -sfn ../.hosts /run/nslab/names/etc/grey/hosts", "remove /etc/hosts of grey"),
    ] {
        run(damage);
        let plan = ends(1, &["plan", "--exit-code", FILE]);
        assert!(plan.contains("1 step to do") && plan.contains(step), "{damage}: {plan}");
        ends(0, &["apply", FILE]);
        ends(0, &["plan", "--exit-code", FILE]);
    }
    // A namespace less, and then none of it any more.
    run(&format!("sed -i '/grey/d' {FILE}"));
    assert!(ends(0, &["apply", FILE]).contains("remove /etc/hostname of grey"));
    run("rm /run/nslab/names/etc/green/*; mkdir /run/nslab/names/etc/gone");
    run(&format!("sed -i '/dns:/d; s/hosts: .*9\"] }} }}/interfaces: {{}} }}/' {FILE}"));
    ends(0, &["apply", FILE]);
    assert_eq!(run("ls -A /etc/netns; ls -d /run/nslab/names/etc 2>/dev/null || true"), "");
    ends(0, &["plan", "--exit-code", FILE]);
    ends(0, &["destroy", "names"]);
}

#[test]
fn a_script_writes_the_same_and_removes_it() {
    own_etc();
    run("umount /etc/netns; rmdir /etc/netns");
    let before = run("ls -la /etc | grep -v ' \\.\\.*$' | md5sum; ls -A /run/nslab 2>/dev/null || true");
    let script = |more: &[&str]| ends(0, &[&["commands"], more, &[FILE]].concat());
    std::fs::write("/run/build.sh", script(&[])).unwrap();
    std::fs::write("/run/remove.sh", script(&["--undo"])).unwrap();
    run("sh /run/build.sh");
    assert_eq!(etc_of("ip netns", "blue", "hosts"), LAB_HOSTS);
    run("sh /run/remove.sh");
    assert_eq!(run("ls -la /etc | grep -v ' \\.\\.*$' | md5sum; ls -A /run/nslab 2>/dev/null || true"), before);
}

#[test]
fn what_somebody_else_keeps_there_is_left_alone() {
    own_etc();
    run(
        "mkdir /etc/netns/red; echo nameserver 192.0.2.1 > /etc/netns/red/resolv.conf; ln -s /run/nslab/old/etc/blue /etc/netns/blue",
    );
    let refused = ends(3, &["apply", FILE]);
    assert!(refused.contains("/etc/netns/red exists and was not made by nslab"), "{refused}");
    assert_eq!(run("ip netns; ls -A /etc/netns"), "blue\nred\n");
    // A lab that says nothing of such files has no use for the place; what is there comes first.
    run(&format!("sed -i '/dns:/d; /hosts:/d' {FILE}"));
    ends(0, &["apply", FILE]);
    assert_eq!(etc_of("nslab", "red", "resolv.conf"), "nameserver 192.0.2.1\n");
    ends(0, &["destroy", "names"]);
    // What a lab has left behind, whose files are gone, is nobody's.
    run("rm -r /etc/netns/red");
    std::fs::write(FILE, LAB).unwrap();
    ends(0, &["apply", FILE]);
    assert_eq!(run("readlink /etc/netns/blue"), "/run/nslab/names/etc/blue\n");
    // The state is lost: the links say whose they are.
    run("rm -r /run/nslab");
    ends(0, &["destroy", "names"]);
    assert_eq!(run("ls -A /etc/netns"), "");
}

#[test]
fn without_a_word_of_it_only_commands_of_nslab_know_the_names() {
    own_etc();
    run(&format!("sed -i '/dns:/d; /hosts:/d' {FILE}"));
    ends(0, &["apply", FILE]);
    assert_eq!(etc_of("nslab", "red", "hosts"), LAB_HOSTS);
    assert_eq!(etc_of("nslab", "blue", "hostname"), "blue\n");
    assert_eq!(etc_of("ip netns", "red", "hosts"), run("cat /etc/hosts"));
    assert_eq!(run("ls -A /etc/netns; ls -d /run/nslab/names/etc 2>/dev/null || true"), "");
    assert!(!ends(0, &["exec", "names", "red", "--", "cat", "/proc/self/mounts"]).contains("/run/nslab tmpfs"));
    ends(0, &["destroy", "names"]);
}

#[test]
fn in_a_private_host_the_machines_etc_is_not_written() {
    sandbox();
    std::fs::write(FILE, LAB).unwrap();
    let before = run("ls -la /etc | md5sum; ls -la /etc/netns 2>/dev/null || true");
    let said = ends(0, &["apply", FILE]);
    assert!(said.contains("`ip netns exec` does not") && said.contains("[not-linked]"), "{said}");
    ends(0, &["plan", "--exit-code", FILE]);
    assert_eq!(etc_of("nslab", "red", "hosts"), LAB_HOSTS);
    ends(0, &["destroy", "names"]);
    assert_eq!(run("ls -la /etc | md5sum; ls -la /etc/netns 2>/dev/null || true"), before);
}

#[test]
fn a_private_host_has_links_of_its_own() {
    own_etc();
    ends(0, &["apply", FILE]);
    let outside = run("ls -l --time-style=full-iso /etc/netns");
    let inside = "nslab sandbox -- sh -ec '
        [ -z \"$(ls -A /etc/netns)\" ]
        nslab apply - >&2
        ip netns exec red cat /etc/hosts'";
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_nslab")).parent().unwrap().display().to_string();
    assert_eq!(run(&format!("export PATH={folder}:$PATH; {inside} < {FILE}")), LAB_HOSTS);
    assert_eq!(run("ls -l --time-style=full-iso /etc/netns"), outside);
    ends(0, &["destroy", "names"]);
}
