//! One case: a lab is made up, the oracle is asked, the lab is applied and checked, and both are compared.

use std::collections::BTreeMap;

use nslab::lab::Lab;
use serde_json::Value;

use super::generate;
use super::judge::{self, Compared};
use super::overlay;
use super::rng::Rng;
use super::smaller;
use super::support::{nslab, sandbox, sh, text};

/// How many there were of what.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Labs.
    pub labs: u32,
    /// Labs that were checked again with more time, since not all was as predicted.
    pub again: u32,
    /// Pairs.
    pub pairs: u32,
    /// Pairs of which the order of events decides.
    pub open: u32,
    /// What the senders heard, and whether it was as promised.
    pub heard: BTreeMap<String, u32>,
}

impl Tally {
    /// Adds those of another case.
    pub fn add(&mut self, other: &Self) {
        self.labs += other.labs;
        self.again += other.again;
        self.pairs += other.pairs;
        self.open += other.open;
        for (what, count) in &other.heard {
            *self.heard.entry(what.clone()).or_default() += count;
        }
    }
}

/// How long a probe waits, and where that was not enough.
const TIMEOUT: &str = "200ms";
const LONG_TIMEOUT: &str = "900ms";

/// Runs a case; a lab on which oracle and network disagree, as small as it goes.
pub fn case(seed: u32, number: u32) -> Result<Tally, String> {
    let mut rng = Rng::new(seed, number);
    let mut invalid = Vec::new();
    let (file, lab) = loop {
        let mut file = generate::lab(&mut rng);
        overlay::add(&mut rng, &mut file);
        set_timeout(&mut file, TIMEOUT);
        let valid = load(&file).and_then(|lab| {
            judge::set_expectations(&mut file, &lab, &mut rng);
            load(&file)
        });
        match valid {
            Ok(lab) => break (file, lab),
            Err(why) => invalid.push(why),
        }
        assert!(invalid.len() < 50, "no valid lab:\n{}", invalid.join("\n"));
    };
    if std::env::var("NSLAB_ORACLE_INVALID").is_ok() {
        invalid.iter().for_each(|why| eprintln!("{why}"));
    }
    match play(&file, &lab) {
        Ok(tally) => Ok(tally),
        Err(why) => {
            let (file, why) = smaller::smaller(file, why);
            Err(format!("{why}\n{}", written(&file)))
        }
    }
}

fn set_timeout(file: &mut Value, timeout: &str) {
    for check in file["checks"].as_array_mut().expect("checks") {
        check["timeout"] = timeout.into();
    }
}

/// The text of a lab.
pub fn written(file: &Value) -> String {
    serde_saphyr::to_string(file).expect("YAML")
}

/// The lab of a file; why there is none.
pub fn load(file: &Value) -> Result<Lab, String> {
    nslab::topology::parse("oracle.yaml", &written(file)).map(|topology| topology.lab).map_err(|why| why.to_string())
}

/// Applies and checks a lab in a sandbox of its own, and once more with more time if that does not come out as
/// predicted; where it still does not, why.
pub fn play(file: &Value, lab: &Lab) -> Result<Tally, String> {
    let mut slow = file.clone();
    set_timeout(&mut slow, LONG_TIMEOUT);
    match once(file, lab, "") {
        Ok(tally) => Ok(tally),
        Err(_) => once(&slow, lab, FORGET).map(|tally| Tally { again: 1, ..tally }),
    }
}

/// Forgets whom the namespaces heard of while the lab was made: the oracle knows no such past.
const FORGET: &str = "ip neigh flush all; for n in /run/netns/*; do ip -n \"${n##*/}\" neigh flush all; done";

fn once(file: &Value, lab: &Lab, before: &'static str) -> Result<Tally, String> {
    let (file, lab) = (file.clone(), lab.clone());
    let played = std::thread::spawn(move || {
        sandbox();
        std::fs::write("/run/oracle.yaml", written(&file)).map_err(|error| error.to_string())?;
        let applied = nslab(["apply", "/run/oracle.yaml"]);
        if !applied.status.success() {
            return Err(format!("apply: {}", text(&applied)));
        }
        sh(before);
        let checked = nslab(["check", "--no-explain", "--format", "json", "/run/oracle.yaml"]);
        let report: Value =
            serde_json::from_slice(&checked.stdout).map_err(|why| format!("check: {why}: {}", text(&checked)))?;
        let Compared { tally, wrong } = judge::compare(&lab, &report);
        if wrong.is_empty() { Ok(tally) } else { Err(wrong.join("\n")) }
    });
    played.join().unwrap_or_else(|_| Err("the case panicked".to_owned()))
}
