//! The files that a lab is read from, one behind the other: the topology file first, then its manifests. So one number
//! says where something is, and in which file. Knows nothing of what is in them.

use std::borrow::Cow;

/// A piece of the file, in bytes from its beginning; or of one of its manifests, which begin behind it ([`Sources`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// The same piece of a file that begins there.
    pub fn behind(self, begin: usize) -> Self {
        Self { start: begin + self.start, end: begin + self.end }
    }
}

/// The files, of which there is at least one.
#[derive(Debug, Clone)]
pub(super) struct Sources<'a> {
    first: Source<'a>,
    more: Vec<Source<'a>>,
}

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Source<'a> {
    /// What messages call it.
    pub name: String,
    pub text: Cow<'a, str>,
    /// Where it begins.
    start: usize,
    lines: Lines,
}

/// Where each line of a file begins. Looked up, as counting up to every fault anew takes minutes in a file of
/// megabytes.
#[derive(Debug, Clone)]
struct Lines(Vec<usize>);

impl<'a> Sources<'a> {
    pub fn new(name: &str, text: &'a str) -> Self {
        Self { first: Source::new(name, Cow::Borrowed(text), 0), more: Vec::new() }
    }

    /// Adds a file, and says where it begins.
    pub fn add(&mut self, name: &str, text: &str) -> usize {
        let last = self.more.last().unwrap_or(&self.first);
        // One byte is left between them, so that the end of one file is not the beginning of the next.
        let start = last.start + last.text.len() + 1;
        self.more.push(Source::new(name, Cow::Owned(text.to_owned()), start));
        start
    }

    /// Whether there is more than one.
    pub fn has_more(&self) -> bool {
        !self.more.is_empty()
    }

    /// The topology file.
    pub fn first(&self) -> &Source<'a> {
        &self.first
    }

    /// The file in which a piece is.
    pub fn of(&self, span: Span) -> &Source<'a> {
        let before = self.more.partition_point(|source| source.start <= span.start);
        before.checked_sub(1).and_then(|at| self.more.get(at)).unwrap_or(&self.first)
    }

    pub fn into_owned(self) -> Sources<'static> {
        Sources { first: self.first.into_owned(), more: self.more.into_iter().map(Source::into_owned).collect() }
    }
}

impl<'a> Source<'a> {
    /// What is written at a place in it.
    pub fn written(&self, span: Span) -> &str {
        self.text.get(span.start.saturating_sub(self.start)..span.end.saturating_sub(self.start)).unwrap_or_default()
    }

    fn new(name: &str, text: Cow<'a, str>, start: usize) -> Self {
        Self { name: name.to_owned(), lines: Lines::of(&text), text, start }
    }

    /// Whether it is the topology file.
    pub fn is_first(&self) -> bool {
        self.start == 0
    }

    /// A piece of all files as one of this file.
    pub fn own(&self, span: Span) -> Span {
        Span { start: span.start.saturating_sub(self.start), end: span.end.saturating_sub(self.start) }
    }

    /// The line, counted from 1, on which a byte of this file is, and where it begins.
    pub fn line(&self, at: usize) -> (usize, usize) {
        self.lines.line(at)
    }

    /// What is written on a line, counted from 1, without what it begins and ends with.
    pub fn line_span(&self, line: usize) -> Span {
        let begin = line.checked_sub(1).and_then(|at| self.lines.0.get(at)).copied().unwrap_or(self.text.len());
        let text = self.text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let written = text.trim_start_matches([' ', '-']).trim_end();
        let start = self.start + begin + text.len() - text.trim_start_matches([' ', '-']).len();
        Span { start, end: start + written.len() }
    }

    /// The line of a piece of all files and its column in characters, both counted from 1.
    pub fn place(&self, span: Span) -> (usize, usize) {
        let start = self.own(span).start;
        let (line, line_start) = self.line(start);
        let before = self.text.get(line_start..start);
        (line, before.map_or(0, |before| before.chars().count()) + 1)
    }

    fn into_owned(self) -> Source<'static> {
        let Self { name, text, start, lines } = self;
        Source { name, text: Cow::Owned(text.into_owned()), start, lines }
    }
}

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn line(&self, at: usize) -> (usize, usize) {
        let line = self.0.partition_point(|&begin| begin <= at);
        (line, self.0.get(line.saturating_sub(1)).copied().unwrap_or_default())
    }
}
