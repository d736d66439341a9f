//! The codes of what a machine lacks for a lab.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::plan::ConflictCode;

/// What a machine lacks. Its name is the variant's in kebab case; its comment is its line in `docs/codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MachineCode {
    /// The host would lose a route that a router advertises, since it does not heed those where it forwards.
    AdvertisedRouteLost,
    /// The process lacks capabilities that checks need.
    ChecksNotPermitted,
    /// A command that the lab runs is not installed.
    CommandMissing,
    /// The host drops packets that it forwards, or that cross its bridges.
    ForwardingDropped,
    /// IPv6 is disabled on this machine.
    Ipv6Disabled,
    /// The kernel lacks a feature.
    KernelFeatureMissing,
    /// The kernel would need more memory than is available.
    LowMemory,
    /// The host has rules of iptables in a variant that the installed program does not show.
    MixedIptables,
    /// The lab has more addresses than the machine remembers neighbours.
    NeighbourTableTooSmall,
    /// Namespaces cannot get their names in `/run/netns`.
    NetnsDirectoryUnusable,
    /// There is no usable iptables.
    NoIptables,
    /// The limit of open files is too low.
    OpenFilesLimit,
    /// The process lacks capabilities.
    PrivilegesMissing,
    /// A subnet or a route of the lab in `host` overlaps one of another lab.
    SubnetOfAnotherLab,
    /// A subnet or a route of the lab in `host` overlaps one of the host.
    SubnetOfHost,
    /// `/proc/sys/net` is read-only.
    SysctlsReadOnly,
    /// The interface of this machine that is its uplink in the lab is down, or has another MTU than in the file.
    UplinkDiffers,
}

/// The code of a finding: what the machine lacks, or what is in a lab's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FindingCode {
    /// The machine lacks something.
    Machine(MachineCode),
    /// Something else has a name, a place or a value that the lab needs.
    Conflict(ConflictCode),
}

impl From<MachineCode> for FindingCode {
    fn from(code: MachineCode) -> Self {
        Self::Machine(code)
    }
}

impl From<ConflictCode> for FindingCode {
    fn from(code: ConflictCode) -> Self {
        Self::Conflict(code)
    }
}

impl fmt::Display for MachineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(code) => code.fmt(f),
            Self::Conflict(code) => code.fmt(f),
        }
    }
}
