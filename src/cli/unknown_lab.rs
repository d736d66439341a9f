//! A name on the command line that no lab has.

use std::fmt;
use std::path::Path;

use crate::lab::LabName;
use crate::topology::nearest;

/// A lab that does not exist, and what may have been meant.
#[derive(Debug)]
pub struct UnknownLab {
    name: String,
    meant: Vec<String>,
}

impl UnknownLab {
    /// What a text may have meant, among the labs and the files that there are.
    pub(super) fn new(text: &Path, labs: &[LabName]) -> Self {
        let name = text.display().to_string();
        let lab = nearest(&name, labs.iter().map(LabName::as_str)).map(|lab| format!("lab `{lab}`"));
        let files = [".yaml", ".yml"].into_iter().map(|ending| format!("{name}{ending}"));
        let file = files.filter(|file| Path::new(file).is_file()).map(|file| format!("the file `{file}`")).next();
        Self { name: name.escape_debug().to_string(), meant: lab.into_iter().chain(file).collect() }
    }

    /// Whether something may have been meant.
    pub(super) fn has_suggestion(&self) -> bool {
        !self.meant.is_empty()
    }
}

impl fmt::Display for UnknownLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no lab `{}`; ", self.name)?;
        match self.meant.as_slice() {
            [] => f.write_str("`nslab list` shows the labs on this machine"),
            meant => write!(f, "did you mean {}?", meant.join(" or ")),
        }
    }
}
