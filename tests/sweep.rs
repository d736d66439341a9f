//! nslab is stopped at every point at which it changes anything (src/kernel/point.rs): killed, interrupted, or refused
//! the change. Each time the host is what it was afterwards, with the state directory and without.
//!
//! The lab is `tests/sweep/lab.yaml`, which holds one of everything.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::sync::Mutex;

use support::{Account, host_account, nslab, project, replace_programs, run, sandbox, text};

const LAB: &str = "sweep";

/// What somebody does to the lab, for `apply` to mend: of each kind of step one.
const DAMAGE: &str = "
    ip -n red addr del 10.78.0.1/30 dev up1
    ip -n red addr add 10.5.5.5/24 dev eth0
    ip -n red route del default
    ip -n red route add 10.6.0.0/16 via 10.77.0.1
    ip -n red rule del priority 940
    ip -n red neigh del 10.77.0.201 dev eth0
    ip -n red link set eth0 mtu 1300
    ip -n red link set up1 down
    ip netns exec red sysctl -qw net.ipv4.conf.eth0.rp_filter=0
    ip netns exec red iptables -F NSLAB-sweep-IN
    echo other > /run/nslab/sweep/etc/red/hostname
    rm /run/nslab/sweep/etc/blue/hosts
    ip netns exec red nft flush chain ip kube-proxy masquerading
    ip netns exec red nft delete element inet network-policies ingress-pods '{ 10.78.0.2 }'
    ip netns exec red nft delete element inet network-policies port-http/tcp '{ 10.78.0.2 . tcp . 8080 }'
    ip netns exec red nft add rule inet network-policies egress drop
    ip netns exec red nft add chain inet network-policies mine
    ip netns exec yellow iptables -t nat -D OUTPUT 1
    ip netns exec yellow iptables -t nat -F KUBE-SERVICES
    ip -n blue link set p1 nomaster
    ip -n blue link add odd type bridge
    ip link set h-red nomaster
    ip link set br-host address 02:00:00:00:77:99
    ip route del 10.99.0.0/16
    ip route del blackhole 10.98.0.0/16
    ip rule del priority 9700
    iptables -t nat -F NSLAB-sweep-POST
    sysctl -qw net.ipv4.ip_forward=0";

#[test]
fn an_apply_that_is_killed_is_finished_by_the_next() {
    sweep(&points(&[], &apply()), |point, before| {
        killed(point, &apply())?;
        ends(0, nslab(apply()))?;
        ends(0, nslab(["plan", "--exit-code", &file()]))?;
        ends(0, nslab(destroy()))?;
        clean(before)
    });
}

#[test]
fn an_apply_that_is_killed_can_be_destroyed_without_its_state() {
    sweep(&points(&[], &apply()), |point, before| {
        killed(point, &apply())?;
        run("rm -rf /run/nslab");
        ends(0, nslab(destroy()))?;
        clean(before)
    });
}

#[test]
fn a_destroy_that_is_killed_is_finished_by_the_next() {
    for forget in ["true", "rm -rf /run/nslab"] {
        sweep(&points(&[apply()], &destroy()), |point, before| {
            ends(0, nslab(apply()))?;
            killed(point, &destroy())?;
            run(forget);
            ends(0, nslab(destroy()))?;
            clean(before)
        });
    }
}

/// What may be lost of the state when nslab is killed.
const LOSSES: [&str; 10] = [
    "nothing",
    "/run/nslab/sweep",
    "/run/nslab/sweep/journal.json",
    "/run/nslab/sweep/deviceless-routes",
    "/run/nslab/sweep/topology.yaml",
    "/run/nslab/host",
    "/run/nslab/host/*/was",
    "/run/nslab/host/*/labs/*",
    "/run/nslab/host/*/set",
    "/run/nslab",
];

/// What nslab does when it is killed.
const WORK: [&str; 4] = ["apply", "repair", "edit", "destroy"];

/// In turn, the lab is destroyed at once, or made whole first. Of all kills and losses, these are every 113th (no
/// multiple of the number of losses), unless `NSLAB_SWEEP_EVERY` says otherwise.
#[test]
fn whatever_is_lost_when_nslab_is_killed_nothing_stays() {
    let mut cases = Vec::new();
    let mut names = Vec::new();
    for work in WORK {
        let points = on_a_host_of_its_own(|| begin(work).map(|command| list(&command))).unwrap();
        for (point, what) in points.iter().enumerate() {
            for (at, loss) in LOSSES.iter().enumerate() {
                cases.push((work, point + 1, *loss, at));
                names.push(format!("{work}, {what}, then loses {loss}"));
            }
        }
    }
    sweep_every(every().unwrap_or(113), &names, |n, before| {
        let Some(&(work, point, loss, at)) = cases.get(n - 1) else { return Err("no such case".to_owned()) };
        let command = begin(work)?;
        killed(point, &command)?;
        run(&format!("[ '{loss}' = nothing ] || rm -rf {loss}"));
        if (point + at) % 2 == 1 && work != "destroy" {
            ends(0, nslab(&command))?;
            ends(0, nslab(["plan", "--exit-code", &command[1]]))?;
        }
        ends(0, nslab(destroy()))?;
        clean(before)
    });
}

/// Prepares for some work; the command that does it.
fn begin(work: &str) -> Result<Vec<String>, String> {
    if work != "apply" {
        ends(0, nslab(apply()))?;
    }
    if work == "repair" {
        run(DAMAGE);
    }
    let edited = || project("tests/sweep/edited.yaml").display().to_string();
    Ok(match work {
        "edit" => vec!["apply".to_owned(), edited()],
        "destroy" => destroy(),
        _ => apply(),
    })
}

#[test]
fn an_apply_of_which_anything_fails_is_undone() {
    sweep(&points(&[], &apply()), |point, before| {
        ends(3, stopped(&format!("fail:{point}"), &apply()))?;
        clean(before)
    });
}

#[test]
fn a_repair_of_which_anything_fails_is_undone() {
    let damaged = || -> Result<(), String> {
        ends(0, nslab(apply()))?;
        run(DAMAGE);
        Ok(())
    };
    let all = on_a_host_of_its_own(|| damaged().map(|()| list(&apply()))).unwrap();
    sweep(&all, |point, before| {
        damaged()?;
        let plan = ends(1, nslab(["plan", "--exit-code", "--format", "json", &file()]))?;
        let damaged = inside();
        ends(3, stopped(&format!("fail:{point}"), &apply()))?;
        let undone = inside();
        if undone != damaged {
            return Err(format!("the lab was\n{damaged}\nand is\n{undone}"));
        }
        let after = ends(1, nslab(["plan", "--exit-code", "--format", "json", &file()]))?;
        if after != plan {
            return Err(format!("the damage is another one now:\n{plan}\nbecame\n{after}"));
        }
        ends(0, nslab(apply()))?;
        ends(0, nslab(destroy()))?;
        clean(before)
    });
}

/// The kernel's account of what is in the lab and in the host, without what changes by itself: a link's state follows
/// its carrier a moment later. A route that is brought back is nslab's, whoever made it.
fn inside() -> String {
    run("for ns in red blue yellow host; do
        in=; [ $ns = host ] || in=\"ip netns exec $ns\"
        $in ip -4 -o addr | awk '{ print $2, $4 }'
        ($in ip route; $in ip -6 route | grep -v fe80 || true) | sed 's/ linkdown//; s/ proto 213//'
        $in ip rule
        $in ip neigh show nud permanent
        $in iptables-save | grep -v '^#' | sed 's/\\[.*\\]//' || true
        [ $ns != red ] || for table in 'ip kube-proxy' 'inet network-policies'; do $in nft list table $table; done
        $in sysctl net.ipv4.ip_forward
    done")
}

#[test]
fn a_destroy_of_which_anything_fails_says_so_and_the_next_finishes_it() {
    sweep(&points(&[apply()], &destroy()), |point, before| {
        ends(0, nslab(apply()))?;
        let output = stopped(&format!("fail:{point}"), &destroy());
        // Neither the files of the state nor iptables are needed to remove a lab: what cannot be written or asked is
        // told, or another way is found.
        match output.status.code() {
            Some(0) if text(&output).contains("warning: cannot") || clean(before).is_ok() => {}
            _ => drop(ends(3, output)?),
        }
        ends(0, nslab(destroy()))?;
        clean(before)
    });
}

#[test]
fn an_apply_that_is_interrupted_is_undone() {
    let all = points(&[], &apply());
    let last_change = all.iter().rposition(|what| !what.contains("state") && !what.contains("lock")).unwrap() + 1;
    for (signal, code) in [("int", 130), ("term", 143)] {
        sweep(&all, |point, before| {
            let output = stopped(&format!("{signal}:{point}"), &apply());
            // Once all is done and only being written down, it is too late.
            if point > last_change && output.status.code() == Some(0) {
                ends(0, nslab(["plan", "--exit-code", &file()]))?;
                ends(0, nslab(destroy()))?;
            } else {
                ends(code, output)?;
            }
            clean(before)
        });
    }
}

/// A program that nslab has started must not go on changing rules when nslab is gone.
#[test]
fn no_program_outlives_an_nslab_that_is_killed() {
    sandbox();
    let before = host_account();
    // An iptables that is slow to begin.
    let programs =
        ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];
    replace_programs(&programs, "[ $# = 2 ] && : > /run/started && sleep 1; exec $real \"$@\"");
    let mut nslab_here = Command::new(env!("CARGO_BIN_EXE_nslab")).args(apply()).spawn().unwrap();
    while !std::path::Path::new("/run/started").exists() {
        assert!(nslab_here.try_wait().unwrap().is_none(), "no iptables-restore was started");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    nslab_here.kill().unwrap();
    nslab_here.wait().unwrap();
    ends(0, nslab(destroy())).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    clean(&before).unwrap();
}

fn file() -> String {
    project("tests/sweep/lab.yaml").display().to_string()
}

fn apply() -> Vec<String> {
    vec!["apply".to_owned(), file()]
}

fn destroy() -> Vec<String> {
    vec!["destroy".to_owned(), LAB.to_owned()]
}

/// Runs nslab with a wish to be stopped.
fn stopped(at: &str, args: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nslab")).args(args).env("NSLAB_STOP_AT", at).output().unwrap()
}

/// Runs nslab, which must be killed at a point.
fn killed(point: usize, args: &[String]) -> Result<(), String> {
    use std::os::unix::process::ExitStatusExt;
    let output = stopped(&format!("kill:{point}"), args);
    match output.status.signal() {
        Some(9) => Ok(()),
        _ => Err(format!("nslab {args:?} was not killed, but ended with {}: {}", output.status, text(&output))),
    }
}

/// What nslab printed, which must end with a code.
fn ends(code: i32, output: Output) -> Result<String, String> {
    if output.status.code() == Some(code) {
        Ok(text(&output))
    } else {
        Err(format!("nslab ended with {} and not {code}: {}", output.status, text(&output)))
    }
}

/// Whether nothing at all is left.
fn clean(before: &Account) -> Result<(), String> {
    same(before, "at the end")?;
    match run("ip netns; ls -A /run/netns; ls -d /run/nslab 2>/dev/null || true") {
        left if left.is_empty() => Ok(()),
        left => Err(format!("left over: {left}")),
    }
}

fn same(before: &Account, when: &str) -> Result<(), String> {
    let now = host_account();
    if now == *before { Ok(()) } else { Err(format!("the host is another one {when}:\n{}", before.difference(&now))) }
}

/// The points that a command passes after others, by what is done there.
fn points(first: &[Vec<String>], command: &[String]) -> Vec<String> {
    on_a_host_of_its_own(|| {
        for command in first {
            ends(0, nslab(command)).unwrap();
        }
        list(command)
    })
}

fn list(command: &[String]) -> Vec<String> {
    ends(0, stopped("list:/run/points", command)).unwrap();
    let points = std::fs::read_to_string("/run/points").unwrap();
    assert!(points.lines().count() > 30, "the points are gone:\n{points}");
    points.lines().map(str::to_owned).collect()
}

fn on_a_host_of_its_own<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    let host = || {
        sandbox();
        what()
    };
    std::thread::scope(|scope| scope.spawn(host).join()).expect("see above")
}

/// Tries a case at every point, each on a host of its own, several at a time. `NSLAB_SWEEP_EVERY=20` leaves out all but
/// every twentieth, for where the whole would take hours.
fn sweep(points: &[String], case: impl Fn(usize, &Account) -> Result<(), String> + Sync) {
    sweep_every(every().unwrap_or(1), points, case);
}

fn every() -> Option<usize> {
    std::env::var("NSLAB_SWEEP_EVERY").ok().map(|every| every.parse().expect("NSLAB_SWEEP_EVERY"))
}

fn sweep_every(every: usize, points: &[String], case: impl Fn(usize, &Account) -> Result<(), String> + Sync) {
    let (todo, wrong) = (Mutex::new(points.iter().enumerate().step_by(every)), Mutex::new(Vec::new()));
    let next = || todo.lock().unwrap().next();
    let work = || {
        while let Some((n, what)) = next() {
            let on_host = || on_a_host_of_its_own(|| case(n + 1, &host_account()));
            let outcome = catch_unwind(AssertUnwindSafe(on_host));
            if let Err(why) = outcome.unwrap_or_else(|_| Err("a command failed; see above".to_owned())) {
                wrong.lock().unwrap().push(format!("at point {} ({what}): {why}", n + 1));
            }
        }
    };
    // The kernel makes them wait most of the time.
    let threads = std::thread::available_parallelism().map_or(3, |cores| 3 * cores.get());
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().unwrap();
    let tried = points.len().div_ceil(every);
    println!("{tried} of {} points tried, {} wrong", points.len(), wrong.len());
    assert!(wrong.is_empty(), "{} of {tried} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
