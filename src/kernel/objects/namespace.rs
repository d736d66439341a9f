//! Namespaces: made by several threads, since the kernel takes longer for a namespace than for all that is in it; and
//! removed by several.

use crate::kernel::KernelError;
use crate::kernel::netns::{self, NetnsGuard, create};
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::kernel::threads::{Queue, share, share_waits};
use crate::lab::{Mark, NsName};
use crate::steps::{NamespaceStep, Step};

/// Makes the namespaces of some steps: all of them or none.
pub(in crate::kernel) fn add(handles: &mut NetnsHandles, steps: &[Step]) -> Result<(), KernelError> {
    handles.prepare_directory()?;
    let wanted = steps.iter().filter_map(|step| {
        let Step::Namespace(NamespaceStep::Add { ns, lab }) = step else { return None };
        Some((ns, handles.mark(lab)))
    });
    let mut made = Vec::new();
    let mut outcome = Ok(());
    for (of_thread, result) in share(wanted.collect(), add_all) {
        made.extend(of_thread);
        outcome = outcome.and(result);
    }
    let Err(error) = outcome else {
        made.into_iter().for_each(|(ns, netns)| handles.add(ns, netns));
        return Ok(());
    };
    // They are held by `made` until all are without a name.
    let left = made.iter().filter_map(|(ns, _)| netns::delete(ns).err());
    Err(left.fold(error, |error, left| error.hint(format!("and what was made already stays: {left}"))))
}

/// Makes namespaces in one of some threads; those that were made, and the error that ended it.
fn add_all(queue: &Queue<(&NsName, Mark)>) -> (Vec<(NsName, NetnsHandle)>, Result<(), KernelError>) {
    let mut made = Vec::new();
    let outcome = NetnsGuard::begin().and_then(|guard| {
        while let Some((ns, mark)) = queue.next() {
            let (fd, socket) = create::add(&guard, ns, &mark)?;
            made.push((ns.clone(), NetnsHandle::new(fd, socket)));
        }
        Ok(())
    });
    if outcome.is_err() {
        // The other threads need not go on either.
        while queue.next().is_some() {}
    }
    (made, outcome)
}

/// Removes the namespaces of some steps, as many as possible. Each unmounting waits until no processor can still be on
/// its way through the mount (a grace period of RCU); those waits can be at the same time.
pub(in crate::kernel) fn remove(handles: &mut NetnsHandles, steps: &[Step]) -> Result<(), KernelError> {
    let names: Vec<NsName> = steps.iter().map(Step::namespace).collect();
    names.iter().for_each(|ns| handles.close(ns));
    let mut failed: Vec<(NsName, KernelError)> = share_waits(names, remove_all).concat();
    failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut errors = failed.into_iter().map(|(_, error)| error);
    let Some(first) = errors.next() else { return Ok(()) };
    let others: Vec<String> = errors.map(|error| error.to_string()).collect();
    Err(if others.is_empty() { first } else { first.hint(others.join("\n")) })
}

/// Removes namespaces in one of some threads; those that could not be removed.
fn remove_all(queue: &Queue<NsName>) -> Vec<(NsName, KernelError)> {
    let remove = |ns: NsName| netns::delete(&ns).err().map(|error| (ns, error));
    std::iter::from_fn(|| queue.next()).filter_map(remove).collect()
}
