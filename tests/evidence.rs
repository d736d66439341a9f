//! Verdicts rest on evidence: each case of `tests/evidence/` is a lab in which something else than what the file promises looks
//! like it, or keeps the promise in an unusual way. `CASE=name` runs one alone.
//!
//! A case has the topology (`lab`), what is done to it by hand after `apply` (`then`), and for each pair of its checks, in
//! order, `passes`, or words that the verdict must have.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use serde::Deserialize;
use support::{nslab, project, run, sandbox, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    lab: String,
    #[serde(default)]
    then: String,
    verdicts: Vec<String>,
}

#[test]
fn verdicts_rest_on_evidence() {
    let mut files: Vec<_> =
        std::fs::read_dir(project("tests/evidence")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let only = std::env::var("CASE").ok();
    let mut run = 0;
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let case: Case = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        std::thread::spawn(move || judge(&name, &case)).join().unwrap();
        run += 1;
    }
    assert!(run > 0, "no case has this name");
}

fn judge(name: &str, case: &Case) {
    sandbox();
    std::fs::write("/run/case.yaml", &case.lab).unwrap();
    let applied = nslab(["apply", "/run/case.yaml"]);
    assert_eq!(applied.status.code(), Some(0), "{name}: {}", text(&applied));
    run(&case.then);
    let output = nslab(["check", "--format", "json", "/run/case.yaml"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {}", text(&output)));
    let checks = report["checks"].as_array().unwrap();
    let pairs: Vec<_> = checks.iter().flat_map(|check| check["pairs"].as_array().unwrap()).collect();
    assert_eq!(pairs.len(), case.verdicts.len(), "{name}: as many verdicts as pairs: {report:#}");
    for (number, (pair, wanted)) in pairs.iter().zip(&case.verdicts).enumerate() {
        let seen = match pair["fault"].as_str() {
            None => "passes",
            Some(words) => words,
        };
        let is_so = if wanted == "passes" { seen == "passes" } else { seen.contains(wanted) };
        assert!(is_so, "{name}, pair {}: {seen:?}, not {wanted:?}\n{pair:#}", number + 1);
    }
    let all_pass = case.verdicts.iter().all(|verdict| verdict == "passes");
    assert_eq!(output.status.code(), Some(if all_pass { 0 } else { 1 }), "{name}");
}
