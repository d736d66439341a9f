//! Random labs, and an oracle of their checks: a small network of its own (`tests/oracle/walk.rs`) that decides by the
//! model alone whether a packet arrives, where and as whom, and what its sender hears of it. What nslab reports of the
//! real network must be the same.
//!
//! Without a word from outside the cases are the same in every run. `NSLAB_ORACLE_CASES=5000` runs that many others,
//! whose seed is told (and can be given: `NSLAB_ORACLE_SEED`). A case that fails is made smaller and printed.

mod support;

#[path = "oracle/firewall.rs"]
mod firewall;
#[path = "oracle/generate.rs"]
mod generate;
#[path = "oracle/judge.rs"]
mod judge;
#[path = "oracle/links.rs"]
mod links;
#[path = "oracle/overlay.rs"]
mod overlay;
#[path = "oracle/packet.rs"]
mod packet;
#[path = "oracle/play.rs"]
mod play;
#[path = "oracle/rng.rs"]
mod rng;
#[path = "oracle/routing.rs"]
mod routing;
#[path = "oracle/smaller.rs"]
mod smaller;
#[path = "oracle/tunnels.rs"]
mod tunnels;
#[path = "oracle/walk.rs"]
mod walk;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use play::Tally;

/// How many cases a run has where nothing else is asked for.
const CASES: u32 = 300;

/// How many cases run at once.
const THREADS: usize = 4;

#[test]
fn the_model_says_what_the_network_does() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().expect(name));
    let (asked, seed) = (number("NSLAB_ORACLE_CASES"), number("NSLAB_ORACLE_SEED"));
    let seed = seed.unwrap_or_else(|| if asked.is_some() { std::process::id() } else { 1 });
    let cases: Vec<u32> = match number("NSLAB_ORACLE_CASE") {
        Some(case) => vec![case],
        None => (0..asked.unwrap_or(CASES)).collect(),
    };
    let most = number("NSLAB_ORACLE_FAILURES").unwrap_or(1) as usize;
    let next = AtomicU32::new(0);
    let (tally, wrong) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            if wrong.lock().expect("failures").len() >= most {
                return;
            }
            match play::case(seed, *case) {
                Ok(counts) => tally.lock().expect("counts").add(&counts),
                Err(why) => {
                    let told = format!("NSLAB_ORACLE_SEED={seed} NSLAB_ORACLE_CASE={case}\n{why}");
                    eprintln!("{told}");
                    wrong.lock().expect("failures").push(told);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(cases.len()) {
            scope.spawn(work);
        }
    });
    let (tally, wrong) = (tally.into_inner().expect("counts"), wrong.into_inner().expect("failures"));
    println!("seed {seed}: {tally:?}");
    assert!(wrong.is_empty(), "{} cases are not as the oracle says:\n{}", wrong.len(), wrong.join("\n\n"));
}
