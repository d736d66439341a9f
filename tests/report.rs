//! The renderings of reports: `reports/NAME.json` is shown as `NAME.table`, `NAME.junit` and `NAME.tap`.

#![allow(clippy::expect_used, clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use nslab::check::Report;
use nslab::show::report::{NotRun, Tested, junit, table, tap};
use support::golden;

const WIDTH: usize = 80;

fn read(file: &Path) -> Report {
    serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("a report")
}

fn tested(report: &Report) -> Tested<'_> {
    Tested { file: Some("labs/a.yaml"), outcome: Ok(report) }
}

fn cases() -> Vec<(PathBuf, Report)> {
    golden::files("tests/reports", "json").into_iter().map(|(_, file)| (file.clone(), read(&file))).collect()
}

#[test]
fn reports_are_shown_as_expected() {
    golden::run("tests/reports", &golden::files_with_expectations("tests/reports", "json"), |_, file| {
        let report = read(file);
        let shown = [
            ("json", serde_json::to_string_pretty(&report).expect("JSON") + "\n"),
            ("table", table(&report, false, WIDTH)),
            ("junit", junit(&[tested(&report)])),
            ("tap", tap(&[tested(&report)])),
        ];
        shown.iter().try_for_each(|(extension, text)| golden::expect(&file.with_extension(extension), text))
    });
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
    let reports: Vec<Tested<'_>> = reports.iter().map(tested).collect();
    assert!(tap(&reports).starts_with(&format!("TAP version 14\n1..{pairs}\nok 1 - ")));
    assert!(tap(&reports).contains(&format!("ok {pairs} - ")));
    assert_eq!(junit(&reports).matches("<testsuite ").count(), reports.len());
    assert_eq!(junit(&reports).matches("<testcase ").count(), pairs);
}

#[test]
fn junit_is_well_formed_xml() {
    for (file, report) in cases() {
        let xml = junit(&[tested(&report)]);
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

#[test]
fn a_file_that_could_not_be_run_is_in_every_report() {
    let not_run = NotRun { message: "no \"privileges\"\nsee nslab doctor", code: Some("privileges-missing") };
    let failed = Tested { file: Some("labs/<b>.yaml"), outcome: Err(not_run) };
    let xml = junit(&[failed]);
    assert!(xml.contains("<testsuites name=\"nslab\" tests=\"1\" failures=\"0\" errors=\"1\""), "{xml}");
    assert!(
        xml.contains("file=\"labs/&lt;b&gt;.yaml\"") && xml.contains("<error message=\"no &quot;privileges"),
        "{xml}"
    );
    assert!(!xml.contains("=\"-"), "no time is negative: {xml}");
    let lines = tap(&[failed]);
    assert!(lines.starts_with("TAP version 14\n1..1\nnot ok 1 - labs/<b>.yaml: the checks can be run\n"), "{lines}");
}
