//! Scale: a name such as `h{1..100}` makes a hundred entries, and `{n}` in them counts.
//!
//! A pure function from tree to tree. Every node that it makes keeps the place of what was written, so that later
//! faults point at the file. The rules, which `docs/topology.md` explains:
//!
//! - In a key, a range makes many entries of that map.
//! - Elsewhere it makes many entries of the nearest list around it; a link's two ends are no list, but one thing.
//! - `{n}` is the number of the nearest range around it, and an entry has one range.
//! - `description` is prose and stays as it is.
//! - Below `run`, whatever else is in braces stays as it is: commands have braces of their own. So it does in the text
//!   of a server.
//!
//! Knows words in braces and lists and maps, but not what the file means.

mod word;

use std::collections::HashMap;

use self::word::{Count, Piece, Range};
use super::code::Code;
use super::diagnostics::{Collector, Diagnostic, Span};
use super::yaml::{NODES, Node, Value};

/// How many bytes of text the ranges of a file may make.
const BYTES: usize = 64 * 1024 * 1024;

/// After so many faults, what ranges make is not looked at any further.
const FAULTS: usize = 100_000;

/// The tree without scale words. None where the names of things cannot be known: their absence would be reported as
/// faults of everything that refers to them.
pub(super) fn expand(tree: Node, found: &mut Collector<'_>) -> Option<Node> {
    let Value::Map(entries) = &tree.value else { return Some(tree) };
    let mut expansion = Expansion { found, values: 0, bytes: 0, nameless: false, of_commands: false };
    let map = expansion.map(entries, Around::default(), is_prose)?;
    (!expansion.nameless).then_some(Node { value: Value::Map(map), span: tree.span })
}

/// Whether a key of the top level leads to prose, in which braces are braces.
fn is_prose(key: &str) -> bool {
    key == "description"
}

/// What surrounds a node.
#[derive(Clone, Copy, Default)]
struct Around {
    /// The number of the nearest range, and where that is written.
    count: Option<(Count, Span)>,
    /// Whether a range here is the one that is being counted.
    counted: bool,
}

struct Expansion<'f, 'a> {
    found: &'f mut Collector<'a>,
    /// What the ranges have made so far.
    values: usize,
    bytes: usize,
    /// Whether a key could not be read.
    nameless: bool,
    /// Whether this is a part of a program, or the text of a server.
    of_commands: bool,
}

/// Reading ends (`None`) where the file makes more than anybody can hold.
impl Expansion<'_, '_> {
    /// A node; `together` where a list is one thing rather than many.
    fn node(&mut self, node: &Node, around: Around, together: bool) -> Option<Node> {
        let value = match &node.value {
            Value::Null => Value::Null,
            Value::Scalar(text) => Value::Scalar(self.scalar(text, node.span, around)),
            Value::Map(entries) => Value::Map(self.map(entries, around, |_| false)?),
            Value::List(items) if together || self.of_commands => {
                Value::List(items.iter().map(|item| self.node(item, around, true)).collect::<Option<_>>()?)
            }
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    self.item(item, around, &mut list)?;
                }
                Value::List(list)
            }
        };
        let node = Node { value, span: node.span };
        self.weigh(&node, around)?;
        Some(node)
    }

    fn scalar(&mut self, text: &str, span: Span, around: Around) -> String {
        if !word::has_braces(text) {
            return text.to_owned();
        }
        let count = around.count.map(|(count, _)| count);
        if self.of_commands {
            return word::spell_counts(text, count, span);
        }
        let spelled = word::read(text, span).and_then(|pieces| word::spell(&pieces, count, around.counted, span));
        spelled.unwrap_or_else(|fault| {
            self.found.add(fault);
            self.found.spoil(span);
            text.to_owned()
        })
    }

    /// An entry of a list, as often as its range has numbers.
    fn item(&mut self, item: &Node, around: Around, list: &mut Vec<Node>) -> Option<()> {
        let mut ranges = Vec::new();
        gather(item, true, &mut ranges);
        let Some(((range, first), others)) = ranges.split_first() else {
            list.push(self.node(item, around, true)?);
            return Some(());
        };
        for (_, span) in others {
            self.found.add(two_ranges(*span, *first));
            self.found.spoil(*span);
        }
        for count in range.counts() {
            list.push(self.node(item, Around { count: Some((count, *first)), counted: true }, true)?);
        }
        Some(())
    }

    fn map(
        &mut self,
        entries: &[(Node, Node)],
        around: Around,
        is_prose: impl Fn(&str) -> bool,
    ) -> Option<Vec<(Node, Node)>> {
        let mut map = Vec::with_capacity(entries.len());
        let mut made = false;
        for (key, value) in entries {
            match &key.value {
                Value::Scalar(name) if is_prose(name) => map.push((key.clone(), value.clone())),
                Value::Scalar(name) if word::has_braces(name) => {
                    made = true;
                    self.named(name, key.span, value, around, &mut map)?;
                }
                Value::Scalar(name) => {
                    self.weigh(key, around)?;
                    let around_program = self.of_commands;
                    self.of_commands |= has_braces(name, value);
                    let value = self.node(value, around, name == "ends");
                    self.of_commands = around_program;
                    map.push((key.clone(), value?));
                }
                _ => map.push((self.node(key, around, true)?, self.node(value, around, false)?)),
            }
        }
        if made {
            self.twice(&map);
        }
        Some(map)
    }

    /// An entry of a map with a scale word in its key, as often as its range has numbers.
    fn named(
        &mut self,
        name: &str,
        span: Span,
        value: &Node,
        around: Around,
        map: &mut Vec<(Node, Node)>,
    ) -> Option<()> {
        let pieces = match word::read(name, span) {
            Ok(pieces) => pieces,
            Err(fault) => {
                self.lose(fault);
                return Some(());
            }
        };
        match word::ranges(&pieces).collect::<Vec<_>>().as_slice() {
            [] => self.entry(&pieces, span, value, [around; 2], map)?,
            [range] => {
                for count in range.counts() {
                    let of_key = Around { count: Some((count, span)), counted: true };
                    self.entry(&pieces, span, value, [of_key, Around { counted: false, ..of_key }], map)?;
                }
            }
            _ => self.lose(two_ranges(span, span)),
        }
        Some(())
    }

    /// One entry of a map; its key and its value may be surrounded by different things.
    fn entry(
        &mut self,
        name: &[Piece<'_>],
        span: Span,
        value: &Node,
        [of_key, of_value]: [Around; 2],
        map: &mut Vec<(Node, Node)>,
    ) -> Option<()> {
        match word::spell(name, of_key.count.map(|(count, _)| count), of_key.counted, span) {
            Ok(name) => {
                let key = Node { value: Value::Scalar(name), span };
                self.weigh(&key, of_key)?;
                map.push((key, self.node(value, of_value, false)?));
            }
            Err(fault) => {
                self.lose(fault);
                // What has no name is made as well: ranges within ranges would count without an end.
                self.weigh(value, of_key)?;
            }
        }
        Some(())
    }

    /// A fault of a key: what it names is not known.
    fn lose(&mut self, fault: Diagnostic) {
        self.found.add(fault);
        self.nameless = true;
    }

    /// Names that ranges made must be as different as those that are written out.
    fn twice(&mut self, map: &[(Node, Node)]) {
        let mut first: HashMap<&str, Span> = HashMap::new();
        for (key, _) in map {
            let Value::Scalar(name) = &key.value else { continue };
            if let Some(first) = first.insert(name, key.span) {
                let message = format!("duplicate key `{name}`");
                self.found.add(Diagnostic::new(Code::KeyTwice, key.span, message).also(first, "first here"));
            }
        }
    }

    /// Counts what a range has made.
    fn weigh(&mut self, node: &Node, around: Around) -> Option<()> {
        let Some((_, span)) = around.count else { return Some(()) };
        if self.found.count() > FAULTS {
            return None;
        }
        self.values += 1;
        if let Value::Scalar(text) = &node.value {
            self.bytes += text.len();
        }
        if self.values <= NODES && self.bytes <= BYTES {
            return Some(());
        }
        let message = match self.values > NODES {
            true => format!("with what this range makes, the file holds more than {NODES} values"),
            false => format!("with what this range makes, the file holds more than {BYTES} bytes"),
        };
        self.found.add(Diagnostic::new(Code::TooMany, span, message));
        None
    }
}

fn two_ranges(span: Span, first: Span) -> Diagnostic {
    let help = "write `{n}` where the number of the first one is meant; for every pair of two, put each range into a list \
        of its own: `from: [\"h{1..3}\"]`";
    let fault = Diagnostic::new(Code::SecondRange, span, "a second range in one entry").help(help.to_owned());
    if span == first { fault } else { fault.also(first, "the first") }
}

/// The ranges that make many of a list's entry: those in it that no name and no list within it has for itself.
fn gather(node: &Node, together: bool, ranges: &mut Vec<(Range, Span)>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(text) if word::has_braces(text) => {
            // What cannot be read is reported when the text is spelled.
            if let Ok(pieces) = word::read(text, node.span) {
                ranges.extend(word::ranges(&pieces).map(|range| (range, node.span)));
            }
        }
        Value::Scalar(_) => {}
        Value::List(items) if together => items.iter().for_each(|item| gather(item, true, ranges)),
        Value::List(_) => {}
        Value::Map(entries) => {
            for (key, value) in entries {
                let Value::Scalar(name) = &key.value else { continue };
                let counts = word::read(name, key.span).is_ok_and(|pieces| word::ranges(&pieces).next().is_some());
                if !counts && !has_braces(name, value) {
                    gather(value, name == "ends", ranges);
                }
            }
        }
    }
}

/// Whether braces below a key are a program's, or of the text that a server answers.
fn has_braces(key: &str, value: &Node) -> bool {
    key == "run" || key == "text" && matches!(value.value, Value::Scalar(_))
}
