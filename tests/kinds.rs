//! Kinds of interfaces: each file in `tests/kinds` is a lab with one kind, which has the file's name. A kernel that has the kind
//! builds and proves the lab, by nslab and by its script; one that lacks it says so before anything is made.

mod support;

use support::{host_account, nslab, run, sandbox, sh, text};

#[test]
fn each_kind_works_or_is_refused_at_once() {
    let mut files: Vec<_> =
        std::fs::read_dir(support::project("tests/kinds")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 6, "the cases are gone");
    for file in files {
        let kind = file.file_stem().unwrap().to_string_lossy().into_owned();
        let file = file.display().to_string();
        // A sandbox is a thread's; the next case gets a new one.
        std::thread::spawn(move || works_or_is_refused(&kind, &file)).join().unwrap();
    }
}

fn works_or_is_refused(kind: &str, file: &str) {
    sandbox();
    // Whatever the kind misses to be made, only a kernel without it says that it does not know it.
    let unknown = text(&sh(&format!("ip link add try0 type {kind}"))).contains("Unknown device type");
    sh("ip link del try0");
    let before = host_account();
    let applied = nslab(["apply", "--check", file]);
    let said = text(&applied);
    if unknown {
        assert_eq!(applied.status.code(), Some(3), "{kind}: {said}");
        assert!(said.contains(&format!("this kernel has no interfaces of the kind {kind}")), "{kind}: {said}");
        assert!(said.contains("modprobe"), "{kind}: {said}");
        assert!(text(&nslab(["doctor", file])).contains(&format!("of the kind {kind}")), "{kind}");
    } else {
        assert_eq!(applied.status.code(), Some(0), "{kind}: {said}");
        assert_eq!(nslab(["plan", "--exit-code", file]).status.code(), Some(0), "{kind}");
        assert_eq!(nslab(["destroy", "kind"]).status.code(), Some(0), "{kind}");
        before.assert_same(&host_account(), kind);
        run(&format!("{} commands {file} | sh", env!("CARGO_BIN_EXE_nslab")));
        let planned = nslab(["plan", "--exit-code", file]);
        assert_eq!(planned.status.code(), Some(0), "{kind}, by its script: {}", text(&planned));
        assert_eq!(nslab(["check", file]).status.code(), Some(0), "{kind}, by its script");
        run(&format!("{} commands --undo {file} | sh", env!("CARGO_BIN_EXE_nslab")));
    }
    before.assert_same(&host_account(), kind);
}
