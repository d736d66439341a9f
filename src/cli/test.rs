//! `nslab test`: each file in a process and a sandbox of its own, several at once.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::exit_code::{DONE, OUT_OF_SYNC, REFUSED, WRONG_INPUT};
use super::failure::Failure;
use super::output::{colour, print, print_json, say, warn};
use super::report_args::{ReportArgs, ReportFormat};
use crate::engine::EngineCode;
use crate::show::TestView;
use crate::show::report::Tested;
use crate::topology::LoadError;
use crate::{engine, show, topology};

/// Options of `nslab test`.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Topology files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
    /// Do not follow packets of failed checks to find out why they failed
    #[arg(long)]
    no_explain: bool,
    /// Test the only file in this process, and answer in JSON (what `test` starts for each file)
    #[arg(long, hide = true)]
    in_this_process: bool,
}

/// Tests files, each in a sandbox of its own.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &TestArgs) -> Result<u8, Failure> {
    if let (true, [file]) = (args.in_this_process, args.files.as_slice()) {
        let view = test_here(file, !args.no_explain);
        print_json(&view)?;
        return Ok(view.exit_code);
    }
    let children = in_parallel(&args.files, args.no_explain);
    for Child { view, messages } in &children {
        if !messages.is_empty() {
            say(messages);
        }
        if args.report.format == ReportFormat::Table {
            print(&show::tested(view, colour()))?;
            if let Some(report) = view.report.as_ref().filter(|_| args.report.verbose) {
                print(&show::report::queries(report))?;
            }
        } else if let Some(error) = &view.error {
            say(&format!("{}: {error}", view.file));
        }
    }
    let views: Vec<TestView> = children.into_iter().map(|child| child.view).collect();
    if args.report.format == ReportFormat::Table {
        print(&show::tested_summary(&views))?;
    }
    let tested: Vec<Tested<'_>> = views.iter().map(TestView::tested).collect();
    args.report.write(&tested, &views)?;
    // The most serious first: a file that is wrong, a system that refuses, a check that fails.
    let codes = [WRONG_INPUT, REFUSED, OUT_OF_SYNC];
    Ok(codes.into_iter().find(|code| views.iter().any(|view| view.exit_code == *code)).unwrap_or(DONE))
}

/// Tests every file, as many at once as there are processors; the results in the order of the files.
fn in_parallel(files: &[PathBuf], no_explain: bool) -> Vec<Child> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((n, file)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, files.get(n)?)))
                {
                    let child = test_in_child(file, no_explain);
                    results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((n, child));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(n, _)| *n);
    results.into_iter().map(|(_, child)| child).collect()
}

/// What came of the test of a file.
struct Child {
    view: TestView,
    /// What it said on stderr: the warnings about the file.
    messages: String,
}

fn test_in_child(file: &Path, no_explain: bool) -> Child {
    let args = ["test", "--in-this-process"].into_iter().chain(no_explain.then_some("--no-explain")).chain(["--"]);
    let started = engine::in_child(args.map(OsStr::new).chain([file.as_os_str()]));
    let code = EngineCode::ChildFailed.to_string();
    let failed = |error: String| Child {
        view: TestView::failed(file.display().to_string(), REFUSED, error, Some(code)),
        messages: String::new(),
    };
    let Output { stdout, stderr, status } = match started {
        Err(error) => return failed(format!("cannot start nslab once more: {error}")),
        Ok(output) => output,
    };
    let messages = String::from_utf8_lossy(&stderr).trim().to_owned();
    match serde_json::from_slice(&stdout) {
        Ok(view) => Child { view, messages },
        Err(_) => failed(format!("the test ended with {status}: {messages}")),
    }
}

/// Tests one file in a sandbox that this process moves into.
fn test_here(path: &Path, explains: bool) -> TestView {
    let file = path.display().to_string();
    let start = Instant::now();
    let topology = match topology::load(path) {
        Ok(topology) => topology,
        Err(error) => return TestView::failed(file, WRONG_INPUT, error.to_string(), code_of(&error)),
    };
    warn(&topology.warnings);
    let view = match engine::test(&topology.lab, &topology.text, explains.then_some(&file)) {
        Ok(report) => TestView::done(file, report, start.elapsed()),
        Err(error) => TestView::failed(file, error.exit_code(), error.to_string(), Some(error.code())),
    };
    view.warnings(&topology.warnings)
}

/// The code of a file that cannot be read; diagnostics have their codes in the text.
fn code_of(error: &LoadError) -> Option<String> {
    match error {
        LoadError::Read { .. } => Some(error.code().to_string()),
        LoadError::Invalid(_) => None,
    }
}
