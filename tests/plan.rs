//! Plans, case by case: each folder of `tests/plan` has what is wanted (`wanted.yaml`), what is there (`live.yaml`;
//! without it, nothing is) and the plan between them (`plan.txt`; `BLESS=1` writes it anew).

mod support;

use std::fs;
use std::path::Path;

use nslab::lab::Live;
use nslab::{plan, show, topology};

#[test]
fn plans_are_as_written_down() {
    let mut cases: Vec<_> = fs::read_dir(support::project("tests/plan")).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "the cases are gone");
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a case, if anything.
fn check(case: &Path) -> Option<String> {
    let load = |name: &str| {
        let path = case.join(name);
        path.exists().then(|| topology::load(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).lab)
    };
    let wanted = load("wanted.yaml").expect("wanted.yaml");
    let live = load("live.yaml").map_or_else(Live::default, |lab| plan::as_built(&lab));
    let made = show::plan(&plan::plan(&wanted, &live), &plan::conflicts(&wanted, &live), false);
    let expected = case.join("plan.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected, &made).unwrap();
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    (made != expected).then(|| format!("== {}\nexpected:\n{expected}\nmade:\n{made}", case.display()))
}

#[test]
fn what_was_built_needs_nothing_and_undoing_it_leaves_nothing() {
    let mut files: Vec<_> = fs::read_dir(support::project("topologies")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(files.len() >= 6, "the topologies are gone");
    for file in files {
        let lab = topology::load(&file).unwrap().lab;
        let again = plan::plan(&lab, &plan::as_built(&lab));
        assert!(again.is_empty(), "{}: {}", file.display(), show::plan(&again, &[], false));
    }
}

/// Every step can be turned round, except those that remove what cannot be brought back; and turned round twice it is
/// itself again.
#[test]
fn inverses_are_inverse() {
    let lab = topology::load(&support::project("topologies/03-nat.yaml")).unwrap().lab;
    let steps = plan::plan(&lab, &Live::default()).steps;
    assert!(steps.len() > 15);
    for planned in steps {
        let told = planned.step.describe();
        let inverse = told.inverse.unwrap_or_else(|| panic!("no way back from {:?}", planned.step));
        assert_ne!(inverse.text(), told.text);
        if let Some(back) = inverse.inverse() {
            assert_eq!(back.text(), told.text);
        }
    }
}
