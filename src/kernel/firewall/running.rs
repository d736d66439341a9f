//! A program that is running: it is in the namespace of the thread that started it, and does not outlive that thread.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

use crate::failpoint;
use crate::kernel::KernelError;

/// A program that has been started and given its input.
pub(super) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts a program with some input.
    pub fn start(command: &mut Command, input: &str) -> Result<Self, KernelError> {
        let name = command.get_program().to_string_lossy().into_owned();
        end_with_this_thread(command);
        let started = failpoint::pass("start a program")
            .map_err(io::Error::from)
            .and_then(|()| command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn());
        let mut child = started.map_err(|error| refused(&name, &error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that gives up early closes its end; what it says of that is in its output.
            let _ = stdin.write_all(input.as_bytes());
        }
        Ok(Self { name, child })
    }

    /// Waits for its end; all that it has said.
    pub fn output(self) -> Result<Output, KernelError> {
        self.child.wait_with_output().map_err(|error| refused(&self.name, &error))
    }
}

fn refused(name: &str, error: &io::Error) -> KernelError {
    KernelError::new(format!("run {name}")).said(error.to_string())
}

/// Has the kernel end a program together with the thread that starts it (PR_SET_PDEATHSIG): one that outlived an nslab
/// that was killed would still be changing rules while the next one looks at them.
fn end_with_this_thread(command: &mut Command) {
    let nslab = getpid();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // Killed before that call.
        if getppid() == nslab { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec, only calls that are safe in a signal handler are allowed: prctl(2) and getppid(2)
    // are bare system calls, and making an error of a number allocates nothing.
    unsafe { command.pre_exec(prepare) };
}
