//! How large and how deep a file may be.

/// How deep lists and maps may stand in each other. The language needs eight levels, and each costs tens of kilobytes
/// of stack in a build without optimisation.
pub(super) const DEPTH: usize = 16;
/// How many values a file may hold: far beyond what one kernel can carry as namespaces.
pub(in crate::topology) const NODES: usize = 1_000_000;
/// The same in a manifest, whose parts that do not matter to nslab are deeper.
pub(super) const MANIFEST_DEPTH: usize = 32;
