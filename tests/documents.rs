//! Documents are true: every command and every file that README and docs show is run.
//!
//! A fenced block `yaml file=NAME` is a file; a block `sh` is run by `sh -e` in the document's own sandbox and folder,
//! with the blocks before it done. A block `yaml ci`, `dockerfile ci` or `sh ci` is for another machine: its nslab
//! commands are run, and each of its other commands must be one of those in [`ELSEWHERE`]. `text` is a picture. There
//! are no other kinds.

mod support;

use std::path::Path;

use nslab::topology;
use serde_json::Value;
use support::{project, sandbox, sh, text};

/// Commands that are not run here because the whole test run is one of them, or runs them: scripts/test itself.
const RUN_BY_THE_GATE: [&str; 2] = ["scripts/quickstart", "scripts/test"];

/// Commands of CI machines and image builds that are not run here: they install nslab, or change the machine.
const ELSEWHERE: [&str; 7] = [
    "apt-get install ",
    "apt-get update",
    "cargo install --locked --path ",
    "docker build ",
    "modprobe ",
    "podman build ",
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
];

/// Programs that run the command at the end of their own arguments, in a container.
const CONTAINERS: [&str; 2] = ["docker run ", "podman run "];

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

/// The strings below these keys of a YAML tree, in lists as well.
fn strings_at(keys: &[&str], value: &Value) -> Vec<String> {
    let strings = |value: &Value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    match value {
        Value::Object(map) => {
            let found = |(key, value): (&String, &Value)| {
                let own = if keys.contains(&key.as_str()) { strings(value) } else { Vec::new() };
                [own, strings_at(keys, value)].concat()
            };
            map.iter().flat_map(found).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| strings_at(keys, item)).collect(),
        _ => Vec::new(),
    }
}

/// The commands of a block for another machine, and the files that it keeps afterwards.
fn of_ci(place: &str, kind: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let lines = |text: &str| text.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>();
    match kind {
        "yaml" => {
            let file: Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
            let scripts = strings_at(&["run", "before_script", "script", "after_script"], &file);
            let kept = strings_at(&["path", "paths", "junit"], &file);
            (scripts.iter().flat_map(|text| lines(text)).collect(), kept.iter().flat_map(|text| lines(text)).collect())
        }
        "dockerfile" => {
            let commands = lines(text).into_iter().filter_map(|line| match line.split_once(' ') {
                Some(("RUN", commands)) => Some(commands.to_owned()),
                Some(("FROM" | "COPY", _)) => None,
                _ if line.is_empty() => None,
                _ => panic!("{place}: what is {line:?}?"),
            });
            (commands.collect(), Vec::new())
        }
        "sh" => (lines(text), Vec::new()),
        _ => panic!("{place}: what is a block for CI of kind {kind:?}?"),
    }
}

/// The nslab command in a command for another machine; none in one of [`ELSEWHERE`].
fn nslab_command<'t>(place: &str, command: &'t str) -> Option<&'t str> {
    let command = command.trim();
    let bare = command.strip_prefix("sudo ").unwrap_or(command);
    if bare.starts_with("nslab ") {
        return Some(bare);
    }
    if CONTAINERS.iter().any(|run| bare.starts_with(run)) {
        let (start, _) = bare.split_once(" nslab ").unwrap_or_else(|| panic!("{place}: no nslab in {command:?}"));
        return bare.strip_prefix(start).map(str::trim);
    }
    assert!(ELSEWHERE.iter().any(|known| bare.starts_with(known)), "{place}: a command that is not run: {command:?}");
    None
}

/// Runs the nslab commands of a block for another machine; how many there are.
fn check_ci(place: &str, kind: &str, block: &str, folder: &str) -> usize {
    let (scripts, kept) = of_ci(place, kind, block);
    let commands = scripts.iter().flat_map(|line| line.split(" && ")).filter(|command| !command.trim().is_empty());
    let commands: Vec<&str> = commands.filter_map(|command| nslab_command(place, command)).collect();
    assert!(kind != "yaml" || !commands.is_empty(), "{place}: no nslab command");
    for file in &kept {
        let _ = std::fs::remove_file(Path::new(folder).join(file));
    }
    for command in &commands {
        run_in(place, folder, command);
    }
    for file in kept {
        assert!(Path::new(folder).join(&file).exists(), "{place}: no command writes {file}");
    }
    commands.len()
}

/// Runs a script in the folder with this build's nslab.
fn run_in(place: &str, folder: &str, script: &str) {
    let bin = Path::new(env!("CARGO_BIN_EXE_nslab")).parent().unwrap().display().to_string();
    let output = sh(&format!("cd {folder}; PATH={bin}:$PATH\n{script}"));
    assert!(output.status.success(), "{place}:\n{script}\n{}", text(&output));
}

fn check(document: &Path, folder: &str) -> usize {
    let blocks = blocks(&std::fs::read_to_string(document).unwrap());
    let mut run = 0;
    for block in &blocks {
        let place = format!("{}:{}", document.display(), block.line);
        if let Some(kind) = block.kind.strip_suffix(" ci") {
            run += check_ci(&place, kind, &block.text, folder);
            continue;
        }
        match block.kind.split_once(" file=").map_or((block.kind.as_str(), None), |(kind, file)| (kind, Some(file))) {
            ("yaml", file) => {
                if let Err(faults) = topology::parse(file.unwrap_or("example.yaml"), &block.text) {
                    panic!("{place}:\n{}", faults.render(false));
                }
                if let Some(file) = file {
                    let path = Path::new(folder).join(file);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, &block.text).unwrap();
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
                run_in(&place, folder, &block.text);
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
    for of in ["plan", "apply", "test", "list", "status", "namespace", "policy", "verdict", "validate", "doctor"] {
        let output = support::nslab(["schema", of]);
        let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        let item = schema["items"]["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let object = item.map_or(&schema, |name| &schema["$defs"][name]);
        let fields = object["properties"].as_object().unwrap_or_else(|| panic!("{of}: {schema}"));
        let missing: Vec<_> = fields.keys().filter(|field| !page.contains(&format!("`{field}`"))).collect();
        assert!(missing.is_empty(), "{of}: {missing:?}");
    }
}

/// The headings of a document below its title, each with its level: those outside of blocks.
fn headings(document: &str) -> Vec<(usize, String)> {
    let mut is_in_block = false;
    let mut headings = Vec::new();
    for line in document.lines() {
        is_in_block ^= line.starts_with("```");
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if !is_in_block && level > 1 {
            headings.push((level, line[level..].trim().to_owned()));
        }
    }
    headings
}

/// Where links to a heading lead, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The table of contents of the language is its headings, and links within the page lead to some.
#[test]
fn contents_are_the_headings() {
    let page = std::fs::read_to_string(project("docs/topology.md")).unwrap();
    let headings = headings(&page);
    let anchors: Vec<String> = headings.iter().map(|(_, heading)| anchor(heading)).collect();
    let entry = |((level, heading), anchor): (&(usize, String), &String)| {
        format!("{}- [{heading}](#{anchor})", "  ".repeat(level - 2))
    };
    let wanted: Vec<String> = headings.iter().zip(&anchors).map(entry).collect();
    let contents: Vec<&str> =
        page.lines().filter(|line| line.trim_start().starts_with("- [") && line.contains("](#")).collect();
    assert_eq!(contents, wanted, "the contents of docs/topology.md; these are its headings:\n{}", wanted.join("\n"));
    let mut rest = page.as_str();
    while let Some((_, after)) = rest.split_once("](#") {
        let (link, after) = after.split_once(')').unwrap();
        assert!(anchors.iter().any(|anchor| anchor == link), "docs/topology.md has no heading #{link}");
        rest = after;
    }
}
