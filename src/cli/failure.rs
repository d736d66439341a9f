//! Why a command could not do its work, and the exit code that says it.

use std::io::IsTerminal;

use thiserror::Error;

use super::{REFUSED, WRONG_INPUT, say};
use crate::engine::{EngineCode, EngineError};
use crate::show;
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
    /// The command could not do its work.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A result cannot be written.
    #[error("{0}")]
    Output(String),
}

impl Failure {
    /// Its code, as listed in `docs/codes.md`.
    pub fn code(&self) -> String {
        match self {
            Self::File(error) => error.code().to_string(),
            Self::Usage(_) => EngineCode::BadArgument.to_string(),
            Self::Engine(error) => error.code(),
            Self::Output(_) => EngineCode::CannotWrite.to_string(),
        }
    }

    /// The exit code (see [`super`]).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File(_) | Self::Usage(_) => WRONG_INPUT,
            Self::Engine(error) => error.exit_code(),
            Self::Output(_) => REFUSED,
        }
    }

    /// Prints it for people, with its code.
    pub fn print(&self) {
        match self {
            // Diagnostics of a file are shown with the lines they are in.
            Self::File(LoadError::Invalid(diagnostics)) => {
                let colour =
                    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
                say(diagnostics.render(colour).trim_end());
            }
            Self::File(LoadError::Read { .. }) | Self::Usage(_) | Self::Engine(_) | Self::Output(_) => {
                say(&show::error(&self.to_string(), &self.code()));
            }
        }
    }
}
