//! The renderings of reports: `reports/NAME.json` is shown as `NAME.table`, `NAME.junit` and `NAME.tap`.
//!
//! A new case is a new JSON file. `BLESS=1` writes what is expected anew, to be read before it is committed.

#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use nslab::check::Report;
use nslab::show::report::{junit, table, tap};

const WIDTH: usize = 80;

fn cases() -> Vec<(PathBuf, Report)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let files = fs::read_dir(folder).expect("tests/reports").map(|entry| entry.expect("an entry").path());
    let mut cases: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "json")).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let read = |file: &PathBuf| fs::read_to_string(file).expect("a file");
    cases.into_iter().map(|file| (file.clone(), serde_json::from_str(&read(&file)).expect("a report"))).collect()
}

#[test]
fn reports_are_shown_as_expected() {
    let mut wrong = Vec::new();
    for (file, report) in cases() {
        let shown = [
            ("json", serde_json::to_string_pretty(&report).expect("JSON") + "\n"),
            ("table", table(&report, false, WIDTH)),
            ("junit", junit(std::slice::from_ref(&report))),
            ("tap", tap(std::slice::from_ref(&report))),
        ];
        for (extension, shown) in shown {
            let file = file.with_extension(extension);
            if std::env::var_os("BLESS").is_some() {
                fs::write(&file, &shown).expect("the file is written");
            }
            if fs::read_to_string(&file).ok().as_ref() != Some(&shown) {
                wrong.push(format!("{} should be\n{shown}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn colour_adds_nothing_but_colour() {
    for (file, report) in cases() {
        let coloured = table(&report, true, WIDTH);
        let plain = coloured.replace("\x1b[32m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(plain, table(&report, false, WIDTH), "{}", file.display());
        assert_eq!(plain != coloured, plain.contains(['✓', '✗']), "{}", file.display());
    }
}

#[test]
fn several_labs_make_one_document() {
    let reports: Vec<Report> = cases().into_iter().map(|(_, report)| report).collect();
    let pairs: usize = reports.iter().map(Report::pairs).sum();
    assert!(tap(&reports).starts_with(&format!("TAP version 14\n1..{pairs}\nok 1 - ")));
    assert!(tap(&reports).contains(&format!("ok {pairs} - ")));
    assert_eq!(junit(&reports).matches("<testsuite ").count(), reports.len());
    assert_eq!(junit(&reports).matches("<testcase ").count(), pairs);
}

#[test]
fn junit_is_well_formed_xml() {
    for (file, report) in cases() {
        let xml = junit(&[report]);
        let mut open = Vec::new();
        for tag in xml.split('<').skip(1).map(|rest| rest.split_once('>').expect("every tag ends").0) {
            match tag.strip_prefix('/') {
                _ if tag.starts_with('?') || tag.ends_with('/') => {}
                Some(name) => assert_eq!(open.pop(), Some(name), "{}", file.display()),
                None => open.extend(tag.split(' ').next()),
            }
        }
        assert!(open.is_empty(), "{}: {open:?} are not closed", file.display());
        assert!(!xml.chars().any(|c| c.is_control() && c != '\n'), "{}", file.display());
    }
}
