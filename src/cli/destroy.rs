//! `nslab destroy`

use std::path::Path;

use super::apply::tell;
use super::{DONE, Failure, Format, print, print_json, say};
use crate::engine::EngineError;
use crate::kernel::Marked;
use crate::lab::{Lab, LabName, NsName};
use crate::{engine, show, state, topology};

/// Options of `nslab destroy`.
#[derive(Debug, clap::Args)]
pub struct DestroyArgs {
    /// The lab's name, or its topology file
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    lab: Option<String>,
    /// Remove every lab on this machine
    #[arg(long)]
    all: bool,
    /// Where another nslab works on the lab: say so instead of waiting
    #[arg(long)]
    no_wait: bool,
    /// Show every step with its command, however many there are
    #[arg(long, short)]
    verbose: bool,
    /// How to show what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &DestroyArgs) -> Result<u8, Failure> {
    let file = args.lab.as_deref().map(file).transpose()?.flatten();
    let labs = match (&file, &args.lab) {
        (Some(file), _) => vec![file.name.clone()],
        (None, Some(name)) => vec![named(name)?],
        (None, None) => all()?,
    };
    let (mut views, mut failed) = (Vec::new(), Vec::new());
    // Whatever becomes of the output, every lab is removed.
    let mut printed = Ok(());
    for lab in &labs {
        let mut progress = show::Progress::new();
        let destroyed = engine::destroy(lab, !args.no_wait, &mut |event| tell(lab, &mut progress, &event));
        progress.end();
        let destroyed = match destroyed {
            Ok(destroyed) => destroyed,
            Err(error) if !args.all || matches!(error, EngineError::Interrupted { .. }) => return Err(error.into()),
            // The other labs are not to suffer from it.
            Err(error) => {
                failed.push(format!("lab {lab}: {error}"));
                continue;
            }
        };
        if destroyed.steps.is_empty()
            && let Some(other) = file.as_ref().map(made_as).transpose()?.flatten()
        {
            say(&format!("nslab: what the file describes belongs to lab {other}: `nslab destroy {other}` removes it"));
        }
        match args.format {
            Format::Json => views.push(show::AppliedView::new(lab, &destroyed.steps, destroyed.elapsed, None)),
            Format::Text if destroyed.steps.is_empty() => {
                printed = printed.and(print(&format!("{lab}: there is nothing of it to remove")));
            }
            Format::Text => {
                printed = printed.and(print(&show::done(lab, &destroyed.steps, destroyed.elapsed, args.verbose)));
            }
        }
    }
    match (args.format, &args.lab) {
        (Format::Json, Some(_)) => views.iter().try_for_each(print_json)?,
        (Format::Json, None) => print_json(&views)?,
        (Format::Text, None) if labs.is_empty() => print("there are no labs")?,
        (Format::Text, _) => printed?,
    }
    if failed.is_empty() { Ok(DONE) } else { Err(Failure::System(failed.join("\nnslab: "))) }
}

/// The lab of a topology file, if it is one that is named.
fn file(text: &str) -> Result<Option<Lab>, Failure> {
    let is_file = text.contains('/') || text.ends_with(".yaml") || text.ends_with(".yml");
    if is_file { Ok(Some(topology::load(Path::new(text))?.lab)) } else { Ok(None) }
}

fn named(text: &str) -> Result<LabName, Failure> {
    text.parse()
        .map_err(|error| Failure::Usage(format!("no lab can have this name: `{}` {error}", text.escape_debug())))
}

/// Another lab that has namespaces, or interfaces of the host, of a file's: it was made from the file under another name.
fn made_as(lab: &Lab) -> Result<Option<LabName>, Failure> {
    let host = lab.namespaces.get(&NsName::host());
    let has = |marked: &Marked| {
        marked.namespaces.iter().any(|ns| lab.namespaces.contains_key(ns))
            || marked.interfaces.iter().any(|name| host.is_some_and(|host| host.interfaces.contains_key(name)))
    };
    let mut others = engine::Machine::open()?.marks()?.into_iter().filter(|(other, _)| *other != lab.name);
    Ok(others.find(|(_, marked)| has(marked)).map(|(other, _)| other))
}

/// Every lab that has left a mark in the kernel or a folder of state.
fn all() -> Result<Vec<LabName>, Failure> {
    let mut labs: Vec<LabName> = engine::Machine::open()?.marks()?.into_keys().chain(state::labs()?).collect();
    labs.sort();
    labs.dedup();
    Ok(labs)
}
