//! Work on many namespaces at once, by a few threads: a system call on one mostly does not keep those on others
//! waiting.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sched::{sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// More threads than this gain nothing: the kernel has one lock for what changes links.
const MAX_THREADS: usize = 4;

/// For how many items one more thread pays.
const NAMESPACES_PER_THREAD: usize = 16;

/// The same for work that waits: for how many items one more thread pays.
const WAITS_PER_THREAD: usize = 4;

/// What is still to be done; every thread takes the next.
pub(super) struct Queue<I>(Mutex<std::vec::IntoIter<I>>);

impl<I> Queue<I> {
    /// The next item; none when all are taken.
    pub fn next(&self) -> Option<I> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// Has items worked on: `work` runs in the calling thread, and in further ones where there are many items, until
/// the queue is empty. What it returns in each.
pub(super) fn share<I: Send, R: Send>(items: Vec<I>, work: impl Fn(&Queue<I>) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let helpers = (items.len() / NAMESPACES_PER_THREAD).min(processors.min(MAX_THREADS) - 1);
    share_among(helpers, items, work)
}

/// The same where the work is mostly to wait for the kernel, which takes no processor.
pub(super) fn share_waits<I: Send, R: Send>(items: Vec<I>, work: impl Fn(&Queue<I>) -> R + Sync) -> Vec<R> {
    let helpers = (items.len() / WAITS_PER_THREAD).min(MAX_THREADS - 1);
    share_among(helpers, items, work)
}

fn share_among<I: Send, R: Send>(helpers: usize, items: Vec<I>, work: impl Fn(&Queue<I>) -> R + Sync) -> Vec<R> {
    let queue = Queue(Mutex::new(items.into_iter()));
    let here = sched_getcpu();
    let helper = || {
        keep_off(here);
        work(&queue)
    };
    thread::scope(|scope| {
        let start = || thread::Builder::new().spawn_scoped(scope, helper);
        // Where no thread is to be had, the calling one does everything.
        let helpers: Vec<_> = (0..helpers).map_while(|_| start().ok()).collect();
        let mut all = vec![work(&queue)];
        let theirs = helpers.into_iter().map(|helper| helper.join());
        all.extend(theirs.map(|joined| joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))));
        all
    })
}

/// Moves the calling thread to another processor. Some kernels leave a new thread for ten milliseconds and more where
/// the one that started it is running, and that is longer than most work takes.
fn keep_off(processor: nix::Result<usize>) {
    let moved = processor.and_then(|processor| {
        let mut others = sched_getaffinity(Pid::from_raw(0))?;
        others.unset(processor)?;
        // Refused where no other is allowed.
        sched_setaffinity(Pid::from_raw(0), &others)
    });
    // It is only slower where it is.
    let _ = moved;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for count in [0, 1, NAMESPACES_PER_THREAD, 10 * NAMESPACES_PER_THREAD] {
            let work = |queue: &Queue<usize>| std::iter::from_fn(|| queue.next()).collect::<Vec<_>>();
            for mut done in
                [share((0..count).collect(), work).concat(), share_waits((0..count).collect(), work).concat()]
            {
                done.sort_unstable();
                assert_eq!(done, (0..count).collect::<Vec<_>>());
            }
        }
    }
}
