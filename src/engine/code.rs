//! The codes of a command that could not do its work, where the cause is not the kernel's.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// Why a command could not do its work. Its name is the variant's in kebab case; its comment is its line in
/// `docs/codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineCode {
    /// The lab is applied to this machine as a whole, or as another of its machines.
    AppliedOtherwise,
    /// The command line has an argument that makes no sense.
    BadArgument,
    /// The result cannot be written.
    CannotWrite,
    /// The kernel did not keep a change; everything was undone.
    ChangeNotKept,
    /// The checks of the lab are not open on this machine, or cannot be opened, or are open and must not be.
    ChecksNotOpen,
    /// The process that `nslab test` started for a file ended without a result.
    ChildFailed,
    /// After `nslab test` destroyed a lab, the host was not what it was before.
    HostChanged,
    /// Warning: a host setting is no longer what a lab has set, so it is left as it is.
    HostSettingChanged,
    /// Warning: what a host setting was before the labs is no longer known, so it is left as it is.
    HostSettingUnknown,
    /// A signal ended the command; everything was undone.
    Interrupted,
    /// Another nslab is working on this lab, and `--no-wait` was given.
    LabBusy,
    /// There is no lab of this name on this machine.
    NoSuchLab,
    /// The lab has no machine of this name, or a machine cannot be that namespace.
    NoSuchMachine,
    /// The lab has no namespace of this name.
    NoSuchNamespace,
    /// Warning: `ip netns exec` does not find the files that the lab's programs find in `/etc`.
    NotLinked,
    /// The lab runs no program of this name.
    NoSuchProgram,
    /// Some parts of namespaces could not be read, so nothing was changed there.
    NotRead,
    /// The lab is on this machine alone, and not one that several machines make together.
    NotShared,
    /// No interface of this machine has the address that it has in the lab.
    NotThisMachine,
    /// Some objects of a lab could not be removed.
    NotRemoved,
    /// Directly after an apply, `nslab test` found that a plan was not empty.
    NotSettled,
    /// The machine lacks something that the lab needs, or something else is in its place; nothing was changed.
    PreconditionsNotMet,
    /// Warning: no record says for which lab a route or policy rule of the host was made, so it is left as it is.
    RecordLost,
    /// What the machines of a lab say of its checks does not belong together.
    SidesDiffer,
    /// The topology of a lab as it was applied is not kept, so the lab's name does not say what is wanted.
    TopologyNotKept,
}

impl fmt::Display for EngineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
