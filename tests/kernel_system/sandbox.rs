//! The private host: as root, as an ordinary user, and one inside another.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use nix::sys::prctl;
use nslab::kernel::{KernelError, sandbox};
use nslab::lab::{ChainId, Family, FirewallRule, Hook, Table};

use crate::support::{self, run, text};

/// Who runs the sandbox.
#[derive(Debug, Clone, Copy, PartialEq)]
enum User {
    Root,
    Nobody,
}

const BOTH: [User; 2] = [User::Root, User::Nobody];

/// Runs a script with `sh -e` after something that the same process did first.
fn after(user: User, first: impl Fn() -> Result<(), KernelError> + Send + Sync + 'static, script: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]);
    if user == User::Nobody {
        shell.uid(65534).gid(65534);
    }
    let told = move || {
        // Changing the user made the process one of which /proc gives nothing away; starting a program sets it right.
        prctl::set_dumpable(true)?;
        first().map_err(|error| {
            // Past the test harness, which would keep what `eprint!` says to itself.
            let _ = write!(io::stderr(), "{error}");
            std::process::exit(3)
        })
    };
    // SAFETY: the forked child has this thread alone, and glibc keeps its allocator usable there.
    unsafe { shell.pre_exec(told) };
    shell.output().unwrap()
}

/// Runs a script in a sandbox, or in one within another.
fn inside(user: User, depth: usize, script: &str) -> Output {
    after(user, move || (0..depth).try_for_each(|_| sandbox::enter()), script)
}

#[track_caller]
fn printed(user: User, depth: usize, script: &str) -> String {
    let output = inside(user, depth, script);
    assert!(output.status.success(), "{user:?}, {depth}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_is_an_empty_host_with_a_loopback() {
    support::sandbox();
    run("ip link add veth-out type bridge; touch /run/outside");
    for user in BOTH {
        for depth in [1, 2, 3] {
            let script = "id -u; ip -br link | cut -d' ' -f1; ls /sys/class/net; ls /run; stat -c %a /run/nslab
                          ping -c1 -W1 127.0.0.1 >/dev/null";
            assert_eq!(
                printed(user, depth, script),
                "0\nlo\nlo\nlock\nnetns\nnslab\nnslab-sandbox\n700\n",
                "{user:?}, {depth}"
            );
        }
    }
}

#[test]
fn everything_that_a_lab_needs_works_inside() {
    support::sandbox();
    let before = support::host_account();
    let lab = "case".parse().unwrap();
    let chain = ChainId::own(Family::Ipv4, Table::Nat, &lab, Hook::Postrouting);
    let rule = nslab::iptables::shell_line(&FirewallRule::jump(&lab, &chain.chain).into());
    let script = format!(
        "ip netns add red; ip link add v-net-0 type bridge; ip link add veth-a master v-net-0 type veth peer name \
         veth-b netns red
         ip addr add 10.0.0.1/24 dev v-net-0; ip link set v-net-0 up; ip link set veth-a up
         ip -n red addr add 10.0.0.2/24 dev veth-b; ip -n red link set veth-b up
         sysctl -qw net.ipv4.ip_forward=1; ip netns exec red sysctl -qw net.ipv4.ip_forward=1
         iptables -w -t nat -N {0}; iptables -w -t nat -A POSTROUTING {rule}
         ping -c1 -W5 10.0.0.2 > /dev/null; ip netns exec red ping -c1 -W5 10.0.0.1 > /dev/null
         iptables-save -t nat | grep -c {0}",
        chain.chain
    );
    for user in BOTH {
        for depth in [1, 2] {
            assert_eq!(printed(user, depth, &script).trim(), "2", "{user:?}, {depth}");
        }
    }
    before.assert_same(&support::host_account(), "afterwards");
}

#[test]
fn a_resolv_conf_that_points_into_run_survives() {
    support::sandbox();
    support::own_etc();
    run("mkdir -p /run/systemd/resolve
         echo 'nameserver 127.0.0.53' > /run/systemd/resolve/stub-resolv.conf
         ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf");
    for user in BOTH {
        assert_eq!(printed(user, 1, "cat /etc/resolv.conf"), "nameserver 127.0.0.53\n", "{user:?}");
    }
}

#[test]
fn where_it_is_forbidden_the_error_says_by_what() {
    support::sandbox();
    // A sandbox that allows no further ones stands for a system that does not; the limit is its own.
    let refused = after(
        User::Nobody,
        || {
            sandbox::enter()?;
            std::fs::write("/proc/sys/user/max_net_namespaces", "0").unwrap();
            sandbox::enter()
        },
        "true",
    );
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("network namespace") && said.contains("sysctl -w user.max_net_namespaces"), "{said}");
}
