//! Verdicts rest on evidence: each case of `tests/evidence/` is a lab in which something else than what the file
//! promises looks like it, or keeps the promise in an unusual way. `CASE=name` runs one alone.
//!
//! A case has the topology (`lab`), what is done to it by hand after `apply` (`then`), and for each pair of its checks,
//! in order, `passes`, or words that the verdict must have; `results` are the words of their rows.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use serde::Deserialize;
use support::{golden, nslab, run, sandbox, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    lab: String,
    #[serde(default)]
    then: String,
    verdicts: Vec<String>,
    /// What the pairs' rows say happened; none where the case is not about that.
    #[serde(default)]
    results: Vec<String>,
}

#[test]
fn verdicts_rest_on_evidence() {
    golden::run("tests/evidence", &golden::files("tests/evidence", "yaml"), |name, path| {
        let case: Case = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        judge(name, &case);
        Ok(())
    });
}

fn judge(name: &str, case: &Case) {
    sandbox();
    std::fs::write("/run/case.yaml", &case.lab).unwrap();
    let applied = nslab(["apply", "/run/case.yaml"]);
    assert_eq!(applied.status.code(), Some(0), "{name}: {}", text(&applied));
    run(&case.then);
    let output = nslab(["check", "--no-explain", "--format", "json", "/run/case.yaml"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {}", text(&output)));
    let checks = report["checks"].as_array().unwrap();
    let pairs: Vec<_> = checks.iter().flat_map(|check| check["pairs"].as_array().unwrap()).collect();
    assert_eq!(pairs.len(), case.verdicts.len(), "{name}: as many verdicts as pairs: {report:#}");
    for (number, (pair, wanted)) in pairs.iter().zip(&case.verdicts).enumerate() {
        let seen = match pair["failure"].as_str() {
            None => "passes",
            Some(words) => words,
        };
        let is_so = if wanted == "passes" { seen == "passes" } else { seen.contains(wanted) };
        assert!(is_so, "{name}, pair {}: {seen:?}, not {wanted:?}\n{pair:#}", number + 1);
    }
    if !case.results.is_empty() {
        let results: Vec<&str> = pairs.iter().map(|pair| pair["result"].as_str().unwrap()).collect();
        assert_eq!(results, case.results, "{name}");
    }
    let all_pass = case.verdicts.iter().all(|verdict| verdict == "passes");
    assert_eq!(output.status.code(), Some(if all_pass { 0 } else { 1 }), "{name}");
}

#[test]
fn namespaces_of_another_lab_are_not_checked() {
    sandbox();
    let lab = |name: &str| {
        format!(
            "name: {name}\nnamespaces:\n  red: {{ interfaces: {{ e: {{ addresses: [10.0.0.1/24] }} }} }}\n  \
             blue: {{ interfaces: {{ e: {{ addresses: [10.0.0.2/24] }} }} }}\nlinks: [[red/e, blue/e]]\n\
             checks: [{{ from: red, to: blue }}]\n"
        )
    };
    std::fs::write("/run/one.yaml", lab("one")).unwrap();
    std::fs::write("/run/two.yaml", lab("two")).unwrap();
    assert_eq!(nslab(["apply", "/run/one.yaml"]).status.code(), Some(0));
    let others = nslab(["check", "/run/two.yaml"]);
    assert_eq!(others.status.code(), Some(3), "{}", text(&others));
    assert!(text(&others).contains("namespace red belongs to lab one"), "{}", text(&others));
    run("ip netns exec red true; umount /run/netns/blue; mount --bind /run/netns/red /run/netns/blue");
    let same = nslab(["check", "/run/one.yaml"]);
    assert_eq!(same.status.code(), Some(3), "{}", text(&same));
    assert!(text(&same).contains("leads to the network namespace of"), "{}", text(&same));
}

#[test]
fn a_stopped_nslab_has_heard_nothing_and_knows_it() {
    sandbox();
    let lab = "name: stopped\nnamespaces:\n  red: { interfaces: { e: { addresses: [10.0.0.1/24] } } }\n  \
               blue: { interfaces: { e: { addresses: [10.0.0.2/24] } } }\nlinks: [[red/e, blue/e]]\nchecks:\n  \
               - { from: red, to: blue, expect: unreachable }\n  \
               - { from: red, to: blue, port: 80, expect: unreachable }\n  \
               - { from: red, to: blue, port: 53, protocol: udp, expect: unreachable }\n";
    std::fs::write("/run/stopped.yaml", lab).unwrap();
    assert_eq!(nslab(["apply", "/run/stopped.yaml"]).status.code(), Some(0));
    // Stopped and woken all the time, each time for longer than a probe waits.
    let script = format!(
        "{} check --format json /run/stopped.yaml > /run/report & p=$!
         for n in 1 2 3; do sleep 0.01; kill -STOP $p || break; sleep 1.2; kill -CONT $p || break; done
         wait $p && exit 9; [ $? = 1 ]; cat /run/report",
        env!("CARGO_BIN_EXE_nslab")
    );
    let report = run(&script);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(check["pairs"][0]["passed"], false, "{report:#}");
    }
}
