//! What network policies mean: who may reach whom, and the table of nf_tables that enforces it on a node.
//!
//! `judge` answers for one connection which policy and rule allows it, or which policies isolate; `matrix` asks it for
//! all pods and ports; `table` makes the tables of nodes. Both are pure functions on policies and pods whose labels
//! and addresses are known, and say the same: nothing here knows files, checks or the kernel. The rules are those of
//! Kubernetes' API, `networking/v1`.

mod judge;
mod matrix;
mod table;
#[cfg(test)]
mod tests;

pub use judge::{Connection, Free, Judge, Side, Verdict};
pub use matrix::{Layer, Matrix, PortsOf, Reach, Row, address, matrix};
pub use table::{table_id, tables};
