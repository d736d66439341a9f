//! Becomes a command, in a namespace of a lab or in a sandbox.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};

use super::{EngineError, Machine};
use crate::kernel::process::{self, OwnEtc};
use crate::kernel::sandbox;
use crate::lab::{LabName, NsName, lab_hosts};
use crate::topology::nearest;
use crate::{state, topology};

/// Replaces this process by a command inside a namespace of a lab.
///
/// # Errors
/// There is no such lab or namespace, or the command cannot be started.
pub fn exec(lab: &LabName, ns: &NsName, program: &OsStr, args: &[OsString]) -> Result<Infallible, EngineError> {
    let marks = Machine::open()?.marks()?;
    let Some(marked) = marks.get(lab) else { return Err(EngineError::NoSuchLab(lab.clone())) };
    if !ns.is_host() && !marked.namespaces.contains(ns) {
        return Err(no_such_namespace(lab, ns, marked.namespaces.iter()));
    }
    Ok(process::exec_in(lab, ns, &own_etc(lab, ns)?, program, args)?)
}

/// What is in `/etc` there: the files of the lab; or, of a lab that has none, the names that its topology as applied
/// gives.
pub(super) fn own_etc(lab: &LabName, ns: &NsName) -> Result<OwnEtc, EngineError> {
    if ns.is_host() {
        return Ok(OwnEtc::Machines);
    }
    if let Some(own) = OwnEtc::of_folder(&state::etc_folder(lab, ns)) {
        return Ok(own);
    }
    let Some(topology) = state::topology(lab)?.and_then(|text| topology::parse("the topology as applied", &text).ok())
    else {
        return Ok(OwnEtc::Machines);
    };
    let hostname = format!("{ns}\n");
    Ok(OwnEtc::Texts(vec![("hosts", lab_hosts(&topology.lab.namespaces)), ("hostname", hostname)]))
}

/// That a lab has no such namespace, among those that it has.
pub(super) fn no_such_namespace<'a>(lab: &LabName, ns: &NsName, own: impl Iterator<Item = &'a NsName>) -> EngineError {
    let names = own.map(NsName::to_string).chain([NsName::host().to_string()]);
    EngineError::NoSuchNamespace { lab: lab.clone(), ns: ns.clone(), meant: nearest(ns.as_str(), names) }
}

/// Replaces this process, which must have a single thread, by a command in a private host of its own.
///
/// # Errors
/// There can be no sandbox, or the command cannot be started.
pub fn exec_in_sandbox(program: &OsStr, args: &[OsString]) -> Result<Infallible, EngineError> {
    sandbox::enter()?;
    Ok(process::exec(program, args)?)
}
