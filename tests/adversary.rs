//! What people and programs that wish nslab ill have tried: each file in `tests/adversary` is one case, a script that
//! runs in a sandbox of its own with the nslab of this build in PATH, and fails where nslab was taken in.

mod support;

use std::process::Command;

use support::{golden, sandbox, text};

#[test]
fn nslab_is_not_taken_in() {
    golden::run("tests/adversary", &golden::files("tests/adversary", "sh"), |_, file| {
        sandbox();
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_nslab")).parent().ok_or("no folder")?;
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").map_err(|error| error.to_string())?);
        std::fs::create_dir("/run/here").map_err(|error| error.to_string())?;
        let mut shell = Command::new("timeout");
        shell.args(["60", "sh", "-eux"]).arg(file).current_dir("/run/here").env("PATH", path).env("NO_COLOR", "1");
        let output = shell.output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(format!("{}\n{}", output.status, text(&output))) }
    });
}
