//! What is told and stops nothing: what is odd in `/run/nslab`, and what was left as it is because nslab cannot prove
//! that it may be changed.

use std::fmt::Display;

use crate::kernel::{KernelCode, KernelError};
use crate::state;

/// Something to tell, with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// In words.
    pub text: String,
    /// Its code.
    pub code: String,
}

impl Told {
    /// Of an error; none for what is odd in `/run/nslab`, which [`oddities`] tells.
    pub(super) fn unless_odd(error: &KernelError) -> Option<Self> {
        let is_odd = matches!(error.code(), KernelCode::OddState | KernelCode::UntrustedState);
        (!is_odd).then(|| Self::from(error))
    }

    /// With a code.
    pub(super) fn new(text: impl Into<String>, code: impl Display) -> Self {
        Self { text: text.into(), code: code.to_string() }
    }
}

impl From<&KernelError> for Told {
    fn from(error: &KernelError) -> Self {
        Self::new(error.to_string(), error.code())
    }
}

/// What is in `/run/nslab` and is not what nslab keeps there.
pub fn oddities() -> Vec<Told> {
    state::oddities().iter().map(Told::from).collect()
}
