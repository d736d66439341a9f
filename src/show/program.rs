//! The programs of a lab: how each is.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Serialize;

use super::lines::{fitted, printable, table};
use crate::lab::{ObservedProgram, PortProtocol, ProgramRef};

/// A program for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProgramView {
    /// As NAMESPACE/PROGRAM.
    program: String,
    /// `waiting`, `starting`, `running`, `restarting`, `done`, `failed` or `stopping`.
    state: String,
    /// Its first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    /// Since when it has been so, in milliseconds since 1970.
    since: u64,
    /// How often it was started again.
    restarts: u32,
    /// How it has ended the last time, or why it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// The ports at which its processes listen, such as `80/tcp`.
    ports: Vec<String>,
}

impl ProgramView {
    pub(super) fn new(name: &ProgramRef, is: &ObservedProgram, ports: &BTreeSet<(u16, PortProtocol)>) -> Self {
        Self {
            program: name.to_string(),
            state: is.state.to_string(),
            pid: is.pid,
            since: is.since,
            restarts: is.restarts,
            ended: is.why.clone().or_else(|| is.ended.map(|ended| format!("it {ended}"))),
            ports: ports.iter().map(|(port, protocol)| format!("{port}/{protocol}")).collect(),
        }
    }

    fn cells(&self) -> [String; 7] {
        let pid = self.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let ended = printable(self.ended.as_deref().unwrap_or_default());
        let restarts = self.restarts.to_string();
        [self.program.clone(), self.state.clone(), pid, age(self.since), restarts, self.ports.join(" "), ended]
    }
}

/// The programs of a lab for people, in lines of at most `width` columns; nothing where it has none.
pub(super) fn programs(views: &[ProgramView], width: usize) -> String {
    if views.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 7]> = views.iter().map(ProgramView::cells).collect();
    let head = ["PROGRAM", "STATE", "PID", "FOR", "RESTARTS", "PORTS", "LAST END"];
    let stacked = || {
        let line = |[program, state, pid, age, restarts, ports, ended]: &[String; 7]| {
            let parts = [("pid ", pid), ("for ", age), ("restarts: ", restarts), ("ports: ", ports), ("", ended)];
            let parts = parts.iter().filter(|(_, text)| !text.is_empty()).map(|(of, text)| format!(", {of}{text}"));
            fitted(&format!("{program}: {state}{}", parts.collect::<String>()), 0, 4, width)
        };
        format!("Programs:\n{}", rows.iter().map(line).collect::<String>())
    };
    let table = table(head, &rows, width).unwrap_or_else(stacked);
    format!("{}\n\n", table.trim_end_matches('\n'))
}

/// How long ago a time was: "5s", "12m", "3h", "2d".
fn age(since: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = now.saturating_sub(Duration::from_millis(since)).as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
