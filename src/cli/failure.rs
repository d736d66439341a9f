//! Why a command could not do its work, and the exit code that says it.

use thiserror::Error;

use super::exit_code::{REFUSED, WRONG_INPUT};
use super::unknown_lab::UnknownLab;
use crate::engine::{EngineCode, EngineError};
use crate::show;
use crate::topology::LoadError;

/// A command that could not do its work.
#[derive(Debug, Error)]
pub enum Failure {
    /// The topology file is wrong or cannot be read.
    #[error("{0}")]
    File(#[from] LoadError),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The command line names a lab that does not exist.
    #[error("{0}")]
    UnknownLab(UnknownLab),
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
            Self::UnknownLab(_) => EngineCode::NoSuchLab.to_string(),
            Self::Engine(error) => error.code(),
            Self::Output(_) => EngineCode::CannotWrite.to_string(),
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::File(_) | Self::Usage(_) | Self::UnknownLab(_) => WRONG_INPUT,
            Self::Engine(error) => error.exit_code(),
            Self::Output(_) => REFUSED,
        }
    }

    /// For people, with its code; diagnostics of a file are shown with the lines they are in.
    pub fn text(&self, colour: bool) -> String {
        match self {
            Self::File(LoadError::Invalid(diagnostics)) => diagnostics.render(colour).trim_end().to_owned(),
            Self::File(LoadError::Read { .. })
            | Self::Usage(_)
            | Self::UnknownLab(_)
            | Self::Engine(_)
            | Self::Output(_) => show::error(&self.to_string(), &self.code()),
        }
    }
}
