//! Sysctls of a network namespace, below `/proc/sys/net`.
//!
//! The kernel shows each thread the values of the namespace that it is in, so every access is made inside.

mod all;
mod forwarding;
mod here;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;

use here::{read_here, write_here};

use super::KernelError;
use super::netns::{run_in, run_in_new};
use crate::lab::{NsName, SysctlKey, SysctlValue};

/// The present values of some sysctls in a namespace. A key that this kernel lacks is left out, and so is one that has
/// no value yet (`stable_secret`, `ip_local_reserved_ports`).
///
/// # Errors
/// One of them may not be read.
pub fn read(ns: BorrowedFd<'_>, keys: &BTreeSet<SysctlKey>) -> Result<BTreeMap<SysctlKey, SysctlValue>, KernelError> {
    run_in(ns, || {
        let values = keys.iter().map(|key| Ok(value_here(key)?.map(|value| (key.clone(), value))));
        values.filter_map(Result::transpose).collect()
    })?
}

/// The present value in this thread's namespace, as with [`read`].
pub(super) fn value_here(key: &SysctlKey) -> Result<Option<SysctlValue>, KernelError> {
    Ok(read_here(key)?.and_then(|text| SysctlValue::normalised(&text).ok()))
}

/// Every value in a namespace that can be read, with runs of white space made one blank.
///
/// # Errors
/// The namespace may not be entered.
pub fn read_all(ns: BorrowedFd<'_>) -> Result<BTreeMap<SysctlKey, String>, KernelError> {
    run_in(ns, all::values_here)
}

/// The same of a namespace that is made for this, and is gone afterwards.
///
/// # Errors
/// No namespace can be made.
pub fn read_all_of_new() -> Result<BTreeMap<SysctlKey, String>, KernelError> {
    run_in_new(all::values_here)
}

/// Sets a sysctl in a namespace. `ns_name` is for the error alone.
///
/// # Errors
/// There is no such sysctl, or the kernel does not take the value.
pub fn write(ns: BorrowedFd<'_>, ns_name: &NsName, key: &SysctlKey, value: &SysctlValue) -> Result<(), KernelError> {
    run_in(ns, || write_here(ns_name, key, value.as_str()))?
}

/// The present value in a namespace, as the kernel prints it; none where there is no such key, or no value yet.
///
/// # Errors
/// It may not be read.
pub(super) fn text(ns: BorrowedFd<'_>, key: &SysctlKey) -> Result<Option<String>, KernelError> {
    run_in(ns, || read_here(key))?
}

/// Restores a value that [`text`] has read, unless it is there: for the kernel, writing a value can be an event of its
/// own. A setting that is gone, together with its interface, is no error.
///
/// # Errors
/// The kernel does not take the value.
pub(super) fn restore_text(
    ns: BorrowedFd<'_>,
    ns_name: &NsName,
    key: &SysctlKey,
    was: &str,
) -> Result<(), KernelError> {
    run_in(ns, || match read_here(key)? {
        Some(is) if is.trim_end() == was => Ok(()),
        None => Ok(()),
        Some(_) => write_here(ns_name, key, was),
    })?
}

/// What the kernel changes along with a sysctl in a namespace: a line `KEY VALUE` for each, as they are now; none where
/// it changes nothing else.
///
/// # Errors
/// One of them may not be read.
pub(super) fn along_with(ns: BorrowedFd<'_>, key: &SysctlKey) -> Result<Option<String>, KernelError> {
    run_in(ns, || forwarding::along_with(key))?
}

/// Restores what [`along_with`] has read, where it differs.
///
/// # Errors
/// The kernel does not take a value.
pub(super) fn restore_along(ns: BorrowedFd<'_>, lines: &str) -> Result<(), KernelError> {
    run_in(ns, || forwarding::put_back(lines))?
}
