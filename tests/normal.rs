//! What the file says in one spelling and the kernel or iptables keep in another: applied once, there is nothing left to do.
//!
//! Each `tests/normal/*.yaml` is a lab that is applied; then `plan` must find it in sync, and a second `apply` do nothing.

#![allow(clippy::expect_used)] // A test that cannot go on says so by panicking.

mod support;

use support::{nslab, project, sandbox, text};

#[test]
fn what_was_applied_is_as_the_file_says() {
    let entries = std::fs::read_dir(project("tests/normal")).expect("the cases");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a case").path()).collect();
    files.sort();
    assert!(files.len() >= 3, "the cases are gone");
    let mut wrong = String::new();
    for file in &files {
        let applied = std::thread::scope(|scope| scope.spawn(|| apply_and_plan(&file.to_string_lossy())).join());
        if let Err(why) = applied.expect("a case runs") {
            wrong += &format!("{}: {why}\n", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
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
