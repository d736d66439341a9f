//! `nslab trace` says why a packet does not arrive, and what it sees is what the model expects.
//!
//! Each file of `tests/trace/faults/` is a lab with one fault: the lab (`lab`: a file of the project, or the topology
//! itself), what is done to it after `apply` (`damage`), and how the same fault is written in a file (`edits`: pieces
//! of the expanded topology, each with what stands there instead); then the arguments of `nslab trace` behind the lab,
//! the namespace that it must name (`at`) and what it must say (`says`; `in_file`, where the file alone says it
//! otherwise, or a dash, where only a check of the file tells that it is a fault). What not every kernel has is said by
//! `needs`: on a kernel without it, nslab has to say so.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use nslab::check::Report;
use nslab::engine::{Tracer, Tracing, trace_expected};
use nslab::forwarding::Chosen;
use nslab::lab::{Expect, IfName, Lab, NsName};
use nslab::topology::{self, Topology};
use nslab::trace::{Direction, Sight, Stage, Trace};
use serde::Deserialize;
use support::{ends, golden, lacking, lacking_for, nslab, project, run, sandbox, sh, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    lab: String,
    #[serde(default)]
    damage: String,
    #[serde(default)]
    edits: Vec<Edit>,
    trace: String,
    at: String,
    says: String,
    #[serde(default)]
    in_file: Option<String>,
    /// The namespace that is named in the file's case, where it is another one.
    #[serde(default)]
    at_in_file: Option<String>,
    /// What not every kernel has (see `lacking`).
    #[serde(default)]
    needs: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    from: String,
    to: String,
}

impl Fault {
    /// The topology file, in the sandbox.
    fn file(&self) -> String {
        if !self.lab.contains('\n') {
            return project(&self.lab).display().to_string();
        }
        std::fs::write("/run/lab.yaml", &self.lab).unwrap();
        "/run/lab.yaml".to_owned()
    }

    /// The topology with the fault in it.
    fn edited(&self, file: &str) -> String {
        let mut text = ends(&["plan", "--expanded", file], 0);
        for edit in &self.edits {
            assert_eq!(text.matches(&edit.from).count(), 1, "what is to be edited is there once:\n{}", edit.from);
            text = text.replace(&edit.from, &edit.to);
        }
        std::fs::write("/run/edited.yaml", text).unwrap();
        "/run/edited.yaml".to_owned()
    }

    /// What a trace of the packet says.
    fn traced(&self, lab: &str, more: &[&str]) -> Result<Trace, String> {
        let args = ["trace", lab].into_iter().chain(self.trace.split(' ')).chain(more.iter().copied());
        let output = nslab(args.chain(["--format", "json"]));
        if output.status.code() != Some(1) {
            return Err(format!("not as by the file is 1, and not {}: {}", output.status, text(&output)));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output)))
    }

    /// What the kernel lacks for the lab; then nslab says so.
    fn lacking(&self, file: &str) -> Result<Option<String>, String> {
        let Some(what) = self.needs.as_deref().and_then(lacking) else { return Ok(None) };
        let applied = nslab(["apply", file]);
        let is_said = applied.status.code() == Some(3) && text(&applied).contains(&what);
        if is_said { Ok(Some(what)) } else { Err(format!("{what}, and nslab does not say so: {}", text(&applied))) }
    }

    fn is_explained(trace: &Trace, says: &str, at: &str) -> Result<(), String> {
        let end = &trace.end;
        let place = end.namespace.as_deref().unwrap_or_default();
        let is_right = end.what.contains(says.trim_end()) && place == at;
        if is_right { Ok(()) } else { Err(format!("not {says:?} at {at}, but:\n{end:#?}")) }
    }
}

/// The cases; in a machine with another kernel (`NSLAB_PART`), those that the machine outside may have no kernel for.
fn of_this_kernel() -> Vec<golden::Case> {
    let cases = golden::files("tests/trace/faults", "yaml");
    match std::env::var_os("NSLAB_PART") {
        Some(_) => golden::part(cases.into_iter().filter(|(_, path)| read(path).needs.is_some()).collect()),
        None => cases,
    }
}

#[test]
fn the_fault_of_a_live_lab_is_named() {
    golden::run("tests/trace/faults", &of_this_kernel(), |_, path| {
        let fault = read(path);
        sandbox();
        let file = fault.file();
        if fault.lacking(&file)?.is_some() {
            return Ok(());
        }
        ends(&["apply", &file], 0);
        let damaged = sh(&fault.damage);
        assert!(damaged.status.success(), "{}", text(&damaged));
        Fault::is_explained(&fault.traced(&file, &[])?, &fault.says, &fault.at)
    });
}

fn is_warned_of(file: &str) -> Result<(), String> {
    let warned = text(&nslab(["validate", "--strict", file]));
    if warned.contains("[check-cannot-pass]") { Ok(()) } else { Err(format!("no warning:\n{warned}")) }
}

#[test]
fn the_fault_in_a_file_is_named_without_a_packet() {
    let cases = golden::files("tests/trace/faults", "yaml");
    let in_files = cases.iter().filter(|(_, path)| !read(path).edits.is_empty());
    assert!(in_files.count() >= 20, "there are cases of faults in files");
    golden::run("tests/trace/faults", &cases, |_, path| {
        let fault = read(path);
        if fault.edits.is_empty() {
            return Ok(());
        }
        sandbox();
        let edited = fault.edited(&fault.file());
        // What the file promises is more than that an answer comes: a check of it cannot pass.
        if fault.in_file.as_deref() == Some("-") {
            return is_warned_of(&edited);
        }
        let trace = fault.traced(&edited, &["--expected"])?;
        match fault.in_file.as_deref() {
            Some(says) => Fault::is_explained(&trace, says, fault.at_in_file.as_ref().unwrap_or(&fault.at)),
            None => Fault::is_explained(&trace, &fault.says, &fault.at),
        }
    });
}

/// Faults that an ordinary user is told of in the same words, of every way in which they are found: a namespace that
/// is asked, rules that have counted, frames that were seen, a look-up of a route, settings.
const AS_NOBODY: [&str; 6] =
    ["drop-forward", "nobody-listens", "no-route-back", "forwarding-off", "link-down", "masquerade-missing"];

#[test]
fn an_ordinary_user_is_told_the_same() {
    let cases = golden::files("tests/trace/faults", "yaml");
    let cases: Vec<golden::Case> = cases.into_iter().filter(|(name, _)| AS_NOBODY.contains(&name.as_str())).collect();
    assert_eq!(cases.len(), AS_NOBODY.len(), "every one of them is a case");
    golden::run("tests/trace/faults", &cases, |_, path| {
        let fault = read(path);
        sandbox();
        let file = fault.file();
        for_everybody(&file);
        let script = format!(
            "/mnt/nslab apply /mnt/lab.yaml >&2
            {}
            /mnt/nslab trace /mnt/lab.yaml {} --format json || [ $? = 1 ]",
            fault.damage, fault.trace
        );
        let output = as_nobody(&["sandbox", "--", "sh", "-ec", &script]);
        let trace = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output)))?;
        Fault::is_explained(&trace, &fault.says, &fault.at)
    });
}

/// A fault that is in the file is told of by `nslab test`, which an ordinary user runs.
#[test]
fn an_ordinary_users_test_says_why() {
    sandbox();
    let edited = read(&project("tests/trace/faults/masquerade-missing.yaml"));
    for_everybody(&edited.edited(&edited.file()));
    let said = in_one_line(&text(&as_nobody(&["test", "/mnt/lab.yaml"])));
    let why = "it arrives, but the answer is lost at outside: outside has no route back to 192.168.15.1 (red)";
    assert!(said.contains(why), "{said}");
}

/// Puts nslab and a lab where everybody may read them, and no sandbox hides them.
fn for_everybody(lab: &str) {
    let nslab = env!("CARGO_BIN_EXE_nslab");
    run(&format!("mount -t tmpfs tmpfs /mnt; cp {nslab} /mnt/nslab; cp {lab} /mnt/lab.yaml; chmod -R a+rX /mnt"));
}

/// Text without the ends of lines that make it fit a terminal.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What nslab says to an ordinary user.
fn as_nobody(args: &[&str]) -> Output {
    let mut command = Command::new("/mnt/nslab");
    command.args(args).env("NO_COLOR", "1").current_dir("/").uid(65534).gid(65534);
    command.output().expect("nslab")
}

/// What `validate` says that a check cannot come to, the check does not come to in a live lab; all others of the file
/// pass. What it says is in `NAME.expected`.
#[test]
fn what_is_warned_of_fails() {
    golden::run("tests/trace/warned", &golden::files_with_expectations("tests/trace/warned", "yaml"), |_, path| {
        let file = path.display().to_string();
        let said = text(&nslab(["validate", &file])).replace(&file, "FILE");
        golden::expect(&path.with_extension("expected"), &said)?;
        let warned: BTreeSet<u64> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--> FILE:")?.split(':').next()?.parse().ok())
            .collect();
        sandbox();
        ends(&["apply", &file], 0);
        let output = nslab(["check", "--no-explain", "--format", "json", &file]);
        let report: Report =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {}", text(&output)))?;
        let failed: BTreeSet<u64> =
            report.checks.iter().filter(|check| check.failures() > 0).map(|check| check.line).collect();
        if failed == warned { Ok(()) } else { Err(format!("warned of {warned:?}, failed {failed:?}:\n{said}")) }
    });
}

fn read(path: &Path) -> Fault {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The route that `nslab explain` names is the one that the kernel takes.
#[test]
fn what_is_explained_is_what_the_kernel_does() {
    let asked = [
        ("03-nat", "red", "192.168.1.3"),
        ("03-nat", "red", "192.168.15.2"),
        ("03-nat", "host", "192.168.1.3"),
        ("06-pods", "pod-1-1", "10.244.3.2"),
        ("06-pods", "node1", "10.244.3.2"),
        ("13-dual-stack", "node1", "fd00:10:244:2::2"),
        ("08-overlay", "node2", "10.244.3.2"),
    ];
    let cases: Vec<_> = asked.iter().map(|case| (format!("{}-{}-{}", case.0, case.1, case.2), *case)).collect();
    golden::run("tests/trace", &cases, |_, (lab, ns, address)| {
        sandbox();
        let file = project(format!("topologies/{lab}.yaml")).display().to_string();
        ends(&["apply", &file], 0);
        let said = ends(&["explain", &file, ns, address, "--format", "json"], 0);
        let inside = if *ns == "host" { String::new() } else { format!("-n {ns}") };
        let shown = text(&sh(&format!("ip {inside} -j route get {address}")));
        let kernels: serde_json::Value = serde_json::from_str(&shown).map_err(|error| format!("{error}: {shown}"))?;
        let row = |what: &str| {
            let lookup: serde_json::Value = serde_json::from_str(&said).unwrap();
            let rows = lookup["rows"].as_array().unwrap().clone();
            rows.iter().find(|row| row["what"] == what).map(|row| row["is"].as_str().unwrap().to_owned())
        };
        let next_hop = kernels[0]["gateway"].as_str().unwrap_or(address);
        let right = row("next hop").is_some_and(|is| is.contains(next_hop))
            && row("interface").is_some_and(|is| is.starts_with(kernels[0]["dev"].as_str().unwrap()))
            && row("source").is_some_and(|is| is.starts_with(kernels[0]["prefsrc"].as_str().unwrap()));
        if right { Ok(()) } else { Err(format!("the kernel: {shown}\nnslab: {said}")) }
    });
}

/// What a namespace holds against the source of a packet is a row, and an interface is one that it has.
#[test]
fn explain_asks_for_the_way_to_a_source() {
    sandbox();
    let fault = read(&project("tests/trace/faults/reverse-path.yaml"));
    let file = fault.file();
    ends(&["apply", &file], 0);
    let asked = |input, code| {
        in_one_line(&ends(&["explain", &file, "router", "10.0.2.9", "--in", input, "--source", "10.0.1.9"], code))
    };
    assert!(asked("a", 0).contains("not looked at: rp_filter is 0"), "{}", asked("a", 0));
    run(&fault.damage);
    let dropped = "dropped, as rp_filter is 1: the way to 10.0.1.9 (red) leads out through b, and not a";
    assert!(asked("a", 0).contains(dropped), "{}", asked("a", 0));
    assert!(asked("c", 2).contains("router has no interface c, but lo, a, b"), "{}", asked("c", 2));
}

/// A link-local address is looked up on the link that is named with it.
#[test]
fn explain_looks_on_the_link_that_is_meant() {
    sandbox();
    let file = read(&project("tests/trace/faults/link-local.yaml")).file();
    ends(&["apply", &file], 0);
    let asked = |to: &str, code| in_one_line(&ends(&["explain", &file, "red", to], code));
    let there = asked("fe80::ff:fe00:2%eth1", 0);
    assert!(there.contains("route get fe80::ff:fe00:2 oif eth1") && there.contains("there blue/eth0"), "{there}");
    assert!(asked("fe80::ff:fe00:2%eth0", 0).contains("there nobody"), "{}", asked("fe80::ff:fe00:2%eth0", 0));
    let unknown = asked("fe80::ff:fe00:2%eth7", 2);
    assert!(unknown.contains("red has no interface eth7, but lo, eth0, eth1"), "{unknown}");
}

/// Nothing is said of labs whose checks pass.
#[test]
fn shipped_labs_have_no_warnings() {
    for folder in ["topologies", "topologies/examples"] {
        golden::run(folder, &golden::files(folder, "yaml"), |_, path| {
            let output = nslab(["validate", "--strict", &path.display().to_string()]);
            if output.status.success() { Ok(()) } else { Err(text(&output)) }
        });
    }
}

/// Labs whose checks pass although a model may think otherwise: unknown ports, sources that the kernel chooses.
#[test]
fn labs_that_pass_have_no_warnings() {
    golden::run("tests/trace/fine", &golden::files("tests/trace/fine", "yaml"), |_, path| {
        let file = path.display().to_string();
        let output = nslab(["validate", "--strict", &file]);
        if !output.status.success() {
            return Err(text(&output));
        }
        if lacking_for(path).is_some() {
            return Ok(());
        }
        sandbox();
        ends(&["apply", "--check", &file], 0);
        Ok(())
    });
}

/// In every shipped lab, each pair of each check crosses the interfaces that the model says, in its order.
#[test]
fn what_is_seen_is_what_the_model_expects() {
    golden::run("topologies", &golden::files("topologies", "yaml"), |_, path| {
        if lacking_for(path).is_some() {
            return Ok(());
        }
        sandbox();
        let file = path.display().to_string();
        ends(&["apply", &file], 0);
        let topology = topology::load(path).unwrap();
        let differing = differing(&topology, &file);
        if differing.is_empty() { Ok(()) } else { Err(differing.join("\n")) }
    });
}

/// The pairs whose packets are seen elsewhere than the model says.
fn differing(topology: &Topology, file: &str) -> Vec<String> {
    let lab = &topology.lab;
    let mut tracer = Tracer::new(lab).unwrap();
    let mut differing = Vec::new();
    for check in lab.checks.iter().filter(|check| check.asks.is_none()) {
        for probe in check.probes.iter().filter(|probe| probe.to.name.is_none()) {
            let timeout = match check.expect {
                Expect::Reachable | Expect::Refused => Duration::from_secs(2),
                Expect::Unreachable | Expect::Unanswered => Duration::from_millis(200),
            };
            let none = Chosen::default();
            let tracing = Tracing { check, probe, answers: true, timeout, file, chosen: &none };
            let seen = tracer.trace(&tracing).unwrap();
            let expected = trace_expected(lab, &Tracing { chosen: &chosen(&seen), ..tracing });
            // Whether a program listens is nothing that the model knows.
            let is_refusal = check.expect == Expect::Refused;
            let agree = (is_refusal || expected.end.answered == seen.end.answered)
                && places(lab, &expected.there) == places(lab, &seen.there)
                && (!expected.end.answered || places(lab, &expected.back) == places(lab, &seen.back));
            if !agree {
                differing.push(format!(
                    "{}: {} → {}\nexpected {:?}\n    back {:?}\n  {}\n    seen {:?}\n    back {:?}\n  {}",
                    check.name,
                    probe.from,
                    probe.to.label,
                    places(lab, &expected.there),
                    places(lab, &expected.back),
                    expected.end.what,
                    places(lab, &seen.there),
                    places(lab, &seen.back),
                    seen.end.what
                ));
            }
        }
    }
    differing
}

/// What chance has chosen.
fn chosen(trace: &Trace) -> Chosen {
    let sights = || trace.there.iter().flat_map(|stage| &stage.seen);
    Chosen {
        destinations: sights().map(|sight| (sight.destination, sight.destination_port)).collect(),
        namespaces: trace.there.iter().map(|stage| stage.namespace.parse().unwrap()).collect(),
        ..Chosen::default()
    }
}

/// The interfaces that a packet crosses. A bridge that asks iptables may pass a packet on without taking it in, by what
/// neighbours are known: bridges themselves do not count.
fn places(lab: &Lab, stages: &[Stage]) -> Vec<String> {
    let is_bridge = |ns: &str, name: &str| {
        let ns = &lab.namespaces[&ns.parse::<NsName>().unwrap()];
        ns.interfaces.get(&name.parse::<IfName>().unwrap()).is_some_and(|one| one.bridge_options().is_some())
    };
    let crossed = stages.iter().flat_map(|stage| stage.seen.iter().map(move |sight| (stage, sight)));
    let crossed = crossed.filter(|(stage, sight)| !is_bridge(&stage.namespace, &sight.interface));
    let way = |direction| if direction == Direction::In { "in" } else { "out" };
    let shown =
        |(stage, sight): (&Stage, &Sight)| format!("{} {}/{}", way(sight.direction), stage.namespace, sight.interface);
    once(crossed.map(shown).collect())
}

/// A way that was gone twice: on a busy machine, the kernel sends the answer of TCP again.
fn once(mut places: Vec<String>) -> Vec<String> {
    let (first, second) = places.split_at(places.len() / 2);
    if first == second {
        places.truncate(places.len() / 2);
    }
    places
}
