//! What people and programs that wish nslab ill have tried: each file in `tests/adversary` is one case, a script that
//! runs in a sandbox of its own, with the nslab of this build in PATH and copies of the labs beside it where it is, and
//! fails where nslab was taken in. And what other programs keep in the host's firewall: each file in
//! `tests/adversary/firewalls` makes a state of it, through which `steps` there takes a lab.

mod support;

use std::path::Path;
use std::process::Command;

use support::{golden, project, sandbox, text};

#[test]
fn nslab_is_not_taken_in() {
    golden::run("tests/adversary", &golden::files("tests/adversary", "sh"), |_, file| case(file, file));
}

#[test]
fn the_firewall_of_the_host_stays_as_it_is() {
    let folder = "tests/adversary/firewalls";
    golden::run(folder, &golden::files(folder, "sh"), |_, file| case(&project(folder).join("steps"), file));
}

/// Runs a script in a sandbox, which finds the firewall's file in `FIREWALL`.
fn case(script: &Path, firewall: &Path) -> Result<(), String> {
    sandbox();
    let folder = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().ok_or("no folder")?;
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").map_err(|error| error.to_string())?);
    std::fs::create_dir("/run/here").map_err(|error| error.to_string())?;
    for (name, file) in golden::files("tests/adversary", "yaml") {
        std::fs::copy(file, format!("/run/here/{name}.yaml")).map_err(|error| error.to_string())?;
    }
    let mut shell = Command::new("timeout");
    shell.args(["120", "sh", "-eux"]).arg(script).current_dir("/run/here");
    let output = shell.env("PATH", path).env("NO_COLOR", "1").env("FIREWALL", firewall).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(format!("{}\n{}", output.status, text(&output))) }
}
