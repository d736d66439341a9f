//! Plans, case by case: each folder of `tests/plan` has what is wanted (`wanted.yaml`), what is there (`live.yaml`;
//! without it, nothing is) and the plan between them (`plan.txt`).

mod support;

use std::path::Path;

use nslab::lab::Observed;
use nslab::{plan, show, topology};
use support::golden;

#[test]
fn plans_are_as_written_down() {
    golden::run("tests/plan", &golden::folders("tests/plan"), |_, case| check(case));
}

fn check(case: &Path) -> Result<(), String> {
    let load = |name: &str| topology::load(&case.join(name)).map(|topology| topology.lab);
    let wanted = load("wanted.yaml").map_err(|error| error.to_string())?;
    let live = if case.join("live.yaml").exists() {
        plan::as_built(&load("live.yaml").map_err(|error| error.to_string())?)
    } else {
        Observed::default()
    };
    let made = show::plan(&plan::plan(&wanted, &live), &plan::conflicts(&wanted, &live), false);
    golden::expect(&case.join("plan.txt"), &made)
}

#[test]
fn what_was_built_needs_nothing() {
    golden::run("topologies", &golden::files("topologies", "yaml"), |_, file| {
        let lab = topology::load(file).map_err(|error| error.to_string())?.lab;
        let again = plan::plan(&lab, &plan::as_built(&lab));
        if again.is_empty() { Ok(()) } else { Err(show::plan(&again, &[], false)) }
    });
}

/// Every step can be turned round, except those that remove what cannot be brought back; and turned round twice it is
/// itself again.
#[test]
fn inverses_are_inverse() {
    let lab = topology::load(&support::project("topologies/03-nat.yaml")).unwrap().lab;
    let steps = plan::plan(&lab, &Observed::default()).steps;
    assert!(steps.len() > 15);
    for planned in steps {
        let text = planned.step.text();
        let inverse = planned.step.inverse().unwrap_or_else(|| panic!("no way back from {:?}", planned.step));
        assert_ne!(inverse.text(), text);
        if let Some(back) = inverse.inverse() {
            assert_eq!(back.text(), text);
        }
    }
}
