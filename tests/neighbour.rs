//! Random labs while a hostile neighbour is at work in the same host: another program of root that makes, renames,
//! moves, marks and removes things of its own all the time, some of them under names that the lab wants, and an
//! ordinary user's namespace with the lab's mark. The lab is as its file says, or is refused without a trace; and the
//! neighbour finds all that is its own: the first of its commands that fails ends it, and the test.
//!
//! `NSLAB_NEIGHBOUR_CASES=5000` runs that many others, whose seed is told (and can be given: `NSLAB_NEIGHBOUR_SEED`).

mod support;

#[path = "random/account.rs"]
mod account;
#[path = "neighbour/at_work.rs"]
mod at_work;
#[path = "random/life.rs"]
mod life;
#[path = "random/render.rs"]
mod render;
#[path = "random/topology.rs"]
mod topology;
#[path = "random/vlans.rs"]
mod vlans;

use std::sync::atomic::{AtomicU32, Ordering};

use at_work::{ACTIONS, AtWork, SETUP};
use life::{as_fresh, at, limited, load, nslab_ok, said};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use support::{host_account, run, sandbox, text};

/// How many cases a run has where nothing else is asked for.
const CASES: u32 = 72;

/// How many cases run at once.
const THREADS: u32 = 8;

/// How often a lab is applied that is refused since the neighbour has a name that it wants.
const TRIES: u32 = 30;

/// One lab in this many is compared with one that is made anew.
const COMPARED: u32 = 6;

/// How often an apply was refused, of all cases.
static REFUSED: AtomicU32 = AtomicU32::new(0);

/// A lab, how it is edited, and in which order the neighbour does what.
#[derive(Debug, Clone)]
struct Case {
    topology: topology::Topology,
    edits: Vec<topology::Edit>,
    actions: Vec<Index>,
}

fn cases() -> impl Strategy<Value = Case> {
    (topology::topology(), topology::edits(), vec(any::<Index>(), 3..=8)).prop_map(|(topology, edits, actions)| Case {
        topology,
        edits,
        actions,
    })
}

#[test]
fn a_lab_and_its_neighbour_do_each_other_no_harm() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().expect(name));
    let (asked, seed) = (number("NSLAB_NEIGHBOUR_CASES"), number("NSLAB_NEIGHBOUR_SEED"));
    let seed = seed.unwrap_or_else(|| if asked.is_some() { std::process::id() } else { 1 });
    let count = asked.unwrap_or(CASES).div_ceil(THREADS);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || some(count, seed, thread))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a thread of cases")).collect()
    });
    println!("{} labs, seed {seed}, {} refusals", count * THREADS, REFUSED.load(Ordering::Relaxed));
    assert!(
        wrong.is_empty(),
        "{} wrong, with NSLAB_NEIGHBOUR_SEED={seed} NSLAB_NEIGHBOUR_CASES={}:\n{}",
        wrong.len(),
        count * THREADS,
        wrong.join("\n\n")
    );
}

/// Runs some cases; up to three that fail. They are not made smaller: what happens at the same time is never the same.
fn some(count: u32, seed: u32, thread: u32) -> Vec<String> {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    bytes[4..8].copy_from_slice(&thread.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let mut wrong = Vec::new();
    for n in 0..count {
        let case = cases().new_tree(&mut runner).expect("a case").current();
        let told = case.told();
        // A sandbox is a thread's; the next case gets a new one.
        let outcome = std::thread::spawn(move || case.play(n % COMPARED == 0)).join();
        if let Err(why) = outcome.unwrap_or_else(|panic| Err(said(&*panic))) {
            wrong.push(format!("case {n} of thread {thread}: {why}\n{told}"));
        }
        if wrong.len() >= 3 {
            break;
        }
    }
    wrong
}

impl Case {
    fn files(&self) -> [String; 2] {
        [&self.topology, &self.topology.edited(&self.edits)].map(|topology| render::yaml(topology, false))
    }

    fn actions(&self) -> Vec<&'static str> {
        self.actions.iter().map(|index| *index.get(ACTIONS)).collect()
    }

    fn told(&self) -> String {
        let [before, after] = self.files();
        format!("---- before.yaml\n{before}---- the neighbour\n{}\n---- after.yaml\n{after}", self.actions().join("\n"))
    }

    /// The whole life of the lab, in a sandbox of its own.
    fn play(&self, is_compared: bool) -> Result<(), String> {
        sandbox();
        run(SETUP);
        let [before, after] = self.files();
        let edited = load(&after)?;
        let host = host_account();
        let neighbour = AtWork::begin(&self.actions());
        let outcome = apply(&before, true).map_err(at("the first apply")).and_then(|()| {
            apply(&after, false).map_err(at("the edit"))?;
            if is_compared {
                neighbour.pause();
                as_fresh(SETUP, &after, &edited).map_err(at("after the edit"))?;
                neighbour.resume();
            }
            nslab_ok(&["list"])?;
            nslab_ok(&["status", render::LAB])?;
            nslab_ok(&["destroy", render::LAB]).map(drop)
        });
        // What it has to say of the lab comes first.
        neighbour.end()?;
        outcome?;
        let left = host_account();
        if left == host { Ok(()) } else { Err(format!("the host is not what it was:\n{}", host.difference(&left))) }
    }
}

/// Applies a file, again where that was refused for what the neighbour had just then; afterwards the plan is empty.
fn apply(file: &str, is_first: bool) -> Result<(), String> {
    std::fs::write("/run/random.yaml", file).map_err(|error| error.to_string())?;
    for _ in 0..TRIES {
        let output = limited(&["apply", "/run/random.yaml"]);
        match output.status.code() {
            Some(0) => return planned_nothing(),
            Some(3) if is_race(&text(&output)) => drop(REFUSED.fetch_add(1, Ordering::Relaxed)),
            _ => return Err(format!("apply ended with {}: {}", output.status, text(&output))),
        }
        let left = if is_first { left() } else { Vec::new() };
        if !left.is_empty() {
            return Err(format!("refused, and this is left: {left:?}\n{}", text(&output)));
        }
    }
    Err(format!("refused {TRIES} times"))
}

/// What there is of the lab in the host.
fn left() -> Vec<String> {
    let all = run("ip -o link show; ls /run/nslab 2>/dev/null || true; cat /run/netns/n? 2>/dev/null || true
                   iptables-save; ip6tables-save; ip rule; ip route show table all");
    let is_of_lab = |line: &&str| ["nslab:random", "NSLAB-random"].iter().any(|mark| line.contains(mark));
    // The neighbour has a rule with such a comment in a chain of its own.
    let lines = all.lines().filter(|line| is_of_lab(line) || *line == render::LAB);
    lines.filter(|line| !line.contains("THEIRS")).map(str::to_owned).collect()
}

/// Whether nslab has been refused for a name that was the neighbour's.
fn is_race(said: &str) -> bool {
    said.contains("nothing was changed") && said.contains("was not made by nslab")
        || said.contains("EEXIST") && (said.contains("undone") || said.contains("nothing had been changed"))
}

/// The plan is empty, but for what the neighbour is about to take away again.
fn planned_nothing() -> Result<(), String> {
    let mut said = String::new();
    for _ in 0..TRIES {
        let output = limited(&["plan", "--exit-code", "/run/random.yaml"]);
        if output.status.success() {
            return Ok(());
        }
        said = text(&output);
        if !said.contains("Not owned by this lab") {
            break;
        }
    }
    Err(format!("once applied, there is something to do: {said}"))
}
