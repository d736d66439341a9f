//! The topology file: what is accepted, what it means, and every fault that is found in it.
//!
//! Cases are files. `tests/faults/NAME.yaml` is a file with faults and `NAME.expected` what is said about it;
//! `tests/resolved/NAME.yaml` is a file without any and `NAME.json` the lab that it describes. With `BLESS=1` in the
//! environment, the expectations are written anew instead of being compared.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nslab::topology::{self, Faults};
use serde_json::Value;

/// The YAML files of a folder of the project.
fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(support::project(folder)).expect(folder);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect(folder).path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "{folder} has no YAML files");
    files
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

/// Compares with the file beside the case, or writes it; what differs.
fn compare(case: &Path, extension: &str, actual: &str) -> Option<String> {
    let expected = case.with_extension(extension);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected, actual).expect("the expectation");
        return None;
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    (wanted != actual).then(|| format!("{}: expected\n{wanted}\nbut got\n{actual}", expected.display()))
}

fn none_differ(differences: &[String]) {
    assert!(differences.is_empty(), "{}\n(BLESS=1 accepts what is now)", differences.join("\n\n"));
}

#[test]
fn every_fault_is_told_as_expected() {
    let mut differences = Vec::new();
    for case in yaml_files("tests/faults") {
        let text = fs::read_to_string(&case).expect("the case");
        let faults = topology::parse(&file_name(&case), &text).expect_err(&file_name(&case));
        differences.extend(compare(&case, "expected", &faults.render(false)));
    }
    none_differ(&differences);
}

#[test]
fn files_mean_what_is_expected() {
    let mut differences = Vec::new();
    for case in yaml_files("tests/resolved") {
        let text = fs::read_to_string(&case).expect("the case");
        let topology = topology::parse(&file_name(&case), &text).unwrap_or_else(|faults| panic!("{faults}"));
        let json = serde_json::to_string_pretty(&topology.lab).expect("JSON");
        differences.extend(compare(&case, "json", &(json + "\n")));
    }
    none_differ(&differences);
}

#[test]
fn shipped_topologies_are_without_fault() {
    for file in yaml_files("topologies") {
        let topology = topology::load(&file).unwrap_or_else(|error| panic!("{error}"));
        assert!(!topology.lab.checks.is_empty(), "{} proves nothing", file.display());
        assert!(topology.lab.about.is_some(), "{} says nothing about itself", file.display());
    }
}
