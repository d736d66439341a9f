//! How the time of some work grows with its size. A limit in seconds says little: it is too long for a fast machine,
//! and a busy one does not keep it. So two sizes are compared, by the processor's time of the thread.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Ten times as much may take so many times as long. With the square of the size, it would be a hundred.
const MOST: u32 = 25;

/// How often both sizes are tried: others on the machine make a try take longer, never shorter.
const TRIES: usize = 3;

/// What work comes to, and what it takes of the processor's time.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let outcome = work();
    (outcome, now() - start)
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the clock of the thread").into()
}

/// Fails where work of ten times the size takes far more than ten times as long. It is given what was made of the size.
#[track_caller]
pub fn grows_with_its_size<T>(size: usize, make: impl Fn(usize) -> T, work: impl Fn(&T, usize)) {
    let sizes = [size, size * 10];
    let inputs = sizes.map(make);
    let mut least = [Duration::MAX; 2];
    for _ in 0..TRIES {
        for ((took, size), input) in least.iter_mut().zip(sizes).zip(&inputs) {
            *took = timed(|| work(input, size)).1.min(*took);
        }
        if least[1] < least[0] * MOST {
            return;
        }
    }
    panic!("{size} took {:?}, and ten times as many {:?}", least[0], least[1]);
}
