//! A program that is running: it is in the namespace of the thread that started it, does not outlive that thread, and
//! has a limit of time. What it reads and writes is in memory of its own, so that nobody who keeps one of its pipes
//! open can hold nslab up.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::Pid;

use crate::failpoint;
use crate::kernel::process::{end_with_this_thread, handle};
use crate::kernel::{KernelCode, KernelError, wait};

/// How long a program may take: no ruleset of a lab takes iptables a tenth of that.
const LIMIT: Duration = Duration::from_secs(20);

/// The same once a signal has come, or another program has taken too long.
const SHORT_LIMIT: Duration = Duration::from_secs(2);

/// How much it may say.
const MOST_OUTPUT: u64 = 256 << 20;

/// How often a signal, and what it says, is looked for meanwhile.
const INTERVAL: u16 = 50;

/// Whether a program has taken too long.
static HANGS: AtomicBool = AtomicBool::new(false);

/// A program that has been started and given its input.
pub(super) struct Running {
    name: String,
    child: Child,
    began: Instant,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts a program with some input.
    pub fn start(command: &mut Command, input: &str) -> Result<Self, KernelError> {
        let name = command.get_program().to_string_lossy().into_owned();
        end_with_this_thread(command);
        let mut start = || -> io::Result<Self> {
            let (stdin, stdout, stderr) = (memory()?, memory()?, memory()?);
            // Written from the beginning, and read from there as well.
            (&stdin).write_all(input.as_bytes())?;
            io::Seek::rewind(&mut &stdin)?;
            failpoint::pass("start a program")?;
            command.stdin(stdin).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
            Ok(Self { name: name.clone(), child: command.spawn()?, began: Instant::now(), stdout, stderr })
        };
        start().map_err(|error| refused(&name, &error))
    }

    /// Waits for its end; all that it has said.
    ///
    /// # Errors
    /// It takes too long, says too much, or a signal came and it did not end soon. It is ended then.
    pub fn output(mut self) -> Result<Output, KernelError> {
        let status = self.wait()?;
        let said = |file: &File| -> io::Result<Vec<u8>> {
            let mut text = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut text, 0)?;
            Ok(text)
        };
        let output = || Ok(Output { status, stdout: said(&self.stdout)?, stderr: said(&self.stderr)? });
        output().map_err(|error: io::Error| refused(&self.name, &error))
    }

    fn wait(&mut self) -> Result<ExitStatus, KernelError> {
        let ended = i32::try_from(self.child.id()).map_err(|_| Errno::ESRCH).and_then(|pid| handle(Pid::from_raw(pid)));
        let mut interrupted = None;
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| refused(&self.name, &error))? {
                return Ok(status);
            }
            if interrupted.is_none() && wait::is_interrupted() {
                interrupted = Some(Instant::now());
            }
            let limit = if HANGS.load(Ordering::Relaxed) { SHORT_LIMIT } else { LIMIT };
            let what = format!("run {}", self.name);
            let size = |file: &File| file.metadata().map_or(0, |file| file.len());
            let wrong = if interrupted.is_some_and(|since| since.elapsed() > SHORT_LIMIT) {
                wait::interrupted(&what)
            } else if self.began.elapsed() > limit {
                HANGS.store(true, Ordering::Relaxed);
                let said = format!("it did not end within {} s, and was ended", limit.as_secs());
                KernelError::new(what).said(said).with_code(KernelCode::ProgramHangs)
            } else if size(&self.stdout).max(size(&self.stderr)) > MOST_OUTPUT {
                KernelError::new(what).said("it says more than any ruleset could be, and was ended")
            } else {
                match &ended {
                    Ok(ended) => drop(poll(&mut [PollFd::new(ended.as_fd(), PollFlags::POLLIN)], INTERVAL)),
                    // Linux before 5.3.
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
                continue;
            };
            let _ = self.child.kill();
            let _ = self.child.wait();
            return Err(wrong);
        }
    }
}

/// A file in memory.
fn memory() -> io::Result<File> {
    Ok(memfd_create(c"nslab", MFdFlags::MFD_CLOEXEC)?.into())
}

fn refused(name: &str, error: &io::Error) -> KernelError {
    KernelError::new(format!("run {name}")).said(error.to_string())
}
