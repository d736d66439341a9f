//! What the file says in one spelling and the kernel or iptables keep in another: applied once, there is nothing left
//! to do.
//!
//! Each `tests/normal/*.yaml` is a lab that is applied; then `plan` must find it in sync, and a second `apply` do
//! nothing.

mod support;

use support::{golden, nslab, sandbox, text};

#[test]
fn what_was_applied_is_as_the_file_says() {
    let cases = golden::files("tests/normal", "yaml");
    golden::run("tests/normal", &cases, |_, file| apply_and_plan(&file.to_string_lossy()));
}

fn apply_and_plan(file: &str) -> Result<(), String> {
    sandbox();
    for command in [&["apply", file][..], &["plan", "--exit-code", file]] {
        let output = nslab(command);
        if !output.status.success() {
            return Err(text(&output));
        }
    }
    Ok(())
}
