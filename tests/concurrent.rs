//! Many nslabs at once on one host: each waits for its turn or says so, and none mixes with another.

mod support;

use std::process::Output;
use std::sync::Mutex;
use std::time::Duration;

use support::rest::at_rest;
use support::{ends, host_account, nslab, run, sandbox, text};

/// Five small labs that all use the host; `a` and `a-b` have names of which one is the other's beginning.
const LABS: [&str; 5] = ["a", "a-b", "b", "c", "d"];

/// Writes a lab's file: a bridge in the host with two namespaces, forwarding and NAT.
fn write(lab: &str) -> String {
    let n = LABS.iter().position(|name| *name == lab).unwrap();
    let forwarding = if n < 4 { "forwarding: true" } else { "" };
    let text = format!(
        "name: {lab}
namespaces:
  host:
    bridges: {{ br{n}: {{ addresses: [10.{n}.0.1/24], ports: [p{n}x, p{n}y] }} }}
    nat: [ {{ masquerade: {{ source: 10.{n}.0.0/24 }} }} ]
    routes: [ {{ to: 10.{n}.9.0/24, via: 10.{n}.0.2 }}, {{ to: 10.{n}.8.0/24, type: blackhole }} ]
    {forwarding}
  x{n}: {{ interfaces: {{ eth0: {{ addresses: [10.{n}.0.2/24] }} }} }}
  y{n}: {{ interfaces: {{ eth0: {{ addresses: [10.{n}.0.3/24] }} }} }}
links:
  - [x{n}/eth0, host/p{n}x]
  - [y{n}/eth0, host/p{n}y]
checks:
  - {{ from: x{n}, to: y{n}, seen_as: itself }}
"
    );
    let file = format!("/run/{lab}.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Fifty commands: ten for each lab, those of one lab never next to each other.
fn commands() -> Vec<Vec<String>> {
    let kinds: [&[&str]; 10] = [
        &["apply", "FILE"],
        &["plan", "FILE"],
        &["apply", "FILE", "--no-wait"],
        &["destroy", "LAB"],
        &["check", "FILE"],
        &["apply", "FILE"],
        &["status", "LAB"],
        &["list"],
        &["destroy", "LAB", "--no-wait"],
        &["apply", "FILE"],
    ];
    let word = |word: &str, lab: &str| match word {
        "FILE" => format!("/run/{lab}.yaml"),
        "LAB" => lab.to_owned(),
        other => other.to_owned(),
    };
    let command = |kind: &[&str], lab: &str| kind.iter().map(|text| word(text, lab)).collect();
    kinds.iter().flat_map(|kind| LABS.iter().map(move |lab| command(kind, lab))).collect()
}

/// What a command may answer while others are at work.
fn is_announced(command: &[String], output: &Output) -> bool {
    let said = text(output);
    match (command[0].as_str(), output.status.code()) {
        (_, Some(0)) => true,
        (_, Some(3)) if command.iter().any(|word| word == "--no-wait") => {
            said.contains("another nslab is working on lab")
        }
        // The lab is not there, not yet or not any more.
        ("status", Some(2)) => said.contains("there is no lab"),
        ("check", Some(1 | 3)) => true,
        _ => false,
    }
}

#[test]
fn fifty_commands_at_once_on_five_labs() {
    sandbox();
    let before = host_account();
    let files = LABS.map(write);
    let wrong = Mutex::new(Vec::new());
    // The threads are in this one's sandbox.
    std::thread::scope(|scope| {
        for command in commands() {
            let wrong = &wrong;
            scope.spawn(move || {
                let output = nslab(&command);
                if !is_announced(&command, &output) {
                    wrong.lock().unwrap().push(format!("{command:?}: {}\n{}", output.status, text(&output)));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} commands went wrong:\n{}", wrong.len(), wrong.join("\n"));
    for file in &files {
        succeeds(&["apply", file]);
    }
    for file in &files {
        succeeds(&["plan", "--exit-code", file]);
        succeeds(&["check", file]);
    }
    // The four labs that need forwarding go one by one; it stays until the last.
    for lab in &LABS[..4] {
        assert_eq!(run("sysctl -n net.ipv4.ip_forward").trim(), "1", "before {lab} goes");
        succeeds(&["destroy", lab]);
    }
    succeeds(&["destroy", "--all"]);
    before.assert_same(&host_account(), "after all are destroyed");
    assert_eq!(run("ip netns; ls -A /run/netns; ls -d /run/nslab 2>/dev/null || true"), "");
}

#[test]
fn a_second_apply_waits_and_says_so() {
    sandbox();
    let file = write("a");
    run("mkdir -p -m 0700 /run/nslab/a");
    let hold = std::thread::scope(|scope| {
        scope.spawn(|| run("flock /run/nslab/a/lock sh -c ': > /run/held; sleep 1'"));
        while !std::path::Path::new("/run/held").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let busy = nslab(["apply", &file, "--no-wait"]);
        assert_eq!(busy.status.code(), Some(3), "{}", text(&busy));
        assert!(text(&busy).contains("another nslab is working on lab a"), "{}", text(&busy));
        nslab(["apply", &file])
    });
    assert_eq!(hold.status.code(), Some(0), "{}", text(&hold));
    assert!(text(&hold).contains("another nslab is working on lab a; waiting"), "{}", text(&hold));
    succeeds(&["plan", "--exit-code", &file]);
}

#[test]
fn a_lab_never_touches_one_whose_name_begins_alike() {
    sandbox();
    let (a, ab) = (write("a"), write("a-b"));
    let host = host_account();
    for forget in ["true", "rm -rf /run/nslab"] {
        succeeds(&["apply", &a]);
        succeeds(&["apply", &ab]);
        run(forget);
        let shown =
            "ip netns exec x1 ip -4 addr; ip addr show dev br1; ip link show dev p1x; iptables-save | grep -e '-a-b-'";
        at_rest();
        let before = run(shown);
        succeeds(&["destroy", "a"]);
        assert_eq!(run(shown), before);
        assert_eq!(run("sysctl -n net.ipv4.ip_forward").trim(), "1", "a-b needs it");
        // Without its list, a route of no interface is left to the last lab.
        if forget == "true" {
            succeeds(&["plan", "--exit-code", &ab]);
        }
        succeeds(&["destroy", "a-b"]);
        host.assert_same(&host_account(), "when both are gone");
    }
}

#[track_caller]
fn succeeds(args: &[&str]) {
    let output = nslab(args);
    assert_eq!(output.status.code(), Some(0), "nslab {args:?}: {}", text(&output));
}

/// The kernel keeps one route and one rule of a kind: it cannot be both labs'.
#[test]
fn a_route_or_rule_of_the_host_that_another_lab_needs_is_a_conflict() {
    sandbox();
    let before = host_account();
    let lab = |name: &str, kind: &str| {
        format!(
            "name: {name}\nnamespaces:\n  host:\n    routes: [{{ to: 10.88.0.0/16, type: {kind} }}]\n    rules: [{{ from: \
             10.77.0.0/16, table: 77, priority: 77 }}]\n"
        )
    };
    let (one, two) = (lab("one", "blackhole"), lab("two", "blackhole"));
    let on = |topology: &str, args: &[&str], code: i32| {
        std::fs::write("/run/lab.yaml", topology).unwrap();
        ends(&[args, &["/run/lab.yaml"]].concat(), code)
    };
    on(&one, &["apply"], 0);
    for (other, route) in [(&two, "blackhole 10.88.0.0/16"), (&lab("two", "unreachable"), "blackhole 10.88.0.0/16")] {
        let said = on(other, &["apply"], 3);
        for what in [format!("route {route}").as_str(), "policy rule priority 77 from 10.77.0.0/16"] {
            let line = said.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said}"));
            assert!(line.contains("exists and belongs to lab one"), "{said}");
        }
    }
    on(&one, &["plan", "--exit-code"], 0);
    // Where both begin at once, at most one of them is applied, and whoever is has it all.
    on(&one, &["destroy"], 0);
    std::fs::write("/run/one.yaml", &one).unwrap();
    std::fs::write("/run/two.yaml", &two).unwrap();
    let nslab = env!("CARGO_BIN_EXE_nslab");
    for _ in 0..5 {
        run(&format!("{nslab} apply /run/one.yaml & {nslab} apply /run/two.yaml & wait"));
        let labs = run(&format!("{nslab} list"));
        let is_applied = |lab: &&str| labs.lines().any(|line| line.split_whitespace().next() == Some(lab));
        assert!(!["one", "two"].iter().all(is_applied), "{labs}");
        for applied in ["one", "two"].iter().filter(|lab| is_applied(lab)) {
            run(&format!("{nslab} plan {applied} --exit-code"));
        }
        run(&format!("{nslab} destroy one & {nslab} destroy two & wait"));
        before.assert_same(&host_account(), "afterwards");
    }
    // Who was refused needs nothing of it afterwards, also where both labs were there before.
    let without = |name: &str| format!("name: {name}\nnamespaces: {{ n{name}: {{}} }}\n");
    let with = |name: &str| format!("{}  n{name}: {{}}\n", lab(name, "blackhole"));
    for round in 0..5 {
        for name in ["one", "two"] {
            on(&without(name), &["apply"], 0);
            std::fs::write(format!("/run/{name}.yaml"), with(name)).unwrap();
        }
        run(&format!("{nslab} apply /run/one.yaml & sleep 0.00{round}; {nslab} apply /run/two.yaml & wait"));
        for name in ["one", "two"] {
            on(&without(name), &["apply"], 0);
        }
        for name in ["one", "two"] {
            on(&with(name), &["apply"], 0);
            on(&without(name), &["apply"], 0);
        }
        run(&format!("{nslab} destroy one; {nslab} destroy two"));
        before.assert_same(&host_account(), "afterwards");
    }
}
