//! A private host for every test: its own network, mounts, `/run/netns` and `/run/nslab`.
//!
//! [`sandbox`] moves the calling thread there; programs and threads that the test starts follow it. Tests therefore run
//! in parallel, have nothing to clean up and cannot touch the machine: when the thread ends, all is gone. It needs
//! root, or a user namespace in which one is root (`scripts/test` sees to that).

#![allow(dead_code, missing_docs)]

pub mod golden;
pub mod growth;
pub mod rest;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

/// Moves this thread into a private host of its own.
pub fn sandbox() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .expect("tests make network namespaces: run them as root, or with scripts/test");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("a /run of its own");
    std::fs::create_dir_all("/run/netns").expect("/run/netns");
    std::fs::write("/run/nslab-sandbox", own_identity()).expect("whose the sandbox is");
    run("ip link set lo up");
}

/// What a sandbox of nslab's says of the process that it belongs to: programs of labs that a failed test leaves end
/// with it.
fn own_identity() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process");
    let (_, behind_name) = stat.rsplit_once(") ").expect("a name");
    format!("{} {}\n", std::process::id(), behind_name.split(' ').nth(19).expect("a time"))
}

/// Does something on a thread of its own, inside a namespace.
pub fn inside<T: Send + 'static>(ns: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let ns = File::open(format!("/run/netns/{ns}")).expect("a namespace");
    let work = move || {
        setns(ns, CloneFlags::CLONE_NEWNET).expect("a move");
        work()
    };
    std::thread::spawn(work).join().expect("no panic inside")
}

/// Runs a shell script with `sh -e`, which must succeed; what it printed.
#[track_caller]
pub fn run(script: &str) -> String {
    let output = sh(script);
    assert!(output.status.success(), "`{script}` failed: {}\n{}", output.status, text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a shell script with `sh -e`, whatever comes of it.
pub fn sh(script: &str) -> Output {
    Command::new("sh").args(["-ec", script]).output().expect("sh")
}

/// Puts a script in the place of each of these programs, in this sandbox; `$real` is the program itself.
pub fn replace_programs(names: &[&str], script: &str) {
    run("mkdir /run/sbin /run/real
        mount --bind /usr/sbin /run/real
        ln -s /run/real/* /run/sbin/");
    for name in names {
        let program = Path::new("/run/sbin").join(name);
        std::fs::remove_file(&program).expect("a program of /usr/sbin");
        std::fs::write(&program, format!("#!/bin/sh\nreal=/run/real/{name}\n{script}\n")).expect("a script");
    }
    run(&format!("cd /run/sbin; chmod +x {}; mount --bind /run/sbin /usr/sbin", names.join(" ")));
}

/// Gives this sandbox an `/etc` of its own, with what may be read of the machine's, and an empty `/etc/netns`.
pub fn own_etc() {
    // Somebody else than root may neither read all of it nor give it away.
    run("mkdir /run/etc; cp -a /etc/. /run/etc 2> /dev/null || true
        mount --bind /run/etc /etc
        rm -rf /etc/netns; mkdir /etc/netns; mount -t tmpfs -o mode=755 tmpfs /etc/netns
        [ -e /etc/hostname ] || echo machine > /etc/hostname");
}

/// What nslab says of a kind of interface that the kernel lacks, asked in a sandbox; none where it has it. `filtering`
/// are bridges that keep VLANs apart, `br_netfilter` those that ask iptables, and `nginx` is a program.
pub fn lacking(kind: &str) -> Option<String> {
    if kind == "nginx" {
        return (!Path::new("/usr/sbin/nginx").exists()).then(|| "there is no nginx".to_owned());
    }
    if kind == "br_netfilter" {
        let has_it = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists();
        return (!has_it).then(|| "this kernel has no iptables for packets that cross bridges".to_owned());
    }
    // Whatever a kind misses to be made, only a kernel without it says that it does not know it.
    let (options, refusal, said) = match kind {
        "filtering" => ("bridge vlan_filtering 1", "not supported", "VLAN filtering of bridges".to_owned()),
        _ => (kind, "Unknown device type", format!("interfaces of the kind {kind}")),
    };
    let tried = text(&sh(&format!("ip link add name try0 type {options}")));
    sh("ip link del try0");
    tried.contains(refusal).then(|| format!("this kernel has no {said}"))
}

/// What not every kernel or machine has, and which topology needs it (see [`lacking`]).
pub const NEEDS: [(&str, &str); 5] = [
    ("12-ingress.yaml", "nginx"),
    ("15-vlans.yaml", "filtering"),
    ("16-vrf.yaml", "vrf"),
    ("17-gre.yaml", "gre"),
    ("18-wireguard.yaml", "wireguard"),
];

/// What this kernel lacks for a shipped topology, as nslab says it.
pub fn lacking_for(file: &Path) -> Option<String> {
    let (_, kind) = NEEDS.iter().find(|(name, _)| file.ends_with(name))?;
    let asked = std::thread::spawn(|| {
        sandbox();
        lacking(kind)
    });
    asked.join().expect("a sandbox")
}

/// The nslab that is being tested.
pub fn nslab<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nslab")).args(args).env("NO_COLOR", "1").output().expect("nslab")
}

/// Runs nslab, which must end with this exit code; what it said.
#[track_caller]
pub fn ends(args: &[&str], code: i32) -> String {
    let output = nslab(args);
    assert_eq!(output.status.code(), Some(code), "nslab {args:?}: {}", text(&output));
    text(&output)
}

/// Everything a command printed, for messages.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A file of the project.
pub fn project(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What must be the same before and after: the kernel's own account of this host, line by line.
#[derive(PartialEq, Eq, Clone)]
pub struct Account(String);

/// Sysctls that change by themselves or cannot be compared.
const OWN_LIFE: &str =
    "nf_conntrack_(count|max|buckets|expect)|neigh.*gc_|stable_secret|inet_peer|_mem =|random|fib_sync_mem";

/// The kernel's own account of this host, once it is at rest, without what changes by itself (timers, counters,
/// lifetimes).
#[track_caller]
pub fn host_account() -> Account {
    rest::host_at_rest();
    let timers = concat!(
        r#"s/"(valid_life_time|preferred_life_time|[a-z_]*_timer)":[0-9.]+,?//g; "#,
        r#"s/"(tentative|temporary)":true,?//g; s/[{]/\n{/g"#
    );
    let counters = r"grep -v '^#' | sed -E 's/\[[0-9]+:[0-9]+\]//' || true";
    let commands = [
        format!("ip -d -j link | sed -E '{timers}'"),
        format!("ip -j addr | sed -E '{timers}'"),
        "ip route show table all".to_owned(),
        "ip -6 route show table all".to_owned(),
        "ip rule".to_owned(),
        "ip -6 rule".to_owned(),
        "ip neigh show nud permanent".to_owned(),
        "ls -la /run/netns | tail -n +2 | tr -s ' ' | grep -v ' \\.*$' || true".to_owned(),
        format!("iptables-save | {counters}"),
        format!("ip6tables-save | {counters}"),
        format!("sysctl -a 2>/dev/null | grep '^net\\.' | grep -vE '{OWN_LIFE}' || true"),
    ];
    Account(commands.iter().map(|command| format!("## {command}\n{}\n", run(command))).collect())
}

impl Account {
    /// The account without firewall tables in which nothing is: plain iptables commands leave them behind.
    pub fn without_empty_tables(&self) -> Self {
        let mut kept: Vec<&str> = Vec::new();
        for line in self.0.lines() {
            kept.push(line);
            if line == "COMMIT"
                && let Some(start) = kept.iter().rposition(|line| line.starts_with('*'))
                && !kept[start..]
                    .iter()
                    .any(|line| line.starts_with("-A") || (line.starts_with(':') && line.contains(" - ")))
            {
                kept.truncate(start);
            }
        }
        Self(kept.join("\n"))
    }

    /// The lines that are in one of the two accounts only.
    pub fn difference(&self, other: &Self) -> String {
        let only = |sign: &str, a: &Self, b: &Self| -> String {
            let b: std::collections::HashSet<&str> = b.0.lines().collect();
            a.0.lines().filter(|line| !b.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
        };
        only("-", self, other) + &only("+", other, self)
    }

    /// Fails with the lines that differ, if any do.
    #[track_caller]
    pub fn assert_same(&self, other: &Self, what: &str) {
        assert!(self == other, "{what}: the host is not what it was:\n{}", self.difference(other));
    }
}
