//! How long a file, a function and a line may be.

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::Crate;
use crate::support;

const LINES_OF_A_FILE: usize = 500;
const LINES_OF_A_FUNCTION: usize = 60;
const COLUMNS: usize = 120;

pub fn exceeded(krate: &Crate) -> Vec<String> {
    let mut texts = Vec::new();
    for folder in ["src", "tests", "scripts", "docs", "fuzz/fuzz_targets"] {
        collect(&support::project(folder), &mut texts);
    }
    texts.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(support::project));
    texts.sort();
    let mut wrong = Vec::new();
    for path in texts {
        let text = fs::read_to_string(&path).expect("a text");
        let shown = path.strip_prefix(support::project("")).expect("a file of the project").display().to_string();
        let rust = shown.ends_with(".rs");
        if rust && text.lines().count() > LINES_OF_A_FILE {
            wrong.push(format!("{shown}: {} lines; {LINES_OF_A_FILE} are the limit", text.lines().count()));
        }
        for (number, line) in (1..).zip(text.lines()) {
            let columns = line.chars().count();
            if columns > COLUMNS && is_prose(&shown, line) {
                wrong.push(format!("{shown}:{number}: {columns} columns; {COLUMNS} are the limit"));
            }
        }
        if rust && !shown.starts_with("src/") {
            let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            long_functions(&shown, &syntax, &mut wrong);
        }
    }
    for file in &krate.files {
        long_functions(&file.path.display().to_string(), &file.syntax, &mut wrong);
    }
    wrong
}

/// What people write: code, scripts and documents; not the data of tests.
fn collect(folder: &Path, texts: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let kind = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        match kind.as_deref() {
            _ if path.is_dir() => collect(&path, texts),
            Some("rs" | "md" | "sh" | "py" | "c") => texts.push(path),
            None if folder.starts_with(support::project("scripts")) => texts.push(path),
            Some(_) | None => {}
        }
    }
}

/// Whether a line can be broken: text of a document, or a comment. A row of a table in Markdown cannot, and code is
/// `cargo fmt`'s, which leaves long strings alone.
fn is_prose(file: &str, line: &str) -> bool {
    match file.rsplit_once('.').map(|(_, kind)| kind) {
        Some("md") => !line.starts_with('|'),
        Some("rs" | "c") => line.trim_start().starts_with("//"),
        _ => line.trim_start().starts_with('#'),
    }
}

fn long_functions(file: &str, syntax: &syn::File, wrong: &mut Vec<String>) {
    Functions { file, wrong }.visit_file(syntax);
}

struct Functions<'a> {
    file: &'a str,
    wrong: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn check(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let lines = block.span().end().line + 1 - first;
        if lines > LINES_OF_A_FUNCTION {
            let (file, name) = (self.file, &signature.ident);
            self.wrong.push(format!("{file}:{first}: `{name}` has {lines} lines; {LINES_OF_A_FUNCTION} are the limit"));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.check(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.check(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}
