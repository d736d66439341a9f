//! Firewall rules as arguments of iptables, and read back from what `iptables-save` prints.
//!
//! This room knows how iptables spells the model's rules, and nothing else: it may not know namespaces, steps, programs
//! or the kernel. What iptables says and the model has no words for becomes a foreign rule, which keeps its text.

mod args;
mod names;
mod read;
#[cfg(test)]
mod round_trip;
mod save;
mod words;
mod write;

pub use read::read;
pub use save::{chain_removal, chains_of_labs, emptied_table, read_counted, read_saved, tables_in_use, unshown_tables};
pub use words::{restore_word, shell_word};
pub use write::{restore_line, shell_line};
