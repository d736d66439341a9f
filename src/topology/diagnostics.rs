//! Diagnostics of a topology file: where they are, what is wrong, what to write instead.
//!
//! Reading and resolving never stop at a fault: they put it into [`Collector`] and go on, so that one run lists them
//! all. Knows nothing of what the file is about.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use schemars::JsonSchema;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::code::Code;
use super::sources::Sources;
pub(super) use super::sources::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and surely does not do what was meant.
    Warning,
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// The kind of mistake, to search for.
    pub code: Code,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The file in which it is, if that is not the topology file but one of its manifests.
    pub manifest: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead, or where to look.
    pub help: Option<String>,
    pub(super) span: Span,
    /// Another place that has to do with it, and what is there.
    pub(super) also: Option<Box<(Span, String)>>,
}

/// What there is to say about one file, in the order of its lines: why it cannot be used, or warnings. Displayed, it is
/// [`Diagnostics::render`] without colour; serialised, a list of objects with `file`, `line`, `column`, `severity`,
/// `code`, `message` and `help`.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    pub(super) sources: Box<Sources<'static>>,
    pub(super) list: Vec<Diagnostic>,
    /// How many more there are that are not listed.
    pub(super) more: usize,
}

/// The faults found so far.
pub(super) struct Collector<'a> {
    sources: Sources<'a>,
    list: Vec<Diagnostic>,
    /// The faults of the list by their places and their words, without what is counted in these.
    kinds: HashMap<(Span, String), Kind>,
    /// Places of which everything is said.
    spoilt: HashSet<Span>,
    more: usize,
    /// How many there were in all, kept or not.
    count: usize,
}

/// Diagnostics of one place that differ in what is counted.
struct Kind {
    /// Where in the list the first is.
    at: usize,
    /// The messages of all, as hashes.
    messages: HashSet<u64>,
}

/// Messages end after so many characters.
const LONGEST: usize = 400;
/// More are counted, but no longer kept: no one reads so many, and a hostile file has millions.
const KEPT: usize = 1000;
/// Comparing names takes time, and help is read for the first faults only.
const SUGGESTED: usize = 100;
/// So many names are compared with one that is not known.
const COMPARED: usize = 10_000;

impl Diagnostic {
    pub(super) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let (severity, message) = (Severity::Error, shortened(message.into()));
        Self { severity, code, line: 0, column: 0, manifest: None, message, help: None, span, also: None }
    }

    /// What is legal, and surely a mistake.
    pub(super) fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(code, span, message) }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into().map(shortened);
        self
    }

    /// The same of a file that begins there.
    #[must_use]
    pub(super) fn behind(mut self, begin: usize) -> Self {
        self.span = self.span.behind(begin);
        if let Some(also) = &mut self.also {
            also.0 = also.0.behind(begin);
        }
        self
    }

    /// Shows another place as well, if it is one: what a range makes twice is in the file once.
    #[must_use]
    pub(super) fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = (span != self.span).then(|| Box::new((span, label.into())));
        self
    }
}

/// A message with the beginning of what it quotes: a file may hold words of megabytes.
fn shortened(mut message: String) -> String {
    // Most are short, and a range can make a million of them: their characters are not counted.
    if message.len() > LONGEST
        && let Some((cut, _)) = message.char_indices().nth(LONGEST)
    {
        message.truncate(cut);
        message.push('…');
    }
    message
}

impl<'a> Collector<'a> {
    /// For a file of this name and text.
    pub(super) fn new(name: &str, text: &'a str) -> Self {
        let (kinds, spoilt) = (HashMap::new(), HashSet::new());
        Self { sources: Sources::new(name, text), list: Vec::new(), kinds, spoilt, more: 0, count: 0 }
    }

    /// Goes on with another file, and says where its pieces begin.
    pub(super) fn add_file(&mut self, name: &str, text: &str) -> usize {
        self.sources.add(name, text)
    }

    /// Whether there is more than the topology file.
    pub(super) fn has_manifests(&self) -> bool {
        self.sources.has_more()
    }

    /// Puts a fault down. What is used twice (through an alias, by both ends of a link) is wrong once, and so is what a
    /// range makes a hundred of.
    pub(super) fn add(&mut self, fault: Diagnostic) {
        self.count += 1;
        self.tell(fault);
    }

    /// Puts a fault down that leaves what it is about whole: it is read on as if there were none.
    pub(super) fn tell(&mut self, fault: Diagnostic) {
        if self.spoilt.contains(&fault.span) {
            return;
        }
        let kind = (fault.span, without_counts(&fault.message));
        let message = hash(&fault.message);
        if let Some(kind) = self.kinds.get_mut(&kind) {
            kind.messages.insert(message);
        } else if self.list.len() < KEPT {
            self.kinds.insert(kind, Kind { at: self.list.len(), messages: HashSet::from([message]) });
            self.list.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// Everything is said of a place: what is found there from now on follows from that.
    pub(super) fn spoil(&mut self, span: Span) {
        self.spoilt.insert(span);
    }

    /// How many there are: a reader that sees this unchanged has read its part whole.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// "did you mean `x`?", where one of the names is close to the word.
    pub(super) fn did_you_mean<N: AsRef<str>>(&self, word: &str, names: impl IntoIterator<Item = N>) -> Option<String> {
        if self.count() > SUGGESTED {
            return None;
        }
        nearest(word, names.into_iter().take(COMPARED)).map(|name| format!("did you mean `{name}`?"))
    }

    /// The line of a place, counted from 1.
    pub(super) fn line(&self, span: Span) -> usize {
        self.place(span).0
    }

    /// The line of a place and its column in characters, both counted from 1.
    pub(super) fn place(&self, span: Span) -> (usize, usize) {
        self.sources.of(span).place(span)
    }

    /// A place with its file: `lab.yaml:5:7`.
    pub(super) fn full_place(&self, span: Span) -> String {
        let source = self.sources.of(span);
        let (line, column) = source.place(span);
        format!("{}:{line}:{column}", source.name)
    }

    /// What is written at a place.
    pub(super) fn written(&self, span: Span) -> &str {
        self.sources.of(span).written(span)
    }

    /// The manifest in which a place is; none: it is in the topology file.
    pub(super) fn manifest(&self, span: Span) -> Option<String> {
        let source = self.sources.of(span);
        (!source.is_first()).then(|| source.name.clone())
    }

    /// Whether there is anything because of which the file cannot be used.
    pub(super) fn has_faults(&self) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// What the file describes if it has no fault, with the warnings; else all of them.
    pub(super) fn finish<T>(mut self, described: Option<T>) -> Result<(T, Diagnostics), Diagnostics> {
        match described {
            Some(described) if !self.has_faults() => return Ok((described, self.into_diagnostics())),
            None if !self.has_faults() => {
                self.add(Diagnostic::new(Code::EmptyFile, Span::default(), "this file describes no lab"));
            }
            _ => {}
        }
        Err(self.into_diagnostics())
    }

    fn into_diagnostics(mut self) -> Diagnostics {
        let mut list = std::mem::take(&mut self.list);
        for Kind { at, messages } in self.kinds.values().filter(|kind| kind.messages.len() > 1) {
            if let Some(fault) = list.get_mut(*at) {
                fault.message += &format!(" (and {} more like this from here)", messages.len() - 1);
            }
        }
        list.sort_by_key(|fault| fault.span.start);
        for fault in &mut list {
            (fault.line, fault.column) = self.place(fault.span);
            fault.manifest = self.manifest(fault.span);
        }
        Diagnostics { sources: Box::new(self.sources.into_owned()), list, more: self.more }
    }
}

fn hash(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

/// A message with `#` for every word that holds a digit or is an address.
fn without_counts(message: &str) -> String {
    let words = message.split(' ').map(|word| {
        let counted = word.contains("::") || word.bytes().any(|byte| byte.is_ascii_digit());
        if counted { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The name that is closest to a word, if it is close enough to be what was meant.
pub fn nearest<N: AsRef<str>>(word: &str, names: impl Iterator<Item = N>) -> Option<String> {
    let within = (word.len() / 3).clamp(1, 4);
    names
        .filter(|name| name.as_ref().len().abs_diff(word.len()) <= within)
        .map(|name| (strsim::osa_distance(word, name.as_ref()), name.as_ref().to_owned()))
        .filter(|(distance, _)| *distance <= within)
        .min()
        .map(|(_, name)| name)
}

impl Diagnostics {
    /// All of them, in the order of the file's lines: the first thousand, if there are more.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Adds that what begins on a line of the topology file is legal, and surely a mistake.
    pub fn warn(&mut self, line: usize, code: Code, message: &str, help: Option<String>) {
        let span = self.sources.first().line_span(line);
        let warning = Diagnostic::warning(code, span, message).help(help);
        let (line, column) = self.sources.first().place(span);
        let at = self.list.partition_point(|one| one.span.start <= span.start);
        self.list.insert(at, Diagnostic { line, column, ..warning });
    }

    /// The same, with every warning a fault.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.list.iter_mut().for_each(|one| one.severity = Severity::Error);
        self
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct InFile<'a> {
            file: &'a str,
            line: usize,
            column: usize,
            severity: Severity,
            code: Code,
            message: &'a str,
            help: Option<&'a str>,
        }
        let mut list = s.serialize_seq(Some(self.list.len()))?;
        for fault in &self.list {
            list.serialize_element(&InFile {
                file: fault.manifest.as_ref().unwrap_or(&self.sources.first().name),
                line: fault.line,
                column: fault.column,
                severity: fault.severity,
                code: fault.code,
                message: &fault.message,
                help: fault.help.as_deref(),
            })?;
        }
        list.end()
    }
}
