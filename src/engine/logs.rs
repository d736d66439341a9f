//! The output of a lab's programs.

use std::collections::BTreeSet;

use super::exec::no_such_namespace;
use super::{EngineError, is_kept};
use crate::lab::{LabName, NsName, Position, ProgramName, ProgramRef};
use crate::programs::{self, Line};
use crate::topology::nearest;
use crate::{state, topology};

/// The output of some programs of a lab, and how far it has been read.
#[derive(Debug)]
pub struct Logs {
    lab: LabName,
    programs: Vec<(ProgramRef, Position)>,
}

/// A line of a program's output.
#[derive(Debug)]
pub struct LogLine {
    /// The program.
    pub program: ProgramRef,
    /// When it began, and what it says.
    pub line: Line,
}

/// The output of all programs of a lab, of those of one namespace, or of one program.
///
/// # Errors
/// There is no such lab, namespace or program, or the supervisor does not answer.
pub fn logs(lab: &LabName, of: Option<(&NsName, Option<&ProgramName>)>) -> Result<Logs, EngineError> {
    if !is_kept(lab)? {
        return Err(EngineError::NoSuchLab(lab.clone()));
    }
    let saved = state::topology(lab)?.and_then(|text| topology::parse("the topology as applied", &text).ok());
    let wanted = saved.as_ref().map(|saved| &saved.lab);
    let mut all: BTreeSet<ProgramRef> = programs::list(lab)?.unwrap_or_default().into_keys().collect();
    all.extend(wanted.into_iter().flat_map(|lab| lab.programs().map(|(name, _)| name)));
    let mut chosen = all.clone();
    if let Some((ns, name)) = of {
        chosen.retain(|program| program.ns == *ns && name.is_none_or(|name| program.name == *name));
        let mut namespaces = wanted.into_iter().flat_map(|lab| lab.namespaces.keys());
        match name {
            Some(name) if chosen.is_empty() => {
                let program = ProgramRef { ns: ns.clone(), name: name.clone() };
                let meant = nearest(&program.to_string(), all.iter().map(ProgramRef::to_string));
                return Err(EngineError::NoSuchProgram { lab: lab.clone(), program, meant });
            }
            None if chosen.is_empty() && !namespaces.any(|own| own == ns) => {
                let own = wanted.into_iter().flat_map(|lab| lab.own_namespaces());
                return Err(no_such_namespace(lab, ns, own));
            }
            Some(_) | None => {}
        }
    }
    Ok(Logs { lab: lab.clone(), programs: chosen.into_iter().map(|name| (name, Position::default())).collect() })
}

impl Logs {
    /// How many programs there are.
    pub fn programs(&self) -> usize {
        self.programs.len()
    }

    /// The lines that have come since the last call, in the order of their times. With `whole`, a line that has not
    /// ended yet waits for its end.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn next(&mut self, whole: bool) -> Result<Vec<LogLine>, EngineError> {
        let mut lines = Vec::new();
        for (program, position) in &mut self.programs {
            let new = programs::output(&self.lab, program, position, whole)?;
            lines.extend(new.into_iter().map(|line| LogLine { program: program.clone(), line }));
        }
        lines.sort_by_key(|of| of.line.at);
        Ok(lines)
    }

    /// Whether the lab is still there.
    pub fn is_there(&self) -> bool {
        is_kept(&self.lab).unwrap_or_default()
    }
}
