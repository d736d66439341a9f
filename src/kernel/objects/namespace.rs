//! Namespaces: made by several threads, since the kernel takes longer for a namespace than for all that is in it.

use crate::kernel::KernelError;
use crate::kernel::netns::{self, NetnsGuard, create};
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::kernel::threads::{Queue, share};
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
