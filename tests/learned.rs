//! What a namespace has learned is forgotten where an apply makes it wrong: the first packet goes through. Each file of
//! `tests/learned` is a case: a topology as it is at first, what it learns from, and what the topology then becomes.

mod support;

use serde::Deserialize;
use support::{ends, golden, run, sandbox};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    before: String,
    /// Shell commands; they may fail.
    learn: String,
    after: String,
    /// A command that has to succeed directly afterwards.
    first: String,
}

#[test]
fn the_first_packet_after_a_change_goes_through() {
    golden::run("tests/learned", &golden::files("tests/learned", "yaml"), |_, file| {
        let case: Case = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        sandbox();
        let file = "/run/learned.yaml";
        let apply = |text: &str| {
            std::fs::write(file, text).unwrap();
            ends(&["apply", file], 0);
        };
        apply(&case.before);
        run(&format!("( {} ) || true", case.learn));
        apply(&case.after);
        run(&case.first);
        ends(&["check", file], 0);
        ends(&["plan", "--exit-code", file], 0);
        Ok(())
    });
}
