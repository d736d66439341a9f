//! Random labs and clusters through everything that can happen to a lab: applied, applied again, damaged by hand,
//! mended, edited, removed.
//!
//! Without a word from outside the cases are the same in every run, so that a failure is due to the change at hand.
//! `NSLAB_RANDOM_CASES=5000` runs that many others, whose seed is told (and can be given: `NSLAB_RANDOM_SEED`).
//! A case that fails is made as small as it goes and printed with its files and the damage, to be repeated by hand.

mod support;

#[path = "random/account.rs"]
mod account;
#[path = "random/cluster.rs"]
mod cluster;
#[path = "random/damage.rs"]
mod damage;
#[path = "random/life.rs"]
mod life;
#[path = "random/render.rs"]
mod render;
#[path = "random/topology.rs"]
mod topology;
#[path = "random/vlans.rs"]
mod vlans;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use life::{as_fresh, at, load, nslab_ok, said};
use nslab::lab::Lab;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use support::{host_account, sandbox, sh};

/// How many cases a run has where nothing else is asked for.
const CASES: u32 = 110;

/// How many cases run at once.
const THREADS: u32 = 4;

/// How long a case that fails is made smaller, in milliseconds.
const SHRINKING: u32 = 60_000;

/// Whether this kernel's bridges keep VLANs apart.
static KEEPS_VLANS_APART: LazyLock<bool> = LazyLock::new(|| {
    let tried = std::thread::spawn(|| {
        sandbox();
        sh("ip link add name try0 type bridge vlan_filtering 1").status.success()
    });
    tried.join().expect("a sandbox")
});

/// Whether this kernel's bridges pass packets to the filter.
static BRIDGES_FILTER: LazyLock<bool> =
    LazyLock::new(|| std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists());

/// A lab and what happens to it.
#[derive(Debug, Clone)]
struct Case {
    /// The file, and the file once it is edited.
    files: [String; 2],
    damage: Vec<Index>,
}

fn cases() -> impl Strategy<Value = Case> {
    let plain = (topology::topology(), topology::edits()).prop_map(|(before, edits)| {
        let after = before.edited(&edits);
        [before, after].map(|topology| render::yaml(&topology, *KEEPS_VLANS_APART))
    });
    let clusters = (cluster::cluster(), cluster::edits()).prop_map(|(before, edits)| {
        let after = before.edited(&edits);
        [before, after].map(|cluster| cluster.yaml(*BRIDGES_FILTER))
    });
    let files = prop_oneof![4 => plain, 1 => clusters];
    (files, vec(any::<Index>(), 1..=5)).prop_map(|(files, damage)| Case { files, damage })
}

#[test]
fn random_labs_converge_and_leave_nothing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().expect(name));
    let (asked, seed) = (number("NSLAB_RANDOM_CASES"), number("NSLAB_RANDOM_SEED"));
    let seed = seed.unwrap_or_else(|| if asked.is_some() { std::process::id() } else { 1 });
    let threads = THREADS.min(asked.unwrap_or(CASES)).max(1);
    let count = asked.unwrap_or(CASES).div_ceil(threads);
    let failed = AtomicBool::new(false);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn({
                    let failed = &failed;
                    move || some(count, seed, n, failed)
                })
            })
            .collect();
        running.into_iter().filter_map(|thread| thread.join().expect("a thread of cases")).collect()
    });
    assert!(
        wrong.is_empty(),
        "with NSLAB_RANDOM_SEED={seed} NSLAB_RANDOM_CASES={}:\n{}",
        count * threads,
        wrong.join("\n\n")
    );
}

/// Runs some cases; the first that fails, as small as it goes.
fn some(count: u32, seed: u32, thread: u32, failed: &AtomicBool) -> Option<String> {
    let config = Config { cases: count, failure_persistence: None, max_shrink_time: SHRINKING, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    bytes[4..8].copy_from_slice(&thread.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mine = std::cell::Cell::new(false);
    let outcome = TestRunner::new_with_rng(config, rng).run(&cases(), |case| {
        if failed.load(Ordering::Relaxed) && !mine.get() {
            return Ok(());
        }
        // A sandbox is a thread's; the next case gets a new one.
        let outcome = std::thread::spawn(move || case.play()).join();
        outcome.unwrap_or_else(|panic| Err(said(&*panic))).map_err(|why| {
            failed.store(true, Ordering::Relaxed);
            mine.set(true);
            TestCaseError::fail(why)
        })
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(why, case)) => Some(format!("{why}\n{}", case.told())),
        Err(TestError::Abort(why)) => Some(why.to_string()),
    }
}

impl Case {
    /// The case for somebody who repeats it by hand.
    fn told(&self) -> String {
        let [before, after] = &self.files;
        let damage = load(before).map_or_else(|why| why, |lab| self.damage(&lab).join("\n"));
        format!("---- before.yaml\n{before}---- damage\n{damage}\n---- after.yaml\n{after}")
    }

    fn damage(&self, lab: &Lab) -> Vec<String> {
        let all = damage::all(lab);
        if all.is_empty() { Vec::new() } else { self.damage.iter().map(|index| index.get(&all).clone()).collect() }
    }

    /// The whole life of the lab, in a sandbox of its own.
    fn play(&self) -> Result<(), String> {
        sandbox();
        let [before, after] = &self.files;
        let (lab, edited) = (load(before)?, load(after)?);
        let host = host_account();
        apply(before).map_err(at("the first apply"))?;
        for line in self.damage(&lab) {
            // What was damaged before may be what this one is about.
            sh(&format!("{{ {line}; }} 2>/dev/null || true"));
        }
        apply(before).map_err(at("mending"))?;
        as_fresh("", before, &lab).map_err(at("after mending"))?;
        apply(after).map_err(at("the edit"))?;
        as_fresh("", after, &edited).map_err(at("after the edit"))?;
        nslab_ok(&["destroy", render::LAB])?;
        let left = host_account();
        if left == host { Ok(()) } else { Err(format!("the host is not what it was:\n{}", host.difference(&left))) }
    }
}

/// Applies a file; afterwards the plan is empty and a second apply has nothing to do.
fn apply(file: &str) -> Result<(), String> {
    std::fs::write("/run/random.yaml", file).map_err(|error| error.to_string())?;
    nslab_ok(&["apply", "/run/random.yaml"])?;
    nslab_ok(&["plan", "--exit-code", "/run/random.yaml"])?;
    let again = nslab_ok(&["apply", "/run/random.yaml"])?;
    if again.contains("nothing to do") { Ok(()) } else { Err(format!("the second apply did something: {again}")) }
}

#[test]
fn random_topologies_are_valid_printed_well_and_need_nothing_once_built() {
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    let run = TestRunner::new_with_rng(config, rng).run(&topology::topology(), |topology| {
        let file = render::yaml(&topology, true);
        let valid = |text: &str| {
            nslab::topology::parse("random.yaml", text).map_err(|why| TestCaseError::fail(format!("{why}\n{text}")))
        };
        let parsed = valid(&file)?;
        let plan = nslab::plan::plan(&parsed.lab, &nslab::plan::as_built(&parsed.lab));
        prop_assert!(plan.is_empty(), "{}\n{file}", nslab::show::plan(&plan, &[], false));
        let printed = parsed.expanded();
        prop_assert_eq!(&parsed.lab, &valid(&printed)?.lab, "{}\nis printed as\n{}", file, printed);
        Ok(())
    });
    match run {
        Ok(()) => {}
        Err(TestError::Fail(why, _) | TestError::Abort(why)) => panic!("{why}"),
    }
}
