//! Bad input is refused before anything is touched, and failures half-way are undone.

mod support;

use support::{golden, host_account, nslab, project, replace_programs, run, sandbox, text};

/// Every faulty file ends every command that reads one with exit 2, and the kernel hears nothing of it.
#[test]
fn faulty_files_touch_nothing() {
    sandbox();
    let files = golden::files("tests/faults", "yaml");
    assert!(files.len() >= 20, "the faulty files are gone");
    let before = host_account();
    golden::run("tests/faults", &files, |name, file| {
        let file = file.display().to_string();
        for command in ["apply", "plan", "validate", "commands", "check", "destroy", "test"] {
            let output = nslab([command, &file]);
            if output.status.code() != Some(2) {
                return Err(format!("nslab {command}: {}\n{}", output.status, text(&output)));
            }
        }
        // The kernel's words for changes do not occur in a trace of its messages.
        let (trace, nslab) = (format!("/run/trace-{name}"), env!("CARGO_BIN_EXE_nslab"));
        run(&format!("strace -f -o {trace} {nslab} apply {file} || true"));
        let trace = std::fs::read_to_string(trace).unwrap();
        assert!(trace.contains("execve"), "strace wrote nothing");
        if trace.contains("AF_NETLINK") { Err("a netlink socket was opened".to_owned()) } else { Ok(()) }
    });
    before.assert_same(&host_account(), "afterwards");
}

#[test]
fn wrong_command_lines_are_exit_2() {
    sandbox();
    for args in [
        &["apply"][..],
        &["destroy", "../../x"],
        &["destroy", "-x"],
        &["exec", "a/b", "red", "--", "true"],
        &["apply", "no-such-file.yaml"],
        &["frobnicate"],
    ] {
        let output = nslab(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
    }
}

/// A step that the kernel refuses: everything before it is undone, and the person is told what the kernel said.
#[test]
fn a_refused_step_undoes_the_others() {
    sandbox();
    let before = host_account();
    // Valid for the language; the kernel has no such sysctl.
    let file = "/run/refused.yaml";
    std::fs::write(
        file,
        "name: refused\nnamespaces:\n  host: { bridges: { br9: { addresses: [10.9.0.1/24], ports: [p9] } }, \
         forwarding: true }\n  \
         red: { interfaces: { eth0: { addresses: [10.9.0.2/24] } }, sysctls: { net.ipv4.no_such_thing: 1 } }\nlinks: \
         [ [red/eth0, host/p9] ]\n",
    )
    .unwrap();
    let output = nslab(["apply", file]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("net.ipv4.no_such_thing"), "{}", text(&output));
    assert!(text(&output).contains("undone"), "{}", text(&output));
    run(&format!("rm {file}"));
    before.assert_same(&host_account(), "afterwards");
    assert_eq!(run("ls /run/nslab 2>/dev/null || true"), "");
}

/// Of a value, the kernel may keep something else without a word: that is an error, and no plan that never ends.
#[test]
fn a_sysctl_that_the_kernel_keeps_otherwise_is_told() {
    sandbox();
    let file = "/run/kept.yaml";
    // Of two numbers, it takes one.
    let lab = "name: kept\nnamespaces: { red: { sysctls: { net.ipv4.conf.all.arp_ignore: 0x2 3 } } }\n";
    std::fs::write(file, lab).unwrap();
    let output = nslab(["apply", file]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let told = "still to do: set net.ipv4.conf.all.arp_ignore to 0x2 3 in red";
    assert!(text(&output).contains(told), "{}", text(&output));
    assert_eq!(run("ls /run/netns"), "");
    run(&format!("rm {file}"));
}

/// What nslab cannot make again is named after an undo, and what it can put back is there.
#[test]
fn what_an_undo_cannot_put_back_is_named() {
    sandbox();
    let file = "/run/lost.yaml";
    let lab = "name: lost\nnamespaces: { red: { interfaces: { eth0: { addresses: [10.9.0.2/24] } } }, blue: {} }\nlinks: \
               [[red/eth0, blue/eth0]]\n";
    std::fs::write(file, lab).unwrap();
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    run("ip -n red tuntap add tun7 mode tun
        ip -n red route add 10.77.0.0/16 dev eth0 tos 0x10
        ip netns exec red iptables -A INPUT -m length --length 100 -j ACCEPT");
    let refused = lab.replace("blue: {}", "blue: { sysctls: { net.ipv4.no_such_thing: 1 } }");
    std::fs::write(file, refused).unwrap();
    let output = nslab(["apply", file]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("these could not be:\n  make tun tun7 in red again"), "{}", text(&output));
    assert!(run("ip -n red route").contains("10.77.0.0/16 tos 0x10 dev eth0"));
    assert!(run("ip netns exec red iptables-save").contains("--length 100"));
    assert_eq!(nslab(["destroy", "lost"]).status.code(), Some(0));
    run(&format!("rm {file}"));
}

/// The rules of the host are taken back as they were given: all with one program, or two.
#[test]
fn undoing_many_rules_takes_few_programs() {
    sandbox();
    let file = "/run/rules.yaml";
    let rules: String =
        (1..=40).map(|n| format!("      - {{ chain: forward, source: 10.9.0.{n}, action: drop }}\n")).collect();
    std::fs::write(file, format!("name: rules\nnamespaces:\n  host:\n    filter:\n{rules}")).unwrap();
    let before = host_account();
    // An iptables that counts how often it is asked.
    let programs = ["iptables", "iptables-save", "iptables-restore"];
    replace_programs(&programs, "echo \"$0 $*\" >> /run/started; exec $real \"$@\"");
    let apply = |stop: &str| {
        let mut nslab = std::process::Command::new(env!("CARGO_BIN_EXE_nslab"));
        nslab.args(["apply", file]).env("NSLAB_STOP_AT", stop).output().unwrap()
    };
    assert_eq!(apply("list:/run/points").status.code(), Some(0));
    assert_eq!(nslab(["destroy", "rules"]).status.code(), Some(0));
    let points = std::fs::read_to_string("/run/points").unwrap();
    let programs = |text: &str| text.lines().filter(|line| !line.contains("--version")).count();
    let forward = programs(&std::fs::read_to_string("/run/started").unwrap());
    assert!(forward > 0, "the programs that count were not used");
    run("rm /run/started");
    // The last thing that is done is refused, so that all the rest is undone.
    let failed = apply(&format!("fail:{}", points.lines().count()));
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed));
    assert!(text(&failed).contains("undoing the 42 steps"), "{}", text(&failed));
    let both = std::fs::read_to_string("/run/started").unwrap();
    assert!(programs(&both) <= forward + 10, "{both}");
    run("umount /usr/sbin /run/real; rm -r /run/sbin /run/real /run/started /run/points /run/rules.yaml");
    before.assert_same(&host_account(), "afterwards");
}

#[test]
fn exec_has_its_commands_exit_code() {
    sandbox();
    let file = project("topologies/01-veth.yaml").display().to_string();
    assert_eq!(nslab(["apply", &file]).status.code(), Some(0));
    assert_eq!(nslab(["exec", "veth", "red", "--", "sh", "-c", "exit 42"]).status.code(), Some(42));
    assert_eq!(nslab(["exec", "veth", "red", "--", "no-such-command"]).status.code(), Some(127));
    assert_eq!(nslab(["exec", "veth", "green", "--", "true"]).status.code(), Some(2));
    assert_eq!(nslab(["exec", "other", "red", "--", "true"]).status.code(), Some(2));
    let inside = nslab(["exec", "veth", "red", "--", "ip", "-o", "link"]);
    assert!(text(&inside).contains("veth-red"), "{}", text(&inside));
    let status = nslab(["status", "veth"]);
    assert!(text(&status).contains("192.168.15.1/24") && text(&status).contains("Drift: none"), "{}", text(&status));
    assert!(text(&nslab(["list"])).contains("veth"));
}

/// A command of a check has changed the host, which no test may leave otherwise than it was.
#[test]
fn what_a_test_has_left_in_the_host_is_named() {
    sandbox();
    std::fs::write(
        "/run/leaves.yaml",
        "name: leaves\nnamespaces: { host: {}, red: {} }\nchecks:\n  - { from: host, exec: [sh, -c, 'ip addr add \
         10.99.0.1/24 dev lo; ip route add blackhole 10.88.0.0/16'] }\n",
    )
    .unwrap();
    let output = nslab(["test", "/run/leaves.yaml"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said = text(&output);
    for what in ["+ address 10.99.0.1/24 of lo", "+ route blackhole 10.88.0.0/16"] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

/// As in a container with a root file system that nobody may write.
#[test]
fn where_nothing_can_be_kept_the_refusal_says_what_helps() {
    sandbox();
    run("mount -o remount,ro /run");
    let output = nslab(["apply", &project("topologies/01-veth.yaml").display().to_string()]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("mount a writable /run (in a container: --tmpfs /run)"), "{}", text(&output));
}
