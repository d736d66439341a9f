//! What a random lab goes through: it is read, built, and compared with one that is made anew.

use std::process::{Command, Output};

use nslab::lab::Lab;

use super::account;
use super::support::{rest, run, sandbox, text};

pub fn at(when: &'static str) -> impl Fn(String) -> String {
    move |why| format!("{when}: {why}")
}

pub fn load(text: &str) -> Result<Lab, String> {
    nslab::topology::parse("random.yaml", text).map(|topology| topology.lab).map_err(|faults| faults.to_string())
}

/// Runs nslab; what hangs ends with 124.
pub fn limited(args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", env!("CARGO_BIN_EXE_nslab")]).args(args).env("NO_COLOR", "1");
    command.output().expect("nslab")
}

pub fn nslab_ok(args: &[&str]) -> Result<String, String> {
    let output = limited(args);
    let said = text(&output);
    if output.status.success() { Ok(said) } else { Err(format!("nslab {args:?} ended with {}: {said}", output.status)) }
}

/// Whether the lab in this sandbox is like one that is made anew in another, after what the shell did `before`.
pub fn as_fresh(before: &str, file: &str, lab: &Lab) -> Result<(), String> {
    let fresh = |look: fn(&Lab) -> account::Account| {
        let (before, file, lab) = (before.to_owned(), file.to_owned(), lab.clone());
        let made = std::thread::spawn(move || {
            sandbox();
            run(&before);
            std::fs::write("/run/random.yaml", file).map_err(|error| error.to_string())?;
            nslab_ok(&["apply", "/run/random.yaml"])?;
            Ok(look(&lab))
        });
        made.join().unwrap_or_else(|panic| Err(said(&*panic)))
    };
    if account::difference(&account::of(lab), &fresh(account::of)?).is_none() {
        return Ok(());
    }
    // Perhaps the kernel has only not told everything yet.
    let at_rest = |lab: &Lab| {
        rest::at_rest();
        account::of(lab)
    };
    match account::difference(&at_rest(lab), &fresh(at_rest)?) {
        None => Ok(()),
        Some(difference) => Err(format!("it is not as a fresh one:\n{difference}")),
    }
}

pub fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
