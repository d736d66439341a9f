//! Documents are true: every command and every file that README and docs show is run.
//!
//! A fenced block `yaml file=NAME` is a file; a block `sh` is run by `sh -e` in the document's own sandbox and folder,
//! with the blocks before it done. `text` is a picture. There are no other kinds.

mod support;

use std::path::Path;

use nslab::topology;
use support::{project, sandbox, sh, text};

/// Commands that are not run here because the whole test run is one of them, or runs them: scripts/test itself.
const RUN_BY_THE_GATE: [&str; 2] = ["scripts/quickstart", "scripts/test"];

struct Block {
    kind: String,
    text: String,
    line: usize,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (n, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(kind), None) => open = Some(Block { kind: kind.trim().to_owned(), text: String::new(), line: n + 1 }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text += line;
                block.text += "\n";
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn check(document: &Path, folder: &str) -> usize {
    let blocks = blocks(&std::fs::read_to_string(document).unwrap());
    let mut run = 0;
    for block in &blocks {
        let place = format!("{}:{}", document.display(), block.line);
        match block.kind.split_once(" file=").map_or((block.kind.as_str(), None), |(kind, file)| (kind, Some(file))) {
            ("yaml", file) => {
                if let Err(faults) = topology::parse(file.unwrap_or("example.yaml"), &block.text) {
                    panic!("{place}:\n{}", faults.render(false));
                }
                if let Some(file) = file {
                    std::fs::write(Path::new(folder).join(file), &block.text).unwrap();
                }
            }
            ("sh", None) if RUN_BY_THE_GATE.contains(&block.text.trim()) => {
                let gate = std::fs::read_to_string(project("scripts/test")).unwrap();
                let script = block.text.trim();
                assert!(
                    script == "scripts/test"
                        || gate.lines().any(|line| line.starts_with("stage ") && line.ends_with(script)),
                    "{place}: scripts/test does not run {script}"
                );
            }
            ("sh", None) => {
                let bin = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().unwrap().display().to_string();
                let output = sh(&format!("cd {folder}; PATH={bin}:$PATH\n{}", block.text));
                assert!(output.status.success(), "{place}:\n{}\n{}", block.text, text(&output));
                run += 1;
            }
            ("text", None) => {}
            (other, _) => panic!("{place}: what is a block of kind {other:?}?"),
        }
    }
    run
}

#[test]
fn readme_and_docs_are_true() {
    let mut documents = vec![project("README.md")];
    documents.extend(std::fs::read_dir(project("docs")).unwrap().map(|entry| entry.unwrap().path()));
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(documents.len() >= 3, "the documents are gone");
    let run: usize = documents
        .into_iter()
        .map(|document| {
            std::thread::spawn(move || {
                sandbox();
                std::fs::create_dir("/run/work").unwrap();
                check(&document, "/run/work")
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .sum();
    assert!(run >= 4, "only {run} blocks of commands were run");
}

/// docs/json.md names every field at the top of every schema.
#[test]
fn json_fields_are_documented() {
    let page = std::fs::read_to_string(project("docs/json.md")).unwrap();
    for of in ["plan", "apply", "test", "list", "status", "validate", "doctor"] {
        let output = support::nslab(["schema", of]);
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let item = schema["items"]["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let object = item.map_or(&schema, |name| &schema["$defs"][name]);
        let fields = object["properties"].as_object().unwrap_or_else(|| panic!("{of}: {schema}"));
        let missing: Vec<_> = fields.keys().filter(|field| !page.contains(&format!("`{field}`"))).collect();
        assert!(missing.is_empty(), "{of}: {missing:?}");
    }
}
