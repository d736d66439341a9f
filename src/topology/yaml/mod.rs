//! YAML as a tree in which everything knows its place.
//!
//! Scalars keep the text that the author wrote (`0x10`, `1e3`, `yes`): what it means is decided by who reads it, not by
//! YAML's guesses. Size, depth and aliases are limited here, so the rest may walk the tree without care.

mod emit;
mod errors;
mod limits;
mod node;
mod parse;

pub(super) use emit::emit;
pub(super) use limits::NODES;
pub(super) use node::{Node, Value};
pub(super) use parse::{read, read_documents};
