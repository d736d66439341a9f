//! Labs that several machines make together: each file in `tests/machines` is a script for a sandbox of its own, in
//! which three machines are on one bridge, with the nslab of this build in PATH and the shipped topologies beside it.

mod support;

use std::path::Path;
use std::process::Command;

use support::{golden, project, sandbox, text};

#[test]
fn several_machines_make_one_lab() {
    golden::run("tests/machines", &golden::files("tests/machines", "sh"), |_, script| case(script));
}

fn case(script: &Path) -> Result<(), String> {
    sandbox();
    std::fs::create_dir("/run/here").map_err(|error| error.to_string())?;
    std::os::unix::fs::symlink(project("topologies"), "/run/here/topologies").map_err(|error| error.to_string())?;
    let folder = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().ok_or("no folder")?;
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").map_err(|error| error.to_string())?);
    let mut shell = Command::new("timeout");
    shell.args(["120", "sh", "-eux"]).arg(script).current_dir("/run/here").env("PATH", path).env("NO_COLOR", "1");
    let output = shell.env("FUNCTIONS", project("tests/machines/functions")).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(format!("{}\n{}", output.status, text(&output))) }
}
