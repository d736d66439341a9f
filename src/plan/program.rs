//! Programs: which are to be started, ended, or started anew.

use super::compared::Compared;
use super::draft::{Draft, EXTRA, MISSING};
use crate::lab::{ObservedProgram, Program, ProgramRef, Runs};
use crate::steps::{Change, ProgramStep, Step, Update};

/// Plans the programs of all namespaces. One that has done its work, or will be started again, is there.
pub(super) fn compare(compared: &Compared<'_>, draft: &mut Draft) {
    let lab = &compared.lab.name;
    let step = |program: &ProgramRef, change| {
        Step::Program(ProgramStep { lab: lab.clone(), program: program.clone(), change })
    };
    let boxed = |program: &Program| Box::new(program.clone());
    for (name, want) in compared.lab.programs() {
        match compared.live.programs.get(&name) {
            None => draft.add(step(&name, Update::Add(boxed(want))), MISSING),
            Some(is) if is.program != *want => {
                let change = Change { from: boxed(&is.program), to: boxed(want) };
                draft.add(step(&name, Update::Replace(change)), differs(&is.program, want));
            }
            Some(is) => {
                if let Some(why) = is.why_gone() {
                    draft.add(step(&name, Update::Add(boxed(want))), why);
                }
            }
        }
    }
    for (name, ObservedProgram { program, .. }) in &compared.live.programs {
        let is_wanted = compared.lab.namespaces.get(&name.ns).is_some_and(|ns| ns.programs.contains_key(&name.name));
        if !is_wanted {
            draft.add(step(name, Update::Remove(boxed(program))), EXTRA);
        }
    }
}

/// In what two programs differ: the first key.
fn differs(is: &Program, want: &Program) -> String {
    let runs = match (&is.runs, &want.runs) {
        (Runs::Servers(_), Runs::Servers(_)) => return "`serve` differs".to_owned(),
        (Runs::Command(_), Runs::Servers(_)) | (Runs::Servers(_), Runs::Command(_)) => true,
        (Runs::Command(is), Runs::Command(want)) => is != want,
    };
    let keys = [
        ("command", runs),
        ("environment", is.environment != want.environment),
        ("user", is.user != want.user),
        ("directory", is.directory != want.directory),
        ("files", is.files != want.files),
        ("certificates", is.certificates != want.certificates),
        ("reload", is.reload != want.reload),
        ("ready", is.ready != want.ready || is.within != want.within),
        ("needs", is.needs != want.needs),
        ("restart", is.restart != want.restart),
        ("stop", is.stop != want.stop),
        ("limits", is.limits != want.limits),
    ];
    let key = keys.iter().find(|(_, differs)| *differs).map_or("program", |(key, _)| key);
    format!("`{key}` differs")
}
