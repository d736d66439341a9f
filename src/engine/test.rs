//! Builds a lab in a sandbox, checks it and removes it again.

use nix::unistd::getppid;

use super::{EngineError, Machine, Options, apply, check, destroy, plan};
use crate::check::Report;
use crate::kernel::{Scope, process, sandbox};
use crate::lab::{Lab, NsName, ObservedNamespace};

/// Applies, checks and destroys a lab in a sandbox that this process, started by [`super::in_child`], moves into;
/// `text` is the topology file, and `explain` what it is called, where failed checks are to be explained. A promise
/// that is not kept is no error: see [`Report::passed`].
///
/// # Errors
/// There can be no sandbox, the lab cannot be applied, checked or destroyed, or something of it is left.
pub fn test(lab: &Lab, text: &str, explain: Option<&str>) -> Result<Report, EngineError> {
    let parent = getppid();
    sandbox::enter()?;
    process::end_with(parent)?;
    let before = host(lab)?;
    let unread = apply::apply(lab, text, Options::default(), &mut |_| {})?.unread;
    if !unread.is_empty() {
        return Err(EngineError::NotRead(unread));
    }
    if let Some(planned) = plan::plan(lab)?.plan.steps.first() {
        return Err(EngineError::NotSettled(planned.step.text()));
    }
    let mut report = check::check(lab, &mut |_| {})?;
    super::explain(lab, explain.unwrap_or_default(), explain.is_some(), &mut report);
    destroy::destroy(&lab.name, true, &mut |_| {})?;
    if host(lab)? != before {
        return Err(EngineError::HostChanged);
    }
    Ok(report)
}

/// What there is in the host, without the interfaces that the kernel puts into every namespace on this machine as soon
/// as a tunnel, of this lab or of another, is the first that needs a module.
fn host(lab: &Lab) -> Result<ObservedNamespace, EngineError> {
    let scope = Scope { lab: &lab.name, desired: Some(lab), inside: true };
    let mut live = Machine::open()?.observe(&scope)?;
    let mut host = live.namespaces.remove(&NsName::host()).unwrap_or_default();
    host.is.interfaces.retain(|name, _| !name.is_fallback_tunnel());
    host.foreign.interfaces.retain(|name, _| !name.is_fallback_tunnel());
    Ok(host)
}
