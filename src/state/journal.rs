//! The journal of a lab: what is being done to it, written and synced before the first change.

use serde::Serialize;

use crate::lab::LabName;

/// What is being done to a lab.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Activity {
    /// An apply has begun.
    Applying,
    /// An apply is complete.
    Applied,
    /// A removal has begun.
    Destroying,
}

/// What is written and synced before the first change.
#[derive(Debug, Serialize)]
pub(crate) struct Journal<'a> {
    lab: &'a LabName,
    doing: Activity,
    /// The boot in which it is true (`/proc/sys/kernel/random/boot_id`).
    boot_id: String,
    /// The process that does it.
    pid: u32,
    /// The steps, in words.
    steps: Vec<String>,
}

impl<'a> Journal<'a> {
    /// A journal of what this process does to a lab, with the steps in words.
    pub(crate) fn new(lab: &'a LabName, doing: Activity, steps: Vec<String>) -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { lab, doing, boot_id: boot_id.trim().to_owned(), pid: std::process::id(), steps }
    }
}
