//! The borders of the rooms of `src/`, read from the source itself: who imports whom, what a room says of itself, how
//! long files, functions and lines are, and that no match over steps has a wildcard. docs/architecture.md has the table
//! of what may be imported; there are no exceptions. What is built for tests and fuzz targets only may import anything.

#![allow(clippy::expect_used, clippy::panic)] // A test that cannot go on says so by panicking.

mod support;

#[path = "borders/circles.rs"]
mod circles;
#[path = "borders/imports.rs"]
mod imports;
#[path = "borders/limits.rs"]
mod limits;
#[path = "borders/source.rs"]
mod source;
#[path = "borders/wildcards.rs"]
mod wildcards;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use source::Crate;

#[track_caller]
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{} found:\n{}", violations.len(), violations.join("\n"));
}

/// What each room may import, from the table in docs/architecture.md.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(support::project("docs/architecture.md")).expect("docs/architecture.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `src/"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let [room, _, allowed] = cells[..3] else { panic!("the row of src/{row} has no third cell") };
        let room = room.trim().trim_end_matches(['`', '/']).trim_end_matches(".rs");
        let allowed = allowed.split(',').map(|name| name.trim().to_owned()).filter(|name| name != "nothing");
        (room.to_owned(), allowed.collect())
    })
    .collect()
}

#[test]
fn rooms_import_what_the_table_allows() {
    let (krate, table) = (Crate::read(), table());
    let rooms: BTreeSet<String> = krate.files.iter().filter(|file| !file.for_tests).map(source::File::room).collect();
    let mut wrong: Vec<String> = rooms
        .iter()
        .filter(|room| !table.contains_key(*room))
        .map(|room| format!("docs/architecture.md: the table has no row for the room `{room}`"))
        .collect();
    for (room, allowed) in &table {
        let unknown = allowed.iter().chain([room]).filter(|name| !rooms.contains(*name));
        wrong.extend(unknown.map(|name| format!("docs/architecture.md: there is no room `{name}` (row of `{room}`)")));
    }
    for file in krate.files.iter().filter(|file| !file.for_tests) {
        let Some(allowed) = table.get(&file.room()) else { continue };
        for import in imports::of(&krate, file) {
            let Some(other) = import.room.filter(|other| *other != file.room() && !allowed.contains(other)) else {
                continue;
            };
            let (path, line) = (file.path.display(), import.line);
            wrong.push(format!("{path}:{line}: `{}` may not import `{other}` ({})", file.room(), import.written));
        }
    }
    wrong.sort();
    wrong.dedup();
    none(&wrong);
}

/// The table itself has one direction: no room may import, by way of others, itself.
#[test]
fn the_table_has_no_circle() {
    let table = table();
    let edges = table.iter().flat_map(|(room, allowed)| allowed.iter().map(move |other| (room.clone(), other.clone())));
    let circles = circles::among(&edges.collect());
    none(&circles.iter().map(|circle| format!("{circle:?}")).collect::<Vec<_>>());
}

/// How a room may say what it does not know.
const LIMITS: [&str; 5] = ["may not know", "does not know", "knows nothing", "nothing here", "nothing else"];

#[test]
fn a_room_says_what_it_is_for_and_what_it_may_not_know() {
    let krate = Crate::read();
    let mut wrong = Vec::new();
    let entrances = krate.files.iter().filter(|file| file.is_entrance() && !file.for_tests);
    for file in entrances {
        let lines = file.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let doc = lines.collect::<Vec<_>>().join(" ");
        if doc.is_empty() {
            wrong.push(format!("{}:1: does not begin with `//!`: what is the room for?", file.path.display()));
        } else if !LIMITS.iter().any(|words| doc.contains(words)) {
            wrong.push(format!("{}:1: its first lines do not say what it may not know", file.path.display()));
        }
    }
    none(&wrong);
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let krate = Crate::read();
    let mut lines: BTreeMap<(String, String), usize> = BTreeMap::new();
    for file in krate.files.iter().filter(|file| !file.for_tests) {
        for import in imports::of(&krate, file) {
            let Some(target) = import.file.filter(|target| krate.files[*target].path != file.path) else { continue };
            let edge = (file.path.display().to_string(), krate.files[target].path.display().to_string());
            lines.entry(edge).or_insert(import.line);
        }
    }
    let mut wrong = Vec::new();
    for circle in circles::among(&lines.keys().cloned().collect()) {
        let inner = lines.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        let arrows: Vec<String> = inner.map(|((from, to), line)| format!("  {from}:{line} → {to}")).collect();
        wrong.push(format!("a circle of {} files:\n{}", circle.len(), arrows.join("\n")));
    }
    none(&wrong);
}

#[test]
fn files_functions_and_lines_are_short() {
    none(&limits::exceeded(&Crate::read()));
}

#[test]
fn a_match_over_steps_or_virtual_interfaces_names_them_all() {
    none(&wildcards::found(&Crate::read()));
}
