//! Reading typed values out of the YAML tree: lists, maps with names, and maps with known keys. Every fault is put
//! down and reading goes on with what is left.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::scalar::Scalar;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::yaml::{Node, Value};

/// Words for which a file of nslab has another key.
const SYNONYMS: [(&str, &str); 11] = [
    ("about", "description"),
    ("bytes", "size"),
    ("device", "dev"),
    ("dont_fragment", "df"),
    ("gateway", "via"),
    ("gw", "via"),
    ("interface", "dev"),
    ("src", "source"),
    ("via", "protocol"),
    ("wait", "timeout"),
    ("within", "timeout"),
];

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl Spanned<bool> {
    /// Whether an option is on, where the author may leave it out.
    pub fn is_on(written: Option<&Self>, by_default: bool) -> bool {
        written.map_or(by_default, |flag| flag.value)
    }
}

/// A map from names to things, in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<K, V> {
    pub entries: Vec<(Spanned<K>, V)>,
    /// The names of things that could not be read: their mistakes are reported already, so that they are not reported
    /// as missing.
    pub lost: Vec<String>,
}

/// A single thing, or a list of them.
#[derive(Debug, Clone)]
pub struct OneOrMany<T>(pub Vec<T>);

/// Something that can be read from the tree.
pub trait Read: Sized {
    /// Reads it; none where it cannot be used at all, which has been put down as a fault.
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self>;
}

impl<T: Scalar> Read for Spanned<T> {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let (code, wrong) = match &node.value {
            Value::Scalar(text) => match T::parse(text) {
                Ok(value) => return Some(Self { value, span: node.span }),
                Err(wrong) => {
                    return refuse(found, Diagnostic::new(Code::BadValue, node.span, wrong.message).help(wrong.help));
                }
            },
            Value::Null => (Code::MissingValue, format!("missing value: expected {}", T::WHAT)),
            Value::List(_) => (Code::WrongShape, format!("expected {}, found a list", T::WHAT)),
            Value::Map(_) => (Code::WrongShape, format!("expected {}, found a map", T::WHAT)),
        };
        refuse(found, Diagnostic::new(code, head(node), wrong).help(unquoted(node)))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self::new()),
            Value::List(items) => Some(items.iter().filter_map(|item| T::read(item, found)).collect()),
            Value::Scalar(text) => {
                let help = match text.starts_with('-') {
                    true => "put a space behind each dash: `- …`".to_owned(),
                    false => format!("write [{text}], or put each entry on a line of its own after a dash"),
                };
                refuse(
                    found,
                    Diagnostic::new(Code::WrongShape, node.span, "expected a list, found a single value").help(help),
                )
            }
            Value::Map(_) => {
                let fault = Diagnostic::new(Code::WrongShape, head(node), "expected a list, found a map");
                refuse(found, fault.help("begin each entry with a dash: `- …`".to_owned()))
            }
        }
    }
}

impl<T: Read> Read for OneOrMany<T> {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        match &node.value {
            Value::List(items) => Some(Self(items.iter().filter_map(|item| T::read(item, found)).collect())),
            _ => T::read(node, found).map(|one| Self(vec![one])),
        }
    }
}

impl<K: Scalar, V: Read> Read for Named<K, V> {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Null => return Some(Self::default()),
            Value::Map(entries) => entries,
            Value::List(_) => {
                let fault = Diagnostic::new(Code::WrongShape, head(node), "expected a map of names, found a list");
                return refuse(found, fault.help("write `NAME:` without a dash".to_owned()));
            }
            Value::Scalar(_) => {
                return refuse(
                    found,
                    Diagnostic::new(Code::WrongShape, node.span, "expected a map of names, found a single value"),
                );
            }
        };
        let mut named = Self::default();
        for (key, value) in entries {
            // The value is read even where its name is no good: its faults are to be listed, too.
            match (Spanned::read(key, found), V::read(value, found), &key.value) {
                (Some(name), Some(value), _) => named.entries.push((name, value)),
                (_, _, Value::Scalar(text)) => named.lost.push(text.clone()),
                _ => {}
            }
        }
        Some(named)
    }
}

impl<K, V> Default for Named<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), lost: Vec::new() }
    }
}

/// What to write where YAML took a scale word (`{10 + n}`) for a map of one key.
fn unquoted(node: &Node) -> Option<String> {
    match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [(Node { value: Value::Scalar(word), .. }, Node { value: Value::Null, .. })] => {
                Some(format!("quote a word that begins with a brace: \"{{{word}}}\""))
            }
            _ => None,
        },
        _ => None,
    }
}

fn refuse<T>(found: &mut Collector<'_>, fault: Diagnostic) -> Option<T> {
    found.add(fault);
    None
}

/// The piece to underline: lists and maps go over many lines, of which the first says enough.
pub(super) fn head(node: &Node) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
        Value::List(items) => items.first().map_or(node.span, head),
        Value::Null | Value::Scalar(_) => node.span,
    }
}

/// A map with known keys that is being read. [`Fields::end`] finds the keys that are not known.
pub(super) struct Fields<'n, 'f, 'a> {
    what: &'static str,
    entries: &'n [(Node, Node)],
    known: Vec<&'static str>,
    span: Span,
    pub found: &'f mut Collector<'a>,
}

impl<'n, 'f, 'a> Fields<'n, 'f, 'a> {
    /// Begins to read; `what` is what the map describes: "an interface". Nothing at all is an empty map.
    pub fn begin(node: &'n Node, what: &'static str, found: &'f mut Collector<'a>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            Value::Scalar(_) | Value::List(_) => {
                let message = format!("{what} is a map: `key: value`, or {{ key: value }}");
                return refuse(found, Diagnostic::new(Code::WrongShape, head(node), message));
            }
        };
        Some(Self { what, entries, known: Vec::new(), span: head(node), found })
    }

    fn value(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        let (_, value) = self.entries.iter().find(|(name, _)| is(name, key))?;
        (!matches!(value.value, Value::Null)).then_some(value)
    }

    /// Whether there is a key, which this reader knows and leaves to others.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    /// The value of a key; a key without a value is as good as none.
    pub fn optional<T: Read>(&mut self, key: &'static str) -> Option<T> {
        let value = self.value(key)?;
        T::read(value, self.found)
    }

    /// The value of a key, or nothing of its kind.
    pub fn or_empty<T: Read + Default>(&mut self, key: &'static str) -> T {
        self.optional(key).unwrap_or_default()
    }

    /// The value of a required key.
    pub fn required<T: Read>(&mut self, key: &'static str) -> Option<T> {
        match self.value(key) {
            Some(value) => T::read(value, self.found),
            None => {
                refuse(self.found, Diagnostic::new(Code::MissingKey, self.span, format!("{} needs `{key}`", self.what)))
            }
        }
    }

    /// What to underline for a fault of the whole map.
    pub fn head(&self) -> Span {
        self.span
    }

    /// "did you mean `x`?", where another tool or an earlier version says so for one of the keys.
    fn synonym(&self, text: &str) -> Option<String> {
        let (_, key) = SYNONYMS.iter().find(|(other, key)| *other == text && self.known.contains(key))?;
        Some(format!("did you mean `{key}`?"))
    }

    /// Every key has been asked for: the others are unknown.
    pub fn end(self) {
        for (key, _) in self.entries {
            if self.known.iter().any(|known| is(key, known)) {
                continue;
            }
            let Value::Scalar(text) = &key.value else {
                self.found.add(Diagnostic::new(Code::WrongShape, head(key), "a key is a single word"));
                continue;
            };
            let help = (self.synonym(text))
                .or_else(|| self.found.did_you_mean(text, self.known.iter().copied()))
                .unwrap_or_else(|| format!("its keys are {}", self.known.join(", ")));
            self.found.add(
                Diagnostic::new(Code::UnknownKey, key.span, format!("unknown key `{text}` in {}", self.what))
                    .help(help),
            );
        }
    }
}

fn is(key: &Node, name: &str) -> bool {
    matches!(&key.value, Value::Scalar(text) if text == name)
}

impl<T: Scalar> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::WHAT.into()
    }

    /// A scale word may stand wherever one value does; it has become that value when the file is read.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let schema = T::schema();
        let is_any_text = schema.get("type").is_some_and(|kind| kind == "string")
            && ["pattern", "enum"].iter().all(|limit| schema.get(*limit).is_none());
        if is_any_text {
            return schema;
        }
        schemars::json_schema!({ "anyOf": [schema, { "type": "string", "pattern": r"\{[^{}]+\}" }] })
    }
}

impl<K, V: JsonSchema> JsonSchema for Named<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map of {}", V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<V>();
        schemars::json_schema!({ "type": "object", "additionalProperties": { "anyOf": [value, { "type": "null" }] } })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("One or many of {}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
