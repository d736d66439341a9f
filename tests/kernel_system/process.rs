//! Commands inside namespaces, and the list of who is there.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use nslab::kernel::process::{self, ExecError, OwnEtc};
use nslab::lab::NsName;

use crate::support::{own_etc, run, sandbox, text};

/// What comes of a command that replaces a process of ours inside a namespace.
fn exec(ns: &str, command: &[&str]) -> Output {
    let (lab, ns) = ("case".parse().unwrap(), ns.parse().unwrap());
    let words: Vec<OsString> = command.iter().map(OsString::from).collect();
    let mut child = Command::new("false");
    let enter = move || {
        let error = process::exec_in(&lab, &ns, &OwnEtc::Machines, &words[0], &words[1..]).unwrap_err();
        // Past the test harness, which would keep what `eprint!` says to itself.
        let _ = write!(io::stderr(), "{error}");
        std::process::exit(match error {
            ExecError::NotFound(_) => 127,
            ExecError::NotExecutable(..) => 126,
            ExecError::Namespace(_) => 3,
        })
    };
    // SAFETY: the forked child has this thread alone, and glibc keeps its allocator usable there.
    unsafe { child.pre_exec(enter) }.output().unwrap()
}

fn printed(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

#[test]
fn a_command_sees_its_namespace() {
    sandbox();
    run("ip netns add red; ip link add veth-host type veth peer name veth-red netns red");
    let sees = printed(exec("red", &["sh", "-c", "ls /sys/class/net; ip -br link | wc -l; echo $NSLAB_LAB/$NSLAB_NS"]));
    assert_eq!(sees, "lo\nveth-red\n2\ncase/red\n");
    assert_eq!(printed(exec("host", &["sh", "-c", "ip -br link | wc -l; echo $NSLAB_NS"])), "2\nhost\n");
    assert_eq!(exec("red", &["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run("ls /sys/class/net | grep -c veth-red || true").trim(), "0", "the mount stays inside");
}

#[test]
fn a_namespace_has_its_own_files_in_etc() {
    sandbox();
    own_etc();
    run("mkdir /etc/netns/red
         echo 'nameserver 10.96.0.10' > /etc/netns/red/resolv.conf; touch /etc/resolv.conf; ip netns add red");
    let before = run("cat /etc/resolv.conf");
    assert_eq!(printed(exec("red", &["cat", "/etc/resolv.conf"])), "nameserver 10.96.0.10\n");
    assert_eq!(printed(exec("red", &["cat", "/etc/resolv.conf"])), run("ip netns exec red cat /etc/resolv.conf"));
    assert_eq!(run("cat /etc/resolv.conf"), before);

    run("echo x > /etc/netns/red/no-such-file");
    let refused = exec("red", &["true"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused).contains("/etc/no-such-file"), "{}", text(&refused));
}

#[test]
fn what_cannot_be_run_is_told_apart() {
    sandbox();
    run("ip netns add red; touch /run/no-program");
    let cases = [("red", "no-such-command", 127), ("red", "/run/no-program", 126), ("blue", "true", 3)];
    for (ns, command, code) in cases {
        let output = exec(ns, &[command]);
        assert_eq!(output.status.code(), Some(code), "{ns}, {command}: {}", text(&output));
        let named = if code == 3 { ns } else { command };
        assert!(text(&output).contains(named), "{}", text(&output));
    }
}

#[test]
fn processes_are_found_by_their_namespace() {
    sandbox();
    run("ip netns add red; ip netns add blue");
    let mut children = ["red", "red", "blue"]
        .map(|ns| Command::new("ip").args(["netns", "exec", ns, "sleep", "1000"]).spawn().expect("ip netns exec"));
    let names: Vec<NsName> = ["red", "blue", "host", "gone"].map(|ns| ns.parse().unwrap()).into();
    let pids = |ns: &str| -> Vec<u32> {
        run(&format!("ip netns pids {ns}")).split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    while pids("red").len() + pids("blue").len() < 3 {
        std::thread::yield_now();
    }
    let found = process::in_namespaces(&names).unwrap();
    for ns in ["red", "blue"] {
        let processes = &found[&ns.parse::<NsName>().unwrap()];
        assert_eq!(processes.iter().map(|process| process.pid).collect::<Vec<_>>(), pids(ns), "{ns}");
        assert!(processes.iter().all(|process| process.command.ends_with("sleep 1000")), "{processes:?}");
    }
    assert_eq!(found[&"gone".parse::<NsName>().unwrap()], []);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(process::in_namespaces(&names).unwrap()[&"red".parse::<NsName>().unwrap()], []);
}
