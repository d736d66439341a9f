//! The use cases: apply, destroy, check, trace, test, and what labs there are. A lab is changed under its lock, with a
//! journal written before the first change; when a step fails or a signal comes, everything is undone; at the end, the
//! lab is compared with the kernel again.
//!
//! It knows nothing of files' syntax or of how results are shown.

mod apply;
mod check;
mod child;
mod code;
mod destroy;
mod deviceless_routes;
mod error;
mod etc_files;
mod exec;
mod exec_checks;
mod explain;
mod flows;
mod handshakes;
pub mod host_settings;
mod interrupt;
mod labs;
mod lock;
mod logs;
mod machine;
mod marks;
mod namespace;
mod oddities;
mod of_programs;
mod original_sysctls;
mod plan;
mod policy;
mod policy_flows;
mod preconditions;
mod ready;
mod serve;
mod sides;
mod test;
mod this_machine;
mod trace;
mod trace_probe;
mod undo;
mod wireguard_keys;

pub use apply::{Applied, Options, apply};
pub use check::{Called, check, check_later, check_share};
pub use child::in_child;
pub use code::EngineCode;
pub use destroy::{Destroyed, destroy};
pub use error::{EngineError, UndoError};
pub use exec::{exec, exec_in_sandbox};
pub use exec_checks::run_one;
pub use explain::explain;
pub use interrupt::Interrupts;
pub use labs::{Kept, Labs, Status, as_applied, built_as, is_kept, labs, status};
pub use logs::{LogLine, Logs, logs};
pub use machine::Machine;
pub use namespace::{NamespaceStatus, namespace_status};
pub use oddities::{Told, oddities};
pub use plan::{Planned, plan};
pub use policy::{prove, source};
pub use preconditions::examine;
pub use serve::serve;
pub use sides::{attend, end_checks, join_checks, open_checks, send_checks, side_of_checks};
pub use test::test;
pub use this_machine::{as_on_this_machine, is_applied_alike, on_this_machine, uplink_differs};
pub use trace::{Tracer, Tracing, trace_expected};

pub use crate::programs::supervise;

/// What the engine reports while it works; for progress and messages.
#[derive(Debug)]
pub enum Event<'a> {
    /// Another nslab is working on this lab; this one waits for it.
    Waiting,
    /// Something may not work as it should; the lab can be applied all the same.
    Warning(&'a crate::preflight::Finding),
    /// Something that whoever runs nslab has to know.
    Told(&'a Told),
    /// Everything is as the file says, but the lab does not own this many namespaces and interfaces.
    NotOwned(usize),
    /// The plan is made; this many steps are to come.
    Planned(usize),
    /// This many ports of bridges do not forward yet, and are waited for.
    WaitingForPorts(usize),
    /// This many ports of bridges will not forward before a spanning tree has formed.
    SpanningTree(usize),
    /// These ports of bridges do not forward after so long.
    NotForwarding(&'a [crate::lab::InterfaceRef], std::time::Duration),
    /// A step is done.
    Done(&'a crate::plan::PlannedStep),
    /// A step failed, or a signal came: this many steps are being undone.
    Undoing(usize),
    /// This many steps of the way back have been tried.
    Undone(usize),
}

/// Where events go.
pub type Listener<'a> = &'a mut dyn FnMut(Event<'_>);
