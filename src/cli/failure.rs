//! Why a command could not do its work, and the exit code that says it.

use std::io::IsTerminal;

use thiserror::Error;

use super::{REFUSED, WRONG_INPUT, say};
use crate::check::CheckError;
use crate::engine::EngineError;
use crate::kernel::KernelError;
use crate::kernel::process::ExecError;
use crate::topology::LoadError;

/// A command that could not do its work.
#[derive(Debug, Error)]
pub enum Failure {
    /// The topology file is wrong or cannot be read.
    #[error("{0}")]
    File(#[from] LoadError),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Applying or removing failed.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The system said no.
    #[error("{0}")]
    Kernel(#[from] KernelError),
    /// The checks could not be run.
    #[error("{0}")]
    Check(#[from] CheckError),
    /// The command of `exec` could not be started.
    #[error("{0}")]
    Exec(#[from] ExecError),
    /// Another refusal of the system, told already or here.
    #[error("{0}")]
    System(String),
}

impl Failure {
    /// The exit code (see [`super`]).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File(_) | Self::Usage(_) => WRONG_INPUT,
            Self::Engine(error) => error.exit_code(),
            Self::Exec(error) => error.shell_code(),
            Self::Kernel(_) | Self::Check(_) | Self::System(_) => REFUSED,
        }
    }

    /// Tells the person at the keyboard.
    pub fn tell(&self) {
        match self {
            // Diagnostics of a file are shown with the lines they are in.
            Self::File(LoadError::Invalid(faults)) => {
                let colour =
                    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
                say(faults.render(colour).trim_end());
            }
            other => say(&format!("nslab: {other}")),
        }
    }
}
