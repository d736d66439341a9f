//! Sysctls of a namespace, and the host's with their former values: not there yet.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;

use super::KernelError;
use crate::lab::{LabName, NsName, SysctlKey, SysctlValue};

pub fn read(ns: BorrowedFd<'_>, keys: &BTreeSet<SysctlKey>) -> Result<BTreeMap<SysctlKey, SysctlValue>, KernelError> {
    let _ = ns;
    if keys.is_empty() { Ok(BTreeMap::new()) } else { Err(KernelError::new("read sysctls")) }
}

pub fn write(ns: BorrowedFd<'_>, name: &NsName, key: &SysctlKey, value: &SysctlValue) -> Result<(), KernelError> {
    let _ = (ns, value);
    Err(KernelError::new(format!("set sysctl {key} in {name}")))
}

pub fn set_host(host: BorrowedFd<'_>, key: &SysctlKey, to: &SysctlValue, lab: &LabName) -> Result<(), KernelError> {
    let _ = (host, to, lab);
    Err(KernelError::new(format!("set sysctl {key} in host")))
}

pub fn restore_host(host: BorrowedFd<'_>, key: &SysctlKey, lab: &LabName) -> Result<(), KernelError> {
    let _ = (host, lab);
    Err(KernelError::new(format!("restore sysctl {key} in host")))
}
