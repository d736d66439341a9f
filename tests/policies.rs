//! Network policies: what they mean, and that nodes enforce just that.
//!
//! Cases are files, `tests/policies/cases/NAME.yaml`: one or several steps, each with its policies and what they allow
//! and block. The oracle (`tests/policies/oracle.rs`) has to say the same, and is then compared with nslab for every
//! pair of pods, by what it computes and by probes. Random policies are compared in the same way.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod support;

#[path = "policies/enforced.rs"]
mod enforced;
#[path = "policies/fixture.rs"]
mod fixture;
#[path = "policies/link.rs"]
mod link;
#[path = "policies/live.rs"]
mod live;
#[path = "policies/oracle.rs"]
mod oracle;
#[path = "policies/random.rs"]
mod random;
#[path = "policies/sctp.rs"]
mod sctp;

use std::fs;
use std::path::Path;

use fixture::{Fixture, PORTS, strings};
use nslab::lab::PortProtocol;
use nslab::policies::{self, Connection, Judge, Reach};
use nslab::topology;
use oracle::{Question, allows};
use random::Numbers;
use serde_json::Value;
use support::{golden, sandbox};

const FOLDER: &str = "tests/policies/cases";

/// How many random sets of policies are tried by probes in every run.
const RANDOM_CASES: u64 = 40;

/// The steps of a case.
fn steps(case: &Path) -> Vec<Value> {
    let text = fs::read_to_string(case).expect("the case");
    text.split("\n---\n").map(|step| serde_saphyr::from_str(step).expect("YAML")).collect()
}

/// `x/b>x/a:80/tcp`, of which all but the first part may be left out.
fn asked<'a>(fixture: &'a Fixture, text: &'a str) -> Question<'a> {
    let (pair, port) = text.split_once(':').unwrap_or((text, "80/tcp"));
    let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let (from, to) = pair.split_once('>').unwrap_or((pair, "x/a"));
    let (from, to) = (fixture.party(from), fixture.party(to));
    Question { from, to, protocol, port: port.parse().expect("a port") }
}

/// Compares the oracle with what a case says.
fn oracle_says_so(fixture: &Fixture, step: &Value) -> Vec<String> {
    let of = |key: &str, wanted: bool| {
        let wrong = strings(&step[key]).into_iter().filter(move |text| {
            let says = allows(&fixture.policies, &fixture.namespaces, asked(fixture, text));
            says != wanted
        });
        wrong.map(|text| format!("the oracle differs: {text}")).collect::<Vec<_>>()
    };
    of("allowed", true).into_iter().chain(of("blocked", false)).collect()
}

/// Compares nslab's judgement with the oracle's: all parties, all protocols.
fn judge_says_so(fixture: &Fixture) -> Vec<String> {
    let text = fixture.topology("routes");
    let lab = topology::parse("case", &text).unwrap_or_else(|faults| panic!("{faults}\n{text}")).lab;
    let judge = Judge::new(&lab.network_policies);
    let mut wrong = Vec::new();
    for (from, to) in fixture.parties.iter().flat_map(|from| fixture.parties.iter().map(move |to| (from, to))) {
        for (protocol, of) in [("tcp", PortProtocol::Tcp), ("udp", PortProtocol::Udp), ("sctp", PortProtocol::Sctp)] {
            for port in PORTS.into_iter().chain([53]) {
                let wanted = allows(&fixture.policies, &fixture.namespaces, Question { from, to, protocol, port });
                let number = u16::try_from(port).expect("a port");
                let connection = Connection { source: from.address, destination: to.address, port: Some((of, number)) };
                let verdict = judge.verdict(&connection);
                if verdict.allows() != wanted {
                    wrong.push(format!("{} > {}:{port}/{protocol}: not {wanted}: {verdict:?}", from.name, to.name));
                }
            }
        }
    }
    wrong
}

/// Compares the matrix, in which like pods are one row, with the judgement of every pair.
fn matrix_says_so(fixture: &Fixture) {
    let lab = topology::parse("case", &fixture.topology("routes")).expect("a lab").lab;
    let of = &lab.network_policies;
    let (judge, matrix) = (Judge::new(of), policies::matrix(of));
    for layer in &matrix.layers {
        for (from, cells) in matrix.rows.iter().zip(&layer.allowed) {
            for (to, cell) in matrix.rows.iter().zip(cells) {
                let pairs = from.pods.iter().flat_map(|from| to.pods.iter().map(move |to| (*from, *to)));
                for ((from, to), ports) in pairs.flat_map(|pair| layer.ports.iter().map(move |ports| (pair, ports))) {
                    let [source, destination] = [from, to].map(|pod| of.pods[pod].addresses[0]);
                    let port = Some((ports.protocol, ports.last));
                    let allows = judge.verdict(&Connection { source, destination, port }).allows();
                    let wanted = if allows { Reach::Allowed } else { Reach::Forbidden };
                    assert!(from == to || *cell == Some(wanted), "{from} > {to} at {ports:?}: {cell:?}");
                }
            }
        }
    }
}

fn result(wrong: Vec<String>) -> Result<(), String> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

#[test]
fn policies_mean_what_the_cases_say() {
    golden::run(FOLDER, &golden::files(FOLDER, "yaml"), |_, case| {
        let wrong = steps(case).into_iter().flat_map(|step| {
            let fixture = Fixture::new(&step);
            [oracle_says_so(&fixture, &step), judge_says_so(&fixture)].concat()
        });
        result(wrong.collect())
    });
}

#[test]
fn random_policies_mean_what_the_oracle_says() {
    let mut numbers = Numbers(1);
    for case in 0..300 {
        let step = random::step(&mut numbers);
        let wrong = judge_says_so(&Fixture::new(&step));
        matrix_says_so(&Fixture::new(&step));
        assert!(wrong.is_empty(), "case {case}:\n{step:#}\n{}", wrong.join("\n"));
    }
}

/// In every way between nodes, one lab goes through the steps of all cases: what is there is changed, not made anew.
#[track_caller]
fn nodes_enforce_the_cases(routing: &str) {
    sandbox();
    let mut wrong = Vec::new();
    for (name, case) in golden::files(FOLDER, "yaml") {
        for (at, step) in steps(&case).into_iter().enumerate() {
            let fixture = Fixture::new(&step);
            let named: Vec<String> = ["allowed", "blocked"].iter().flat_map(|key| strings(&step[*key])).collect();
            let asked = named.iter().map(|text| asked(&fixture, text)).collect();
            if let Err(why) = enforced::as_the_oracle_says(&fixture, routing, asked) {
                wrong.push(format!("== {name}, step {}\n{why}", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nodes_enforce_policies_of_pods_on_bridges() {
    nodes_enforce_the_cases("routes");
}

#[test]
fn nodes_enforce_policies_of_routed_pods() {
    nodes_enforce_the_cases("routed");
}

#[test]
fn nodes_enforce_policies_behind_a_vxlan() {
    nodes_enforce_the_cases("vxlan");
}

/// `NSLAB_POLICY_CASES=1000` runs that many others; `NSLAB_POLICY_SEED` repeats them.
#[test]
fn nodes_enforce_random_policies() {
    sandbox();
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let asked = number("NSLAB_POLICY_CASES");
    let seed = number("NSLAB_POLICY_SEED").unwrap_or_else(|| asked.map_or(1, |_| std::process::id().into()));
    let mut numbers = Numbers(seed);
    for (case, routing) in (0..asked.unwrap_or(RANDOM_CASES)).zip(["routed", "routes", "vxlan"].into_iter().cycle()) {
        let step = random::step(&mut numbers);
        if let Err(why) = enforced::as_the_oracle_says(&Fixture::new(&step), routing, Vec::new()) {
            panic!("NSLAB_POLICY_SEED={seed}, case {case} ({routing}):\n{step:#}\n{why}");
        }
    }
}
