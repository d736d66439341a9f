//! The shipped topologies on a real kernel, confirmed by plain tools: applied, looked at with `ip`, `bridge` and
//! `ping`, applied again, built by hand, built by script, and removed until the host is what it was.

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;

use support::{NEEDS, host_account, lacking_for, nslab, project, run, sandbox, sh, text};

/// Every shipped topology that this kernel can have.
fn topologies() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(project("topologies")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(files.len() >= 6, "the topologies are gone");
    files.retain(|path| lacking_for(path).is_none());
    files
}

#[test]
fn a_topology_for_which_the_kernel_lacks_something_is_refused() {
    for (name, _) in NEEDS {
        let file = topology(name);
        let Some(what) = lacking_for(Path::new(&file)) else { continue };
        let refused = text(&expect(3, &["test", &file]));
        assert!(refused.contains(&what), "{refused}");
    }
}

fn topology(name: &str) -> String {
    project("topologies").join(name).display().to_string()
}

/// Runs nslab, which must end with this exit code.
#[track_caller]
fn expect(code: i32, args: &[&str]) -> Output {
    let output = nslab(args);
    assert_eq!(output.status.code(), Some(code), "nslab {}:\n{}", args.join(" "), text(&output));
    output
}

#[track_caller]
fn in_sync(file: &str) {
    let output = nslab(["plan", "--exit-code", file]);
    assert_eq!(output.status.code(), Some(0), "{file} is not in sync:\n{}", text(&output));
}

/// What changes while something is done, as `ip monitor` sees it here and in the named namespaces.
fn changes_while(work: impl FnOnce()) -> String {
    let log = tempfile();
    let mut monitor = std::process::Command::new("ip")
        .args(["monitor", "link", "address", "route", "rule", "netconf", "nsid"])
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    // The monitor must be listening, or its silence would mean nothing.
    run("ip link add probe0 type veth peer name probe1");
    wait_until(|| std::fs::read_to_string(&log).unwrap().contains("probe0"));
    run("ip link del probe0");
    // What the kernel still has to say of the work before (bridges learn, carriers settle) is waited for.
    let length = || std::fs::metadata(&log).unwrap().len();
    let mut before = 0;
    wait_until(|| std::fs::read_to_string(&log).unwrap().contains("Deleted"));
    while length() > before {
        before = length();
        std::thread::sleep(std::time::Duration::from_millis(3000));
    }
    let before = usize::try_from(before).unwrap();
    work();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let after = std::fs::read_to_string(&log).unwrap();
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    after[before..].to_owned()
}

/// A file's name in the sandbox's own /run.
fn tempfile() -> PathBuf {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Path::new("/run").join(format!("test-{n}"))
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..250 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("waited in vain");
}

#[test]
fn plain_tools_agree_with_the_bridge() {
    sandbox();
    let file = topology("02-bridge.yaml");
    let before = host_account();
    expect(0, &["apply", &file]);
    assert_eq!(run("ip netns list | sed 's/ .*//' | sort"), "blue\nred\n");
    assert!(run("ip -n red -4 addr show veth-red").contains("inet 192.168.15.1/24"));
    assert!(run("ip -4 addr show v-net-0").contains("inet 192.168.15.5/24"));
    let ports = run("bridge link");
    assert!(
        ports.contains("veth-red-br") && ports.contains("veth-blue-br") && ports.contains("master v-net-0"),
        "{ports}"
    );
    run("ip netns exec red ping -c1 -W2 192.168.15.2");
    run("ping -c1 -W2 192.168.15.1");
    in_sync(&file);
    expect(0, &["check", &file]);
    expect(0, &["destroy", "bridge"]);
    before.assert_same(&host_account(), "afterwards");
    expect(0, &["destroy", "bridge"]);
}

/// Whether a line of a trace is a call that changes something.
fn changes(line: &str) -> bool {
    let call = ["mount(", "umount2(", "unlink", "rename"].iter().any(|call| line.contains(call));
    let started = line.contains("execve(") && line.contains("-restore");
    call || started || line.split("nlmsg_type=").skip(1).any(|message| !asks(message))
}

/// Whether a message asks for something, from its type on. strace does not know every socket's protocol; of rtnetlink's
/// message types, those that ask leave 2 when divided by 4, and of nf_tables' two lists are asked for. The policies of
/// IPsec have the number of a removed address, but whoever removes something wants to hear that it is done.
fn asks(message: &str) -> bool {
    let name = message.split([' ', ',', '}']).next().unwrap();
    let flags = message.split("nlmsg_flags=").nth(1).unwrap_or_default().split([',', '}']).next().unwrap();
    match name.strip_prefix("0x").map(|number| u16::from_str_radix(number, 16).unwrap()) {
        Some(0x15) => flags == "NLM_F_REQUEST|0x300",
        Some(number) => {
            matches!((number < 0x100, number % 4, number), (true, 2, _) | (_, _, 0xa01 | 0xa04 | 0xa07 | 0xa10))
        }
        None => name.contains("_GET"),
    }
}

#[test]
fn traces_tell_questions_from_changes() {
    assert!(!changes("1 sendto(12, [{nlmsg_len=40, nlmsg_type=0x12 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST|0x300"));
    assert!(!changes("1 sendto(7, [{nlmsg_len=24, nlmsg_type=RTM_GETADDR, nlmsg_flags=0"));
    let both = "{nlmsg_len=16, nlmsg_type=0x12 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST|0x300, nlmsg_seq=1, \
                nlmsg_pid=0}, {nlmsg_len=16, nlmsg_type=0x15 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST|0x300";
    assert!(!changes(&format!("1 sendto(15, [{both}, nlmsg_pid=0}}], 32, 0, NULL, 0) = 32")));
    let deletes = "nlmsg_type=0x15 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK, nlmsg_seq=2";
    assert!(changes(&format!("1 sendto(15, [{{nlmsg_len=16, {deletes}, nlmsg_pid=0}}], 32, 0, NULL, 0) = 32")));
    assert!(changes("1 sendto(12, [{nlmsg_len=40, nlmsg_type=0x10 /* NLMSG_??? */, nlmsg_flags=NLM_F_REQUEST"));
    assert!(changes("1 sendto(7, [{nlmsg_len=24, nlmsg_type=RTM_NEWADDR, nlmsg_flags=0"));
    assert!(changes("1 execve(\"/usr/sbin/iptables-restore\""));
}

#[test]
fn a_second_apply_changes_nothing_and_says_nothing_to_the_kernel_that_could() {
    sandbox();
    for file in ["02-bridge.yaml", "04-port-forward.yaml"].map(topology) {
        expect(0, &["apply", &file]);
        let seen = changes_while(|| {
            let again = expect(0, &["apply", &file]);
            assert!(text(&again).contains("nothing to do"), "{}", text(&again));
        });
        assert_eq!(seen, "", "{file}");
        let trace = sh(&format!(
            "strace -f -e trace=mount,umount2,unlink,unlinkat,rename,renameat,renameat2,execve,setns,sendto,sendmsg \
             -o /run/trace {} apply {file}",
            env!("CARGO_BIN_EXE_nslab")
        ));
        assert!(trace.status.success(), "{}", text(&trace));
        let trace = std::fs::read_to_string("/run/trace").unwrap();
        let found: Vec<&str> = trace.lines().filter(|line| changes(line)).collect();
        assert!(trace.contains("nlmsg_type="), "the trace shows no messages:\n{trace}");
        assert!(found.is_empty(), "{}", found.join("\n"));
        expect(0, &["destroy", &file]);
    }
}

#[test]
fn every_topology_holds_its_promises_and_leaves_nothing() {
    for file in topologies() {
        let file = file.display().to_string();
        std::thread::spawn(move || {
            sandbox();
            let before = host_account();
            expect(0, &["apply", "--check", &file]);
            in_sync(&file);
            expect(0, &["destroy", &file]);
            before.assert_same(&host_account(), &file);
        })
        .join()
        .unwrap();
    }
}

/// Where br_netfilter is active, bridged packets pass iptables as well; the promises must hold either way.
#[test]
fn promises_hold_with_bridge_netfilter_on_and_off() {
    for file in topologies() {
        for value in ["0", "1"] {
            let file = file.display().to_string();
            std::thread::spawn(move || {
                sandbox();
                expect(0, &["apply", &file]);
                set_bridge_netfilter(value);
                let output = nslab(["check", &file]);
                assert_eq!(
                    output.status.code(),
                    Some(0),
                    "{file}, bridge-nf-call-iptables={value}:\n{}",
                    text(&output)
                );
            })
            .join()
            .unwrap();
        }
    }
}

/// Sets the sysctl in the sandbox's host and in all its namespaces. A kernel without br_netfilter has no such sysctl:
/// then bridged packets never pass iptables, which is what 0 means.
fn set_bridge_netfilter(value: &str) {
    let present = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
    if !present {
        assert!(!Path::new("/sys/module/br_netfilter").exists(), "br_netfilter is there without its sysctl");
        return;
    }
    let set = format!("sysctl -qw net.bridge.bridge-nf-call-iptables={value}");
    run(&format!("{set}; for ns in $(ls /run/netns); do ip netns exec $ns {set}; done"));
    assert_eq!(run("cat /proc/sys/net/bridge/bridge-nf-call-iptables").trim(), value);
}

/// The corrected commands of the notes, typed by hand; the file finds nothing to do.
#[test]
fn labs_built_by_hand_are_recognised_and_left_alone() {
    let cases = [
        ("bridge-by-hand.sh", "02-bridge.yaml", "ip -n red addr flush dev veth-red", "namespace red"),
        ("pods-by-hand.sh", "06-pods.yaml", "ip -n pod-1-1 route del default", "namespace pod-1-1"),
    ];
    for (script, file, damage, whose) in cases {
        std::thread::spawn(move || {
            sandbox();
            run(&std::fs::read_to_string(project("tests/by-hand").join(script)).unwrap());
            in_sync(&topology(file));
            run(damage);
            let before = host_account();
            let refused = text(&expect(3, &["apply", &topology(file)]));
            assert!(refused.contains(&format!("{whose} exists and was not made by nslab")), "{refused}");
            before.assert_same(&host_account(), "afterwards");
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_mistake_made_by_hand_is_named() {
    sandbox();
    run(&std::fs::read_to_string(project("tests/by-hand/bridge-by-hand.sh")).unwrap());
    run("ip link set veth-blue-br down; ip -n red addr del 192.168.15.1/24 dev veth-red");
    let plan = text(&expect(1, &["plan", "--exit-code", &topology("02-bridge.yaml")]));
    assert!(plan.contains("bring host/veth-blue-br up (it is down)"), "{plan}");
    assert!(plan.contains("give red/veth-red the address 192.168.15.1/24 (it is missing)"), "{plan}");
    assert!(plan.contains("2 steps"), "{plan}");
}

/// Programs that a script has started have no supervisor: nslab starts them in their place.
fn in_sync_but_for_programs(file: &str) {
    let plan = text(&nslab(["plan", file]));
    let mut steps = plan.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let starts = |step: &str| step.starts_with("  start program ") || step.starts_with("  start the servers ");
    assert!(steps.all(starts), "{plan}");
}

#[test]
fn scripts_build_the_same_lab_and_remove_it() {
    for file in topologies() {
        let file = file.display().to_string();
        std::thread::spawn(move || {
            sandbox();
            support::own_etc();
            let before = host_account();
            let script = String::from_utf8(expect(0, &["commands", &file]).stdout).unwrap();
            // Built-in servers are nslab's.
            let folder = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().unwrap().display();
            let script = format!("PATH={folder}:$PATH\n{script}");
            let undo = String::from_utf8(expect(0, &["commands", "--undo", &file]).stdout).unwrap();
            // The script calls nslab for built-in servers.
            let own = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().unwrap();
            // As files: the kernel takes no argument of 128 KiB.
            std::fs::write("/run/script.sh", script).unwrap();
            std::fs::write("/run/undo.sh", undo).unwrap();
            let build = format!("PATH=$PATH:{}; . /run/script.sh", own.display());
            run(&build);
            in_sync_but_for_programs(&file);
            expect(0, &["check", &file]);
            run(". /run/undo.sh");
            before.without_empty_tables().assert_same(&host_account().without_empty_tables(), &file);
            // A lab that the script built is nslab's own: the marks are the same.
            run(&build);
            in_sync_but_for_programs(&file);
            expect(0, &["apply", &file]);
            in_sync(&file);
            expect(0, &["destroy", &file]);
            before.without_empty_tables().assert_same(&host_account().without_empty_tables(), &file);
        })
        .join()
        .unwrap();
    }
}
