//! Sysctls, set and restored.

use super::Phase;
use super::command::inside;
use super::operation::{Operation, Reach};
use crate::iptables::shell_word;
use crate::lab::{LabName, NsName, SysctlKey, SysctlValue, setting_folder};

/// Where the former values of host settings are kept, one folder a setting (see `docs/architecture.md`).
const HOST_SETTINGS: &str = "/run/nslab/host";

/// A step on a sysctl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SysctlStep {
    /// Set it.
    Set {
        /// The namespace.
        ns: NsName,
        /// Which.
        key: SysctlKey,
        /// Its value now, if known.
        from: Option<SysctlValue>,
        /// Its value to be.
        to: SysctlValue,
        /// The lab it is for; in `host` the former value is kept until the last lab that needs it is gone.
        lab: LabName,
    },
    /// Restore one of `host` to what it was before the first lab needed it, if this lab is the last one.
    RestoreHost {
        /// Which.
        key: SysctlKey,
        /// The lab that no longer needs it.
        lab: LabName,
    },
}

impl SysctlStep {
    /// The way back; none where what was removed cannot be brought back as it was.
    pub(super) fn inverse(&self) -> Option<Self> {
        match self {
            Self::Set { ns, key, lab, .. } if ns.is_host() => {
                Some(Self::RestoreHost { key: key.clone(), lab: lab.clone() })
            }
            Self::Set { ns, key, from, to, lab } => from.clone().map(|from| Self::Set {
                ns: ns.clone(),
                key: key.clone(),
                from: Some(to.clone()),
                to: from,
                lab: lab.clone(),
            }),
            Self::RestoreHost { .. } => None,
        }
    }
}

impl Operation for SysctlStep {
    fn text(&self) -> String {
        match self {
            Self::Set { ns, key, to, .. } => format!("set {key} to {to} in {ns}"),
            Self::RestoreHost { key, .. } => format!("put {key} of the host back, unless another lab needs it"),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Set { ns, key, to, .. } => format!("{}sysctl -qw {key}={}", inside(ns), shell_word(to.as_str())),
            Self::RestoreHost { key, lab } => restore(key, lab),
        }
    }

    fn script(&self) -> Vec<String> {
        let note = match self {
            Self::Set { ns, key, to, lab, .. } => ns.is_host().then(|| note(key, to, lab)),
            Self::RestoreHost { .. } => None,
        };
        note.into_iter().chain([self.command()]).collect()
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Set { .. } => Phase::SetSysctls,
            Self::RestoreHost { .. } => Phase::Forget,
        }
    }

    fn kind(&self) -> &'static str {
        "set a sysctl"
    }

    fn namespace(&self) -> NsName {
        match self {
            Self::Set { ns, .. } => ns.clone(),
            Self::RestoreHost { .. } => NsName::host(),
        }
    }

    fn reach(&self) -> Reach {
        match self {
            Self::Set { .. } => Reach::Inside,
            Self::RestoreHost { .. } => Reach::Beyond,
        }
    }
}

/// Keeps a host setting's value as it was before the first lab changed it, and this lab with the value that it needs.
/// What the kernel changes along with forwarding is kept by nslab alone (see `kernel/sysctl/forwarding.rs`).
fn note(key: &SysctlKey, to: &SysctlValue, lab: &LabName) -> String {
    let folder = format!("{HOST_SETTINGS}/{}", setting_folder(key));
    let to = shell_word(to.as_str());
    format!(
        "(umask 077; mkdir -p {folder}/labs; [ -e {folder}/was ] || sysctl -n {key} > {folder}/was; \
         echo {to} > {folder}/labs/{lab})"
    )
}

fn restore(key: &SysctlKey, lab: &LabName) -> String {
    let folder = format!("{HOST_SETTINGS}/{}", setting_folder(key));
    format!(
        "rm -f {folder}/labs/{lab}; if rmdir {folder}/labs; then sysctl -qw {key}=\"$(cat {folder}/was)\"; \
         rm -r {folder}; fi"
    )
}
