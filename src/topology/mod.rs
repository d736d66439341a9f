//! The topology file: what may be written in it, how it is read, and every fault in it.
//!
//! `yaml` makes a tree in which everything has its place in the file, and a file of a tree again; `ranges` writes out
//! what is counted in it, `cluster` turns its shorthand into the plain language, `schema` reads the language out of it,
//! and `resolve` turns names into the [`Lab`]. Diagnostics are collected on the way ([`Diagnostics`]), so that one run
//! lists them all. It knows nothing of the kernel, or of whether the lab exists.

mod cluster;
mod code;
mod diagnostics;
mod manifests;
mod ranges;
mod render;
mod resolve;
mod schema;
mod sources;
mod text;
mod yaml;

use std::io;
use std::path::Path;

pub use code::Code;
pub use diagnostics::{Diagnostic, Diagnostics, Severity, nearest};
use thiserror::Error;

use crate::lab::{Check, IfName, Lab, Origins, Share};

/// A file that has been read and found to be without fault.
#[derive(Debug, Clone)]
pub struct Topology {
    /// The lab that it describes.
    pub lab: Lab,
    /// The file's text, for keeping a copy; with manifests, [`Topology::expanded`], which needs none.
    pub text: String,
    /// What is legal in it, and surely a mistake.
    pub warnings: Diagnostics,
    /// Where several machines make the lab together: which of them this is. Then the lab is this machine's.
    pub machine: Option<OnMachine>,
    expanded: yaml::Node,
}

/// One of several machines that make a lab together.
#[derive(Debug, Clone)]
pub struct OnMachine {
    /// What is on it.
    pub share: Share,
    /// Its own interface on the network between the machines.
    pub dev: IfName,
    /// The lab of all machines.
    pub whole: Lab,
}

impl Topology {
    /// What to name instead of a namespace that is not on this machine, where several make the lab.
    pub fn elsewhere(&self, name: &str) -> Option<String> {
        let OnMachine { share, whole, .. } = self.machine.as_ref()?;
        let ns = whole.namespaces.keys().find(|ns| ns.as_str() == name)?;
        Some(match *ns == share.node {
            true => format!("on this machine, {ns} is the machine itself: `host`"),
            false => format!("{ns} is not on this machine, which is {}; packets can go to its address", share.node),
        })
    }

    /// The same on one of several machines: see [`Lab::on_machine`].
    #[must_use]
    pub fn on_machine(self, share: Share, dev: IfName) -> Self {
        let lab = self.lab.on_machine(&share, &dev);
        Self { machine: Some(OnMachine { share, dev, whole: self.lab }), lab, ..self }
    }

    /// The file without shorthand: a topology file that describes the same lab.
    pub fn expanded(&self) -> String {
        yaml::emit(&self.expanded)
    }

    /// The check that the lab would have with this one in the place of its own: `{ from: red, to: blue }`. Its faults
    /// are those of a file called `name`.
    pub fn check(&self, name: &str, written: &str) -> Result<Option<Check>, Diagnostics> {
        let mut found = diagnostics::Collector::new(name, written);
        let tree = yaml::read(written, &mut found).map(|written| self.expanded.with_checks(written));
        let file = tree.as_ref().and_then(|tree| schema::File::read(tree, &mut found));
        let lab = file.map(|file| resolve::resolve(&file, Origins::default(), &mut found));
        let (lab, _) = found.finish(lab)?;
        Ok(lab.checks.into_iter().next())
    }
}

/// Why there is no lab.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file, as the user named it.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The file has faults.
    #[error("{0}")]
    Invalid(Diagnostics),
}

impl LoadError {
    /// Its code: that of the first diagnostic.
    pub fn code(&self) -> Code {
        match self {
            Self::Read { .. } => Code::UnreadableFile,
            Self::Invalid(diagnostics) => diagnostics.list().first().map_or(Code::EmptyFile, |first| first.code),
        }
    }
}

/// Reads, checks and resolves a file; `-` is standard input. Anything that is not a regular file, is larger than
/// 16 MiB or is not UTF-8 is refused.
pub fn load(path: &Path) -> Result<Topology, LoadError> {
    let (name, text) = match path == Path::new("-") {
        true => ("<stdin>".to_owned(), text::read_from(io::stdin().lock(), text::MAX_SIZE)),
        false => (path.display().to_string(), text::read(path, text::MAX_SIZE)),
    };
    let text = text.map_err(|source| LoadError::Read { path: name.clone(), source })?;
    parse_in(path.parent(), &name, &text).map_err(LoadError::Invalid)
}

/// Checks and resolves the text of a file; `name` is what messages call it. It has no folder, and so no manifests.
pub fn parse(name: &str, text: &str) -> Result<Topology, Diagnostics> {
    parse_in(None, name, text)
}

/// Checks and resolves the text of a file whose manifests are in a folder.
pub fn parse_in(folder: Option<&Path>, name: &str, text: &str) -> Result<Topology, Diagnostics> {
    // Some editors begin a file with a byte order mark, which is no part of it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = diagnostics::Collector::new(name, text);
    let tree = yaml::read(text, &mut found).and_then(|tree| expand(tree, folder, &mut found));
    let (tree, origins) = tree.unzip();
    let file = tree.as_ref().and_then(|tree| schema::File::read(tree, &mut found));
    let lab = file.map(|file| resolve::resolve(&file, origins.unwrap_or_default(), &mut found));
    let has_manifests = found.has_manifests();
    let ((lab, expanded), warnings) = found.finish(lab.zip(tree))?;
    let text = if has_manifests { yaml::emit(&expanded) } else { text.to_owned() };
    Ok(Topology { lab, text, warnings, machine: None, expanded })
}

/// The file in the plain language, without shorthand.
fn expand(
    tree: yaml::Node,
    folder: Option<&Path>,
    found: &mut diagnostics::Collector<'_>,
) -> Option<(yaml::Node, Origins)> {
    let counted = ranges::expand(tree, found)?;
    Some(cluster::expand(counted, folder, found))
}

/// The JSON Schema of the file, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(schema::File).to_value()
}
