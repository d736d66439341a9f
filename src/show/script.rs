//! A lab as a shell script, from the same steps that `apply` runs.

use crate::lab::{Lab, NsName, Observed};
use crate::plan::{self, PlannedStep};

/// The script that builds the lab on a machine that has nothing of it.
pub fn script(lab: &Lab) -> String {
    let steps = plan::plan(lab, &Observed::default()).steps;
    render(&format!("Lab {}: builds it.", lab.name), lab.description.as_deref(), &steps)
}

/// The script that removes a lab which [`script`] has built.
pub fn undo_script(lab: &Lab) -> String {
    let host = lab.namespaces.get(&NsName::host());
    let settings: Vec<_> = host.into_iter().flat_map(|host| host.sysctls.keys().cloned()).collect();
    let steps = plan::teardown(&lab.name, &plan::as_built(lab), &settings);
    render(&format!("Lab {}: removes it.", lab.name), None, &steps)
}

fn render(title: &str, description: Option<&str>, steps: &[PlannedStep]) -> String {
    let mut text = format!("#!/bin/sh\n# {title} Run it as root.\n");
    for line in description.into_iter().flat_map(str::lines) {
        // A comment stays one: no control character ends it or hides what follows.
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        text += format!("# {line}").trim_end();
        text += "\n";
    }
    text += "set -e\n";
    for planned in steps {
        text += &format!("\n# {}\n", planned.step.text());
        text.extend(planned.step.script().iter().map(|line| format!("{line}\n")));
    }
    text
}
