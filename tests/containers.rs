//! What nslab does with the rights that containers leave it. Each file in `tests/containers` is a script that runs in a
//! sandbox of its own, with the nslab of this build and copies of the labs where it is; what it shows is one row of the
//! table in docs/ci.md. `scripts/containers` makes that table with real containers.

mod support;

use std::path::Path;
use std::process::Command;

use support::{golden, sandbox, text};

/// Where a script runs: every user can read what is there.
const WORK: &str = "/run/here";

/// What the scripts share.
const FUNCTIONS: &str = "
# refused CMD…: nslab refuses, and leaves nothing. What it says is in `said`.
refused() {
  code=0
  \"$@\" >said 2>&1 || code=$?
  cat said
  test \"$code\" -eq 3
  test -z \"$(ls -A /run/netns)\"
  test ! -e /run/nslab
}
# says TEXT…: each of them is in what nslab has said.
says() { for text; do grep -qF -e \"$text\" said; done }
# What containers do without --privileged.
read_only_settings() {
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
}
";

#[test]
fn what_containers_allow() {
    golden::run("tests/containers", &golden::files("tests/containers", "sh"), |_, file| case(file));
}

fn case(script: &Path) -> Result<(), String> {
    sandbox();
    let copied = |error: std::io::Error| error.to_string();
    std::fs::create_dir(WORK).map_err(copied)?;
    for (name, file) in golden::files("tests/containers", "yaml") {
        std::fs::copy(file, format!("{WORK}/{name}.yaml")).map_err(copied)?;
    }
    std::fs::copy(env!("CARGO_BIN_EXE_nslab"), format!("{WORK}/nslab")).map_err(copied)?;
    let script = format!("{FUNCTIONS}\n{}", std::fs::read_to_string(script).map_err(copied)?);
    let mut shell = Command::new("timeout");
    shell.args(["60", "sh", "-euxc", &script]).current_dir(WORK).env("NO_COLOR", "1");
    let output = shell.output().map_err(copied)?;
    if output.status.success() { Ok(()) } else { Err(format!("{}\n{}", output.status, text(&output))) }
}
