//! Everything that people read, and the same as JSON for programs: plans, scripts, labs, results of checks, ways of
//! packets.
//!
//! Functions from values to text; nothing here asks the kernel, reads a file or prints.

mod doctor;
mod done;
mod labs;
mod lines;
mod namespace;
mod plan;
mod policy;
mod program;
mod progress;
pub mod report;
mod script;
mod status;
mod tested;
mod trace;
mod valid;

pub use doctor::{DoctorView, doctor, findings};
pub use done::{AppliedView, done};
pub use labs::{LabView, labs, list};
pub use namespace::{NamespaceStatusView, namespace};
pub use plan::{PlanView, plan};
pub use policy::{PolicyView, VerdictView, policies, verdict};
pub use progress::Progress;
pub use script::{script, undo_script};
pub use status::{StatusView, status};
pub use tested::{TestView, tested, tested_summary};
pub use trace::{lookup, mermaid, trace};
pub use valid::{DiagnosticView, ValidView};

/// An error for people: its code is at the end of its first line.
pub fn error(message: &str, code: &str) -> String {
    with_code("error", message, code)
}

/// A warning for people, with what to do about it.
pub fn warning(finding: &crate::preflight::Finding) -> String {
    let message = format!("{}\n      {}", finding.what, finding.help);
    with_code("warning", &message, &finding.code.to_string())
}

/// Something that is told and stops nothing.
pub fn told(told: &crate::engine::Told) -> String {
    with_code("warning", &told.text, &told.code)
}

fn with_code(level: &str, message: &str, code: &str) -> String {
    match message.split_once('\n') {
        Some((first, rest)) => format!("{level}: {first} [{code}]\n{rest}"),
        None => format!("{level}: {message} [{code}]"),
    }
}

/// The JSON Schema of a result.
pub fn schema_of<T: schemars::JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(T).to_value()
}

/// The width of the terminal in columns, or a common one where there is none.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.or_else(progress::terminal_width).unwrap_or(100)
}

/// The width of the terminal, or the 80 columns that every terminal has, if it is wider.
pub fn narrow() -> usize {
    width().min(lines::WIDTH)
}

/// A text in bold, dim, green or red (ECMA-48 "select graphic rendition"), where colour is wanted.
fn styled(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// "1 step", "2 steps".
fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
