//! Programs in labs: each file in `tests/lab_programs` is a script for a sandbox of its own, with the nslab of this
//! build in PATH. Its lab has the name of the file; at the end, nothing of it may be left: no process, no file, no
//! mount.

mod support;

use std::fs::{read, read_dir, read_to_string, write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{ends, golden, nslab, project, run, sandbox, text};

#[test]
fn programs_are_started_watched_and_ended() {
    golden::run("tests/lab_programs", &golden::files("tests/lab_programs", "sh"), |lab, script| case(lab, script));
}

fn case(lab: &str, script: &Path) -> Result<(), String> {
    sandbox();
    let mounts = mounts();
    std::fs::create_dir("/run/here").map_err(|error| error.to_string())?;
    let folder = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().ok_or("no folder")?;
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").map_err(|error| error.to_string())?);
    let mut shell = Command::new("timeout");
    shell.args(["60", "sh", "-eux"]).arg(script).current_dir("/run/here").env("PATH", path).env("NO_COLOR", "1");
    let output = shell.env("FUNCTIONS", project("tests/lab_programs/functions")).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        nslab(["destroy", lab]);
        return Err(format!("{}\n{}", output.status, text(&output)));
    }
    left(lab, mounts)
}

/// What there is of a lab that is to be gone.
fn left(lab: &str, mounts: usize) -> Result<(), String> {
    let processes = processes(lab);
    let groups =
        format!("find /sys/fs/cgroup -type d -name 'nslab-{lab}-'$(stat -Lc %i /proc/self/ns/net) 2>/dev/null");
    let files = run(&format!("find /run/nslab /run/netns/* 2>/dev/null || true; {groups} || true"));
    match processes.is_empty() && files.trim().is_empty() && self::mounts() == mounts {
        true => Ok(()),
        false => Err(format!("left: {processes:?}\n{files}\n{} mounts, of {mounts}", self::mounts())),
    }
}

/// How many mounts there are, besides the one that lets names of namespaces be seen everywhere.
fn mounts() -> usize {
    let all = read_to_string("/proc/thread-self/mountinfo").unwrap();
    all.lines().filter(|line| line.split(' ').nth(4) != Some("/run/netns")).count()
}

/// The processes of a lab in this sandbox: its supervisor, the keepers, and the programs that have not been given
/// another environment. Another run of these tests has labs of the same names.
fn processes(lab: &str) -> Vec<String> {
    let of_lab = [format!("NSLAB_LAB={lab}"), format!("NSLAB_SUPERVISOR={lab}")];
    let entries = read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let here = read("/run/nslab-sandbox").unwrap();
    let is_of_lab = |pid: &u32| {
        if read(format!("/proc/{pid}/root/run/nslab-sandbox")).ok().as_ref() != Some(&here) {
            return false;
        }
        let environment = read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| of_lab.iter().any(|own| own.as_bytes() == variable))
    };
    let shown = |pid| format!("{pid} {}", read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default());
    pids.filter(is_of_lab).map(shown).collect()
}

/// Whether a process was ended by SIGKILL, or says that it has so ended another.
fn is_killed(output: &Output) -> bool {
    output.status.signal() == Some(libc::SIGKILL) || output.status.code() == Some(128 + libc::SIGKILL)
}

fn swept(lab: &str) -> String {
    let file = format!("/run/{lab}.yaml");
    let yaml = format!(
        "name: {lab}
namespaces:
  red:
    run:
      once: echo done
      serves: {{ command: sleep 3600, ready: {{ command: 'true' }}, needs: once, stop: {{ grace: 100ms }} }}
"
    );
    write(&file, yaml).unwrap();
    file
}

/// Runs nslab with a wish for it, or for the supervisor that it starts.
fn wishing(variable: &str, wish: &str, args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "30", env!("CARGO_BIN_EXE_nslab")]).args(args).env("NO_COLOR", "1");
    command.env(variable, wish).output().expect("nslab")
}

/// How many failpoints a command passes, itself or in its supervisor.
fn points(variable: &str, lab: &str, before: &[&[&str]], command: &[&str]) -> usize {
    std::thread::scope(|scope| {
        let count = || {
            sandbox();
            swept(lab);
            for args in before {
                let output = wishing("NSLAB_STOP_SUPERVISOR_AT", "list:/run/supervisor", args);
                assert!(output.status.success(), "{}", text(&output));
            }
            let count = || read_to_string("/run/points").unwrap_or_default().lines().count();
            let output = wishing(variable, "list:/run/points", command);
            assert!(output.status.success(), "{}", text(&output));
            let points = count();
            nslab(["destroy", lab]);
            points
        };
        scope.spawn(count).join().unwrap()
    })
}

/// Does something at each failpoint, in a sandbox of its own, and looks whether the lab is right in the end.
fn sweep(lab: &str, points: usize, kill: impl Fn(usize, &str) + Sync) {
    assert!(points > 2, "only {points} failpoints");
    let (lab, kill) = (&lab, &kill);
    let next = std::sync::atomic::AtomicUsize::new(1);
    let work = || {
        loop {
            let point = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if point > points {
                return;
            }
            std::thread::scope(|scope| {
                let one = || {
                    sandbox();
                    let mounts = mounts();
                    let lab = format!("{lab}{point}");
                    let file = swept(&lab);
                    kill(point, &lab);
                    ends(&["apply", &file], 0);
                    ends(&["plan", "--exit-code", &file], 0);
                    assert_eq!(run("ip netns pids red | wc -l").trim(), "1", "point {point}");
                    ends(&["destroy", &lab], 0);
                    left(&lab, mounts).unwrap_or_else(|left| panic!("point {point}: {left}"));
                };
                scope.spawn(one).join().unwrap();
            });
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn nslab_is_killed_at_each_point_of_a_start() {
    let points = points("NSLAB_STOP_AT", "pk-a", &[], &["apply", "/run/pk-a.yaml"]);
    sweep("pk-a", points, |point, lab| {
        let output = wishing("NSLAB_STOP_AT", &format!("kill:{point}"), &["apply", &format!("/run/{lab}.yaml")]);
        assert!(is_killed(&output), "point {point}: {}", text(&output));
    });
}

#[test]
fn nslab_is_killed_at_each_point_of_an_end() {
    let points = points("NSLAB_STOP_AT", "pk-d", &[&["apply", "/run/pk-d.yaml"]], &["destroy", "pk-d"]);
    sweep("pk-d", points, |point, lab| {
        ends(&["apply", &format!("/run/{lab}.yaml")], 0);
        let output = wishing("NSLAB_STOP_AT", &format!("kill:{point}"), &["destroy", lab]);
        assert!(is_killed(&output), "point {point}: {}", text(&output));
    });
}

/// The same of the supervisor, and of the keepers, which count on from where they were started.
#[test]
fn the_supervisor_is_killed_at_each_point() {
    let points = points("NSLAB_STOP_SUPERVISOR_AT", "pk-s", &[], &["apply", "/run/pk-s.yaml"]);
    // What comes after that is passed when the programs are ended.
    sweep("pk-s", points + 4, |point, lab| {
        let file = format!("/run/{lab}.yaml");
        let applied = wishing("NSLAB_STOP_SUPERVISOR_AT", &format!("kill:{point}"), &["apply", &file]);
        if applied.status.success() {
            ends(&["destroy", lab], 0);
        } else {
            assert_eq!(applied.status.code(), Some(3), "point {point}: {}", text(&applied));
        }
    });
}

/// 200 programs in 100 namespaces: started, half of them killed, mended, destroyed.
#[test]
fn many_programs_are_started_mended_and_ended() {
    std::thread::spawn(|| {
        sandbox();
        let mounts = mounts();
        let yaml = "name: pmany\nnamespaces:\n  h{1..100}:\n    run:\n      a: sleep 4711\n      b: sleep 4712\n";
        write("/run/many.yaml", yaml).unwrap();
        let timed = |what: &str, args: &[&str]| {
            let begin = Instant::now();
            ends(args, 0);
            eprintln!("{what}: {:?}", begin.elapsed());
        };
        timed("200 programs are started", &["apply", "/run/many.yaml"]);
        assert_eq!(run("for ns in $(ls /run/netns); do ip netns pids $ns; done | wc -l").trim(), "200");
        run("for ns in $(ls /run/netns); do
            for pid in $(ip netns pids $ns); do
                if grep -q 4712 /proc/$pid/cmdline; then kill -9 $pid; fi
            done
        done");
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let plan = text(&nslab(["plan", "/run/many.yaml"]));
            if plan.contains("pmany: 100 steps to do") {
                break;
            }
            assert!(Instant::now() < until, "{plan}");
            sleep(Duration::from_millis(50));
        }
        timed("100 of them are mended", &["apply", "/run/many.yaml"]);
        ends(&["plan", "--exit-code", "/run/many.yaml"], 0);
        timed("all are ended", &["destroy", "pmany"]);
        left("pmany", mounts).unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn a_start_of_which_anything_fails_is_undone() {
    let points = points("NSLAB_STOP_AT", "pk-f", &[], &["apply", "/run/pk-f.yaml"]);
    sweep("pk-f", points, |point, lab| {
        let mounts = mounts();
        let output = wishing("NSLAB_STOP_AT", &format!("fail:{point}"), &["apply", &format!("/run/{lab}.yaml")]);
        assert_eq!(output.status.code(), Some(3), "point {point}: {}", text(&output));
        left(lab, mounts).unwrap_or_else(|left| panic!("point {point}: {left}"));
    });
}
