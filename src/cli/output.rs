//! Prints results on stdout, and everything else on stderr: the one place that writes to people.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;

use super::failure::Failure;
use super::printable::{Kind, printable};
use crate::topology::Diagnostics;
use crate::{engine, show};

/// How a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs; `nslab schema COMMAND` describes it
    Json,
}

/// Whether results are shown in colour: on a terminal, unless NO_COLOR (no-color.org) says otherwise.
pub(super) fn colour() -> bool {
    std::io::stdout().is_terminal() && wants_colour()
}

/// Prints a result. A reader that has gone (`nslab … | head`) is no error; a full disk is one.
///
/// # Errors
/// The result cannot be written.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_to_reader(text).map(drop)
}

/// The same; whether there is still a reader.
///
/// # Errors
/// As with [`print`].
pub(super) fn print_to_reader(text: &str) -> Result<bool, Failure> {
    write_out(&printable(text, Kind::Text { coloured: colour() }))
}

fn write_out(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{newline}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Output(format!("cannot write the result: {error}")))
        }
        written => Ok(written.is_ok()),
    }
}

/// Prints a result as JSON.
///
/// # Errors
/// As with [`print`].
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failure::Output(format!("cannot write the result: {error}")))?;
    write_out(&printable(&text, Kind::Json)).map(drop)
}

/// Prints a message on stderr.
pub(super) fn say(text: &str) {
    let text = printable(text, Kind::Text { coloured: colour_of_messages() });
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints on stderr what is in `/run/nslab` and is not what nslab keeps there.
pub(super) fn tell_oddities() {
    engine::oddities().iter().for_each(|told| say(&show::told(told)));
}

/// Prints the warnings about a file on stderr.
pub(super) fn warn(warnings: &Diagnostics) {
    if !warnings.is_empty() {
        say(warnings.render(colour_of_messages()).trim_end());
    }
}

/// Prints why a command could not do its work, with its code.
pub fn report(failure: &Failure) {
    say(&failure.text(colour_of_messages()));
}

/// The same for messages.
pub(super) fn colour_of_messages() -> bool {
    std::io::stderr().is_terminal() && wants_colour()
}

fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
