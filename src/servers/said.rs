//! What servers say: of themselves to whoever asks, and of what they do to whoever started them.

use std::fmt;
use std::net::SocketAddr;

use super::named::Named;

/// So many characters of what somebody else wrote a line has.
const SHOWN: usize = 200;
/// A line of at most so many bytes is written as a whole or not at all (PIPE_BUF in pipe(7)).
const LINE: usize = 4096;

impl Named {
    /// Who answers at an address.
    pub(super) fn introduction(&self, at: SocketAddr) -> String {
        format!("{} answers at {at}", self.ns)
    }

    /// Writes a line on what somebody has done; one that nobody takes is dropped.
    pub(super) fn tell(&self, from: SocketAddr, to: SocketAddr, what: impl fmt::Display) {
        let mut line = format!("{} {}: from {from} to {}{what}", self.server.kind, self.server.port, to.ip());
        if line.len() < LINE {
            line.push('\n');
            let _ = nix::unistd::write(std::io::stdout(), line.as_bytes());
        }
    }
}

/// What somebody else wrote, as a part of a line: a terminal obeys control characters, and marks of direction.
pub(super) fn shown(text: &str) -> String {
    let is_obeyed = |c: char| {
        let is_direction =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || is_direction
    };
    let mut characters = text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c });
    let shown: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() { shown + "…" } else { shown }
}
