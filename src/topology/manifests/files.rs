//! Reading manifests: which files there are, and how much may be in them.

use std::collections::HashMap;
use std::path::Path;

use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Spanned, Text};
use crate::topology::text;
use crate::topology::yaml::{self, Node};

/// The documents of all files, each with the place where the topology names its file.
pub fn read(written: &[Spanned<Text>], folder: Option<&Path>, found: &mut Collector<'_>) -> Vec<Node> {
    let Some(folder) = folder else {
        let at = written.first().map_or(Span::default(), |first| first.span);
        let message = "manifests are files beside the topology file, and this one has no folder";
        found.add(Diagnostic::new(Code::UnreadableFile, at, message));
        return Vec::new();
    };
    let mut documents = Vec::new();
    let mut names: HashMap<&str, Span> = HashMap::new();
    let (mut values, mut size) = (yaml::NODES, text::MAX_SIZE);
    for Spanned { value: Text(name), span } in written {
        if let Some(first) = names.insert(name, *span) {
            let message = format!("the manifest {name} is named twice");
            found.add(Diagnostic::new(Code::NameTwice, *span, message).also(first, "first here"));
            continue;
        }
        let path = folder.join(name);
        let text = match text::read(&path, size) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                found.add(Diagnostic::new(Code::UnreadableFile, *span, message));
                continue;
            }
        };
        size = size.saturating_sub(text.len() as u64);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let begin = found.add_file(&path.display().to_string(), text);
        let more = yaml::read_documents((text, begin), values, found);
        values = values.saturating_sub(more.iter().map(Node::count).sum());
        documents.extend(more);
    }
    documents
}
