//! Progress of long work, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Work that is shorter than this shows nothing; also the time between two updates.
const UPDATE_INTERVAL: Duration = Duration::from_millis(500);

/// A line on stderr that says how far the work is; nothing where stderr is no terminal.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    steps: usize,
    done: usize,
    last: Instant,
    shown: bool,
}

impl Progress {
    /// Nothing to do yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), steps: 0, done: 0, last: Instant::now(), shown: false }
    }

    /// This many steps are to come.
    pub fn begin(&mut self, steps: usize) {
        (self.steps, self.done) = (steps, 0);
    }

    /// One more step is done.
    pub fn step(&mut self) {
        self.done += 1;
        if self.terminal && self.last.elapsed() > UPDATE_INTERVAL {
            self.last = Instant::now();
            self.shown = true;
            let _ = write!(std::io::stderr(), "\r{} of {} steps", self.done, self.steps);
        }
    }

    /// So much is done.
    pub fn at(&mut self, done: usize, of: usize, what: &str) {
        if self.terminal && self.last.elapsed() > UPDATE_INTERVAL {
            self.last = Instant::now();
            self.shown = true;
            let _ = write!(std::io::stderr(), "\r{done} of {of} {what}");
        }
    }

    /// The work is over: the line is cleared.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// The width of the terminal that stdout or stderr is, if one of them is.
pub(super) fn terminal_width() -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size()?;
    Some(usize::from(columns))
}
