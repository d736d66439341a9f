//! Settings of the host that several labs share, by way of the commands that people type: claimed, given back, refused,
//! and the host byte for byte what it was.

mod support;

use std::process::{Command, Output};

use support::{host_account, nslab, run, sandbox, text};

/// Writes a topology whose `host` has these lines; the file's name.
fn topology(lab: &str, host: &str) -> String {
    let file = format!("/run/{lab}.yaml");
    std::fs::write(&file, format!("name: {lab}\nnamespaces:\n  host: {{ {host} }}\n")).unwrap();
    file
}

#[track_caller]
fn expect(code: i32, args: &[&str]) -> String {
    let output = nslab(args);
    assert_eq!(output.status.code(), Some(code), "nslab {}:\n{}", args.join(" "), text(&output));
    text(&output)
}

fn forwarding() -> String {
    run("sysctl -n net.ipv4.ip_forward").trim().to_owned()
}

/// What is kept about the host's settings.
fn kept() -> String {
    run("cd /run/nslab/host 2>/dev/null && find . -path './net*' -type f | sort || true")
}

#[test]
fn a_lab_that_finds_everything_right_claims_it_all_the_same() {
    sandbox();
    expect(0, &["apply", &topology("k1", "forwarding: true")]);
    let second = topology("k2", "forwarding: true");
    assert!(expect(0, &["apply", &second]).contains("nothing to do"));
    expect(0, &["destroy", "k1"]);
    assert_eq!(forwarding(), "1", "k2 needs it");
    expect(0, &["destroy", "k2"]);
    assert_eq!(forwarding(), "0");
}

#[test]
fn labs_may_spell_one_value_in_several_ways() {
    sandbox();
    let before = host_account();
    let port = |lab, value| topology(lab, &format!("sysctls: {{ net.ipv4.ip_local_reserved_ports: {value} }}"));
    let files = [port("k1", "\"81-82,80\""), port("k2", "\"80,81,0x52\""), port("k3", "\"80-81\"")];
    expect(0, &["apply", &files[0]]);
    expect(0, &["apply", &files[1]]);
    assert_eq!(run("sysctl -n net.ipv4.ip_local_reserved_ports").trim(), "80-82");
    let refused = expect(3, &["apply", &files[2]]);
    assert!(refused.contains("lab k1 needs net.ipv4.ip_local_reserved_ports=81-82,80"), "{refused}");
    expect(0, &["destroy", "k1"]);
    expect(0, &["destroy", "k2"]);
    files.iter().for_each(|file| drop(run(&format!("rm {file}"))));
    before.assert_same(&host_account(), "afterwards");
}

#[test]
fn a_failed_edit_gives_back_what_it_claimed_and_no_more() {
    sandbox();
    let file = topology("k", "forwarding: true");
    expect(0, &["apply", &file]);
    let (before, claims) = (host_account(), kept());
    // The kernel has no such setting.
    topology("k", "forwarding: true, sysctls: { net.ipv4.conf.all.log_martians: 1, net.ipv4.no_such_thing: 1 }");
    expect(3, &["apply", &file]);
    before.assert_same(&host_account(), "after the failed edit");
    assert_eq!(kept(), claims);
    // Also where a setting that the lab had claimed was changed by hand.
    run("sysctl -qw net.ipv4.ip_forward=0");
    expect(3, &["apply", &file]);
    assert_eq!((forwarding().as_str(), kept()), ("0", claims));
    expect(0, &["destroy", "k"]);
}

#[test]
fn a_setting_taken_out_of_the_file_is_planned_and_put_back() {
    sandbox();
    let file = topology("k", "forwarding: true, sysctls: { net.ipv4.conf.all.log_martians: 1 }");
    let before = host_account();
    expect(0, &["apply", &file]);
    topology("k", "sysctls: { net.ipv4.conf.all.log_martians: 1 }");
    let plan = expect(1, &["plan", "--exit-code", &file]);
    assert!(plan.contains("put net.ipv4.ip_forward of the host back"), "{plan}");
    expect(0, &["apply", &file]);
    assert_eq!(forwarding(), "0");
    expect(0, &["plan", "--exit-code", &file]);
    expect(0, &["destroy", "k"]);
    run(&format!("rm {file}"));
    before.assert_same(&host_account(), "afterwards");
}

#[test]
fn labs_that_need_different_values_do_not_share_a_host() {
    // The kernel has two names for it.
    for contrary in ["forwarding: false", "sysctls: { net.ipv4.conf.all.forwarding: 0 }"] {
        sandbox();
        expect(0, &["apply", &topology("fw", "forwarding: true")]);
        let (before, claims) = (host_account(), kept());
        let file = topology("no", contrary);
        for _ in 0..2 {
            let refused = expect(3, &["apply", &file]);
            assert!(refused.contains("lab no needs net.ipv4.ip_forward=0"), "{refused}");
            assert!(refused.contains("lab fw needs net.ipv4.ip_forward=1"), "{refused}");
            assert_eq!(kept(), claims);
            assert_eq!(run("ls /run/nslab"), "fw\nhost\n");
            // The second time it is 0 already, by somebody else's hand.
            run("sysctl -qw net.ipv4.ip_forward=0");
        }
        run("sysctl -qw net.ipv4.ip_forward=1");
        before.assert_same(&host_account(), "afterwards");
    }
}

/// The kernel sets `forwarding` of every interface along with that of the whole host, and `accept_redirects` the other
/// way.
#[test]
fn what_changes_along_with_forwarding_comes_back() {
    sandbox();
    run("ip link add m0 type dummy || ip link add m0 type bridge; ip link add gone type bridge; ip link add v.1 type \
         bridge");
    run("sysctl -qw net.ipv4.conf.m0.forwarding=1 net.ipv4.conf.v/1.forwarding=1 net.ipv4.conf.all.accept_redirects=0");
    run("sysctl -qw net.ipv6.conf.m0.forwarding=1 net.ipv4.conf.default.forwarding=1 \
         net.ipv6.conf.default.forwarding=1");
    let file = topology("k", "sysctls: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1 }");
    let gone = "(conf|neigh)/gone|(conf|neigh).gone";
    let settings =
        || run(&format!("sysctl -a 2>/dev/null | grep -E '^net.ipv[46].conf' | grep -vE '{gone}|stable_secret'"));
    let before = settings();
    expect(0, &["apply", &file]);
    assert_ne!(before, settings(), "the kernel changes something");
    run("ip link del gone");
    expect(0, &["destroy", "k"]);
    assert_eq!(before, settings());
}

/// Runs something on four labs at once, eight times for each of them.
fn four_at_once(work: fn(&str) -> Vec<Output>) {
    // Threads of this one are in its sandbox.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let labs =
            ["a", "b", "c", "d"].map(|lab| scope.spawn(move || (0..8).flat_map(|_| work(lab)).collect::<Vec<_>>()));
        let outputs = labs.into_iter().flat_map(|lab| lab.join().unwrap());
        outputs.filter(|output| !output.status.success()).map(|output| text(&output)).collect()
    });
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn labs_that_come_and_go_at_once_share_the_folder() {
    sandbox();
    let before = host_account();
    for lab in ["a", "b", "c", "d"] {
        topology(lab, "forwarding: true");
    }
    four_at_once(|lab| {
        let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_nslab")).args(args).output().unwrap();
        vec![run(&["apply", &format!("/run/{lab}.yaml")]), run(&["destroy", lab])]
    });
    assert_eq!(run("ls /run/nslab 2>/dev/null || true"), "");
    run("rm /run/*.yaml");
    before.assert_same(&host_account(), "afterwards");
}

#[test]
fn labs_without_namespaces_are_known_by_their_chains_and_settings() {
    sandbox();
    let before = host_account();
    expect(0, &["apply", &topology("settings", "forwarding: true")]);
    run("iptables -N NSLAB-chains-FWD; rm -r /run/nslab/settings");
    let list = expect(0, &["list"]);
    assert!(list.contains("settings") && list.contains("chains"), "{list}");
    expect(0, &["exec", "settings", "host", "--", "true"]);
    expect(0, &["destroy", "--all"]);
    assert!(expect(0, &["list"]).contains("there are no labs"));
    run("rm /run/*.yaml");
    before.without_empty_tables().assert_same(&host_account().without_empty_tables(), "afterwards");
}

#[test]
fn one_lab_that_cannot_be_removed_keeps_no_other() {
    for format in ["text", "json"] {
        sandbox();
        for lab in ["a", "b", "c"] {
            expect(0, &["apply", &topology(lab, "bridges: { br-NAME: {} }".replace("NAME", lab).as_str())]);
        }
        // In the folder of b is something that is not nslab's to remove.
        run("mkdir -p /run/nslab/b/theirs/file");
        let told = nslab(["destroy", "--all", "--format", format]);
        let told = (told.status.code(), String::from_utf8_lossy(&told.stdout).into_owned(), text(&told));
        assert_eq!(told.0, Some(3), "{}", told.2);
        assert!(told.2.contains("lab b: some of it could not be removed"), "{}", told.2);
        assert!(told.1.contains("br-a") && told.1.contains("br-c"), "{}", told.1);
        let left = run("ip -o link show type bridge");
        assert!(left.is_empty(), "{left}");
        if format == "json" {
            assert!(serde_json::from_str::<serde_json::Value>(&told.1).unwrap().is_array());
        }
    }
}

/// A topology with a bridge and a namespace whose names end in `n`; `host` has these lines besides.
fn with_objects(n: u8, host: &str) -> String {
    std::fs::write(
        "/run/k.yaml",
        format!("name: k\nnamespaces:\n  host: {{ bridges: {{ br{n}: {{}} }}, {host} }}\n  red{n}: {{}}\n"),
    )
    .unwrap();
    "/run/k.yaml".to_owned()
}

/// Who reads the marks later must not take a setting for claimed that no longer is.
#[test]
fn no_mark_tells_of_a_setting_that_was_given_up() {
    sandbox();
    expect(0, &["apply", &with_objects(1, "forwarding: true")]);
    expect(0, &["apply", &with_objects(1, "")]);
    run("sysctl -qw net.ipv4.ip_forward=1; rm -r /run/nslab");
    expect(0, &["destroy", "k"]);
    assert_eq!(forwarding(), "1", "it is not the lab's any more");
}

/// What a setting was is in every mark, whenever the setting or the object that carries the mark came.
#[test]
fn every_mark_says_what_settings_were() {
    type Edits = [(u8, &'static str); 2];
    let edits: [Edits; 2] = [[(1, ""), (1, "forwarding: true")], [(1, "forwarding: true"), (2, "forwarding: true")]];
    for edits in edits {
        sandbox();
        for (n, host) in edits {
            expect(0, &["apply", &with_objects(n, host)]);
        }
        let n = edits[1].0;
        for mark in [format!("ip link show br{n}"), format!("ip -n red{n} link show lo")] {
            assert!(run(&mark).contains("alias nslab:k was net.ipv4.ip_forward=0"), "{edits:?}: {}", run(&mark));
        }
        run("rm -r /run/nslab");
        expect(0, &["destroy", "k"]);
        assert_eq!(forwarding(), "0", "{edits:?}");
    }
}
