//! A lab on the command line: by its name, or by its topology file.
//!
//! `-`, what contains a `/` and what ends in `.yaml` or `.yml` is a file. Anything else is the lab of that name; a file
//! of that name is meant only if there is no such lab.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::unknown_lab::UnknownLab;
use crate::lab::{LabName, NsName};
use crate::topology::{LoadError, Topology, parse};
use crate::{engine, topology};

/// The lab that an argument means.
#[derive(Debug)]
pub(super) enum LabArg {
    /// A lab on this machine.
    Named(LabName),
    /// The lab of a topology file.
    File(PathBuf),
}

/// A lab's topology, and the file that it is from.
pub(super) struct Source {
    pub topology: Topology,
    /// The topology file, or the copy that is kept of the one that was applied.
    pub file: String,
}

impl LabArg {
    /// Which lab an argument means.
    ///
    /// # Errors
    /// It is no lab of this machine and no file, or the labs cannot be listed.
    pub(super) fn of(text: &Path) -> Result<Self, Failure> {
        if is_surely_file(text) {
            return Ok(Self::File(text.to_owned()));
        }
        let name: Option<LabName> = text.to_str().and_then(|name| name.parse().ok());
        if let Some(lab) = name.clone().filter(|lab| engine::is_kept(lab).unwrap_or_default()) {
            return Ok(Self::Named(lab));
        }
        let file = text.is_file().then(|| Self::File(text.to_owned()));
        match (engine::labs(), file) {
            (Ok(labs), file) => {
                let labs = labs.names();
                match name.filter(|name| labs.contains(name)) {
                    Some(lab) => Ok(Self::Named(lab)),
                    None => file.ok_or_else(|| Failure::UnknownLab(UnknownLab::new(text, &labs))),
                }
            }
            // Who may not see the labs can only mean the file.
            (Err(error), file) => file.ok_or(error.into()),
        }
    }

    /// The lab's name.
    ///
    /// # Errors
    /// Its file is wrong or cannot be read.
    pub(super) fn name(self) -> Result<LabName, Failure> {
        match self {
            Self::Named(lab) => Ok(lab),
            Self::File(file) => Ok(topology::load(&file)?.lab.name),
        }
    }

    /// The lab's topology: that of the file, or as it was applied; where that was as one of several machines, this
    /// machine's.
    ///
    /// # Errors
    /// The file is wrong or cannot be read, or the topology as applied is not kept.
    pub(super) fn topology(&self) -> Result<Source, Failure> {
        self.topology_as(None)
    }

    /// The same for a machine of the lab, if one is named.
    ///
    /// # Errors
    /// As with [`Self::topology`]; or this is not that machine.
    pub(super) fn topology_as(&self, node: Option<&NsName>) -> Result<Source, Failure> {
        let (topology, file) = match self {
            Self::Named(lab) => {
                let kept = engine::as_applied(lab)?;
                (parse(&kept.file, &kept.text).map_err(LoadError::Invalid)?, kept.file)
            }
            Self::File(file) => (topology::load(file)?, file.display().to_string()),
        };
        let topology = match node {
            None => engine::as_on_this_machine(topology)?,
            Some(node) => {
                engine::is_applied_alike(&topology.lab.name, Some(node))?;
                engine::on_this_machine(topology, node)?
            }
        };
        Ok(Source { topology, file })
    }
}

/// Whether a text cannot be a lab's name.
fn is_surely_file(text: &Path) -> bool {
    let text = text.as_os_str().as_encoded_bytes();
    text == b"-" || text.contains(&b'/') || text.ends_with(b".yaml") || text.ends_with(b".yml")
}
