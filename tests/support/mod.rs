//! A private host for every test: its own network, mounts, `/run/netns` and `/run/nslab`.
//!
//! [`sandbox`] moves the calling thread there; programs and threads that the test starts follow it. Tests therefore run in
//! parallel, have nothing to clean up and cannot touch the machine: when the thread ends, all is gone.
//! It needs root, or a user namespace in which one is root (`scripts/test` sees to that).

#![allow(dead_code, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Moves this thread into a private host of its own.
pub fn sandbox() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .expect("tests make network namespaces: run them as root, or with scripts/test");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("a /run of its own");
    std::fs::create_dir_all("/run/netns").expect("/run/netns");
    run("ip link set lo up");
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

/// The nslab that is being tested.
pub fn nslab<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nslab")).args(args).env("NO_COLOR", "1").output().expect("nslab")
}

/// Everything a command printed, for messages.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A file of the project.
pub fn project(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The kernel's own account of this host: what must be the same before and after.
pub fn host_account() -> String {
    let commands = [
        "ip -d -j link",
        "ip -j addr | sed -E 's/\"(valid|preferred)_life_time\":[0-9]+//g'",
        "ip -j route show table all",
        "ip -6 -j route show table all",
        "ip -j rule",
        "ip -6 -j rule",
        "ip -j neigh",
        "ls -la /run/netns | grep -v ' \\.\\{1,2\\}$' || true",
        "iptables-save | grep -v '^#' | sed -E 's/\\[[0-9]+:[0-9]+\\]//' || true",
        "ip6tables-save | grep -v '^#' | sed -E 's/\\[[0-9]+:[0-9]+\\]//' || true",
        "sysctl -a 2>/dev/null | grep '^net\\.' | grep -vE 'nf_conntrack_count|neigh.*gc_|ipv6.conf.*.stable_secret|inet_peer|net.ipv4.(tcp_mem|udp_mem)|random|fib_sync_mem|nf_conntrack_(max|buckets|expect)' || true",
    ];
    commands.iter().map(|command| format!("## {command}\n{}\n", run(command))).collect()
}
