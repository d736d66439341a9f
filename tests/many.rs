//! Labs with so many namespaces that several threads work on them.

mod support;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use support::{host_account, nslab, run, sh, text};

/// Writes a lab of namespaces that are plugged into a bridge in the host.
fn lab(count: usize) -> &'static str {
    let text = format!(
        "name: many\nnamespaces:\n  host: {{ bridges: {{ br-many: {{ ports: [\"p{{1..{count}}}\"] }} }} }}\n  \
         \"h{{1..{count}}}\": {{ interfaces: {{ eth0: {{}} }} }}\n\
         links:\n  - [\"h{{1..{count}}}/eth0\", \"host/p{{n}}\"]\n"
    );
    fs::write("/run/many.yaml", text).unwrap();
    "/run/many.yaml"
}

#[test]
fn a_bridge_with_hundreds_of_ports_goes_first_and_nothing_stays() {
    support::sandbox();
    let before = host_account();
    let file = lab(260);
    let applied = nslab(["apply", file]);
    assert!(applied.status.success(), "{}", text(&applied));
    assert_eq!(run("bridge link | wc -l").trim(), "260");
    let destroyed = text(&nslab(["destroy", "--verbose", "many"]));
    let at = |what: &str| destroyed.find(what).unwrap_or_else(|| panic!("no `{what}` in {destroyed}"));
    assert!(at("br-many") < at("namespace h1 "), "{destroyed}");
    before.assert_same(&host_account(), "after the removal");
}

#[test]
fn where_one_of_many_namespaces_cannot_be_made_none_is_left() {
    support::sandbox();
    let before = host_account();
    let file = lab(40);
    let binary = env!("CARGO_BIN_EXE_nslab");
    // The points before the first namespace are few; each namespace passes several.
    for point in [20, 45, 90, 120] {
        let failed = sh(&format!("NSLAB_STOP_AT=fail:{point} {binary} apply {file}"));
        assert_eq!(failed.status.code(), Some(3), "point {point}: {}", text(&failed));
        assert!(text(&failed).contains("make namespace h"), "point {point}: {}", text(&failed));
        assert_eq!(run("ls /run/netns"), "", "point {point}");
        before.assert_same(&host_account(), &format!("after a failure at point {point}"));
    }
}

/// How often undoing and removing are tried: others on the machine make a try take longer, never shorter.
const TRIES: usize = 4;

/// Seconds that starting nslab, and looking again at what there is, may take besides.
const BESIDES: f64 = 0.7;

/// Undoing takes no longer than removing what is there at the time, where the lab is new and where it grows.
#[test]
fn an_interrupted_apply_of_hundreds_is_undone_as_fast_as_removed() {
    support::sandbox();
    let binary = env!("CARGO_BIN_EXE_nslab");
    for first in [0, 20] {
        let begin = || {
            if first > 0 {
                support::ends(&["apply", lab(first)], 0);
            }
            lab(300)
        };
        run(&format!("rm -f /run/points; NSLAB_STOP_AT=list:/run/points {binary} apply {}", begin()));
        let late = run("wc -l < /run/points").trim().parse::<usize>().unwrap() * 9 / 10;
        support::ends(&["destroy", "many"], 0);
        let (mut undone, mut removed) = (f64::MAX, f64::MAX);
        for _ in 0..TRIES {
            begin();
            sh(&format!("NSLAB_STOP_AT=kill:{late} {binary} apply /run/many.yaml"));
            let start = Instant::now();
            support::ends(&["destroy", "many"], 0);
            removed = start.elapsed().as_secs_f64().min(removed);
            let kept = (begin(), host_account()).1;
            undone = interrupted(late).min(undone);
            kept.assert_same(&host_account(), "after undoing");
            support::ends(&["destroy", "many"], 0);
            if undone < removed * 1.5 + BESIDES {
                break;
            }
        }
        println!("from {first}: undone in {undone:.2} s, removed in {removed:.2} s");
        assert!(undone < removed * 1.5 + BESIDES, "from {first}: undone in {undone} s, removed in {removed} s");
    }
}

/// Interrupts an apply on a terminal; the seconds from when it says that it is undoing to its end.
fn interrupted(point: usize) -> f64 {
    let shell = format!("NSLAB_STOP_AT=int:{point} {} apply /run/many.yaml", env!("CARGO_BIN_EXE_nslab"));
    let mut script = Command::new("script");
    script.args(["-qefc", &shell, "/dev/null"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let (mut said, mut since) = (Vec::new(), None);
    let mut part = [0; 4096];
    let mut out = script.stdout.take().unwrap();
    while let Ok(length @ 1..) = out.read(&mut part) {
        said.extend_from_slice(&part[..length]);
        if String::from_utf8_lossy(&said).contains("note: undoing the ") {
            since.get_or_insert_with(Instant::now);
        }
    }
    let took = since.map(|since| since.elapsed().as_secs_f64());
    let said = String::from_utf8_lossy(&said);
    assert_eq!(script.wait().unwrap().code(), Some(130), "{said}");
    let (_, undoing) = said.split_once("note: undoing the ").unwrap_or_else(|| panic!("{said}"));
    let took = took.unwrap_or_default();
    // What takes longer than half a second shows how far it is.
    assert!(took < 1.5 || undoing.contains(" of "), "{took} s of silence: {undoing}");
    took
}
