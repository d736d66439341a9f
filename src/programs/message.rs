//! What is said at the socket of a supervisor, and between it and a keeper: one JSON value a line.

use serde::{Deserialize, Serialize};

use crate::lab::{Ended, ObservedProgram, Position, Program, ProgramRef, ProgramState};

/// What nslab asks a supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    /// Which programs it has.
    List,
    /// Starts these, each once what it needs is ready. One that is there as it is to be stays.
    Start(Vec<(ProgramRef, Program)>),
    /// Ends these.
    End(Vec<ProgramRef>),
}

/// Its answer: the programs that it has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The number of its process.
    pub(super) supervisor: i32,
    pub(super) programs: Vec<(ProgramRef, ObservedProgram)>,
}

/// What a keeper reports of its program, whenever that changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) state: ProgramState,
    pub(super) pid: Option<i32>,
    pub(super) was_ready: bool,
    pub(super) restarts: u32,
    pub(super) ended: Option<Ended>,
    pub(super) why: Option<String>,
    /// Where its output begins.
    pub(super) output: Option<Position>,
}
