//! Cases that are files: a test walks a folder of them and compares what is with what is written down.
//!
//! `CASE=NAME cargo test --test TEST` runs one case alone, by its name or by the name of its folder and its own
//! (`CASE=faults/alias`). `BLESS=1` writes the expectations anew instead of comparing them; read the difference before
//! you commit it. Each case runs in a thread of its own, since a sandbox belongs to its thread, and all that failed is
//! reported at once.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// How many cases run at once: most of them wait for the kernel.
const AT_ONCE: usize = 4;

/// Products of numbers of lines up to which all lines that differ are found: 64 MiB are taken for it.
const MOST_COMPARED: usize = 1 << 24;

/// A case with its name: a file, a folder, or a row of a table.
pub type Case<T = PathBuf> = (String, T);

/// The folders in a folder of the project, each a case.
pub fn folders(of: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = entries(of).into_iter().filter(|path| path.is_dir()).map(named).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{of} has no cases");
    cases
}

/// The files in a folder of the project that have this extension, each a case.
pub fn files(of: &str, extension: &str) -> Vec<Case> {
    let paths = entries(of).into_iter().filter(|path| path.extension().is_some_and(|own| own == extension));
    let mut cases: Vec<Case> = paths.map(named).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{of} has no .{extension} files");
    cases
}

/// Every other case, where two machines share them out: `NSLAB_PART=odd` on one, and `even` on the other.
pub fn part<T>(cases: Vec<Case<T>>) -> Vec<Case<T>> {
    let Ok(part) = std::env::var("NSLAB_PART") else { return cases };
    cases.into_iter().skip(usize::from(part == "even")).step_by(2).collect()
}

/// [`files`] of a folder in which every other file belongs to one of them: an expectation that lost its case is found.
pub fn files_with_expectations(of: &str, extension: &str) -> Vec<Case> {
    let cases = files(of, extension);
    let names: BTreeSet<&String> = cases.iter().map(|(name, _)| name).collect();
    let stray: Vec<Case> = entries(of).into_iter().map(named).filter(|(name, _)| !names.contains(name)).collect();
    assert!(stray.is_empty(), "{of} has expectations without a case: {stray:?}");
    cases
}

fn entries(of: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(super::project(of)).unwrap_or_else(|error| panic!("{of}: {error}"));
    folder.map(|entry| entry.expect("an entry").path()).collect()
}

fn named(path: PathBuf) -> Case {
    (path.file_stem().expect("a name").to_string_lossy().into_owned(), path)
}

/// Runs the cases of a folder (or of a table), all of them or the one that `CASE` names; fails with all that went
/// wrong.
#[track_caller]
pub fn run<T: Sync>(of: &str, cases: &[Case<T>], check: impl Fn(&str, &T) -> Result<(), String> + Sync) {
    let wrong = Mutex::new(Vec::new());
    let todo = Mutex::new(selected(of, cases).into_iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, case)) = next(&todo) {
                    let outcome = std::thread::scope(|scope| scope.spawn(|| check(name, case)).join());
                    if let Err(why) = outcome.unwrap_or_else(|panic| Err(message(&*panic))) {
                        wrong.lock().expect("the list").push(format!("== {of}/{name}\n{why}"));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("the list");
    wrong.sort();
    assert!(wrong.is_empty(), "{} failed:\n{}\n(one alone: CASE=NAME)", wrong.len(), wrong.join("\n\n"));
}

fn next<'a, T>(todo: &Mutex<impl Iterator<Item = &'a Case<T>>>) -> Option<&'a Case<T>> {
    todo.lock().expect("the list").next()
}

#[track_caller]
fn selected<'a, T>(of: &str, cases: &'a [Case<T>]) -> Vec<&'a Case<T>> {
    let Ok(wanted) = std::env::var("CASE") else { return cases.iter().collect() };
    let found: Vec<_> =
        cases.iter().filter(|(name, _)| wanted == *name || Path::new(of).join(name).ends_with(&wanted)).collect();
    // Another test of the same file of tests may have it; a name that no test has is a mistake.
    if found.is_empty() && !is_a_case_elsewhere(&wanted) {
        let names: Vec<&str> = cases.iter().map(|(name, _)| name.as_str()).collect();
        panic!("{of} has no case `{wanted}`, but:\n{}", names.join("\n"));
    }
    found
}

/// Whether a folder of cases has a file or a folder with this name, whatever its extension.
fn is_a_case_elsewhere(wanted: &str) -> bool {
    let folders = entries("tests").into_iter().chain([super::project("topologies")]).filter(|path| path.is_dir());
    let paths =
        folders.flat_map(|folder| fs::read_dir(folder).expect("a folder")).map(|entry| entry.expect("an entry"));
    paths.map(|entry| entry.path().with_extension("")).any(|path| path.ends_with(wanted))
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "it panicked".to_owned())
}

/// Compares with an expectation, or writes it with `BLESS=1`.
///
/// # Errors
///
/// The lines that differ.
pub fn expect(expectation: &Path, actual: &str) -> Result<(), String> {
    if std::env::var_os("BLESS").is_some() {
        return fs::write(expectation, actual).map_err(|error| format!("{}: {error}", expectation.display()));
    }
    let expected = fs::read_to_string(expectation).unwrap_or_default();
    if expected == actual {
        return Ok(());
    }
    let file = expectation.file_name().unwrap_or_default().to_string_lossy();
    Err(format!("{file} (BLESS=1 accepts what is now):\n{}", difference(&expected, actual)))
}

/// The lines that differ: as they were expected (`-`) and as they are (`+`), with their number.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    if old.len() * new.len() > MOST_COMPARED {
        let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        return format!("it is long, and differs from line {}: {:?}, not {:?}", same + 1, new.get(same), old.get(same));
    }
    // How many lines from here to the ends are the same, in order.
    let mut same = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            same[i][j] = if a == b { same[i + 1][j + 1] + 1 } else { same[i + 1][j].max(same[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && same[i + 1][j] >= same[i][j + 1]) {
            text += &format!("{:4} - {}\n", i + 1, old[i]);
            i += 1;
        } else {
            text += &format!("{:4} + {}\n", j + 1, new[j]);
            j += 1;
        }
    }
    text
}
