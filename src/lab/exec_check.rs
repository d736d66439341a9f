//! Checks that run a command: the command, where it runs, how it has to end, and how it did.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Ended, NsName};

/// A command that is run in namespaces, and how it has to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExecCheck {
    /// The author's name for it, or one made from where it runs and the command (`red → curl http://web/`).
    pub name: String,
    /// The line of the file that states it, counted from 1.
    pub line: u64,
    /// The command and its arguments: never empty.
    pub command: Vec<String>,
    /// The namespaces in which it runs, once in each.
    pub from: Vec<NsName>,
    /// The exit code that it must have.
    pub exit_code: u8,
    /// A text that its output must contain.
    pub contains: Option<String>,
    /// What its output must be, without the blank space around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How long it may take.
    #[serde(serialize_with = "super::check::seconds")]
    pub timeout: Duration,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ran {
    /// It could not be started, and why.
    NotStarted(String),
    /// It has ended.
    Ended(Ended, Printed),
    /// It had not ended in time.
    TooLong(Printed),
}

/// What a command has printed: the beginning, where it is long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// Its output.
    pub output: Vec<u8>,
    /// Its error output.
    pub errors: Vec<u8>,
    /// Whether that is all of its output.
    pub is_whole: bool,
}

/// A text in one line, cut after so many characters.
pub fn in_one_line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
