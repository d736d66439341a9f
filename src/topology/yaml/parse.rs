//! From the text of a file to the tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location};

use super::errors;
use super::limits::{DEPTH, MANIFEST_DEPTH, NODES};
use super::node::{Node, Value};
use crate::topology::diagnostics::{Collector, Span};

/// Reads the tree. What is no YAML ends it; a duplicate key is a fault, and its first value counts.
pub(in crate::topology) fn read(text: &str, found: &mut Collector<'_>) -> Option<Node> {
    match parse(text, DuplicateKeyPolicy::Error) {
        Ok(tree) => Some(tree),
        Err(error) => {
            let twice = matches!(error.without_snippet(), Error::DuplicateMappingKey { .. });
            found.add(errors::fault(text, &error));
            if twice { parse(text, DuplicateKeyPolicy::FirstWins).ok() } else { None }
        }
    }
}

/// Reads the documents of a manifest, of `most` values at most; it begins at a place behind all that was read before.
/// Documents in which nothing is are left out.
pub(in crate::topology) fn read_documents(
    (text, begin): (&str, usize),
    most: usize,
    found: &mut Collector<'_>,
) -> Vec<Node> {
    let read = |duplicate_keys| {
        let options = options(duplicate_keys, MANIFEST_DEPTH, most);
        serde_saphyr::from_multiple_with_options::<serde_saphyr::Spanned<Raw>>(text, options)
    };
    let raw = read(DuplicateKeyPolicy::Error).or_else(|error| {
        let twice = matches!(error.without_snippet(), Error::DuplicateMappingKey { .. });
        found.add(errors::fault(text, &error).behind(begin));
        if twice { read(DuplicateKeyPolicy::FirstWins) } else { Err(error) }
    });
    let mut documents: Vec<Node> = raw.unwrap_or_default().into_iter().map(|raw| Node::new(raw, text)).collect();
    documents.iter_mut().for_each(|document| document.move_behind(begin));
    documents
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Node, Error> {
    let options = options(duplicate_keys, DEPTH, NODES);
    let raw: serde_saphyr::Spanned<Raw> = serde_saphyr::from_str_with_options(text, options)?;
    Ok(Node::new(raw, text))
}

fn options(duplicate_keys: DuplicateKeyPolicy, depth: usize, nodes: usize) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 3 * nodes,
            max_nodes: nodes,
            max_depth: depth,
            flow_nesting_limit: depth,
            // Many namespaces may well share one anchor; what aliases repeat is limited below.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: nodes,
        },
        duplicate_keys: duplicate_keys,
        emit_comments: false,
        with_snippet: false,
    }
}

/// A value as serde hands it over. A scalar that YAML takes for a number or a truth value has lost its spelling; it is
/// [`Raw::Typed`], and its text is taken from the file.
enum Raw {
    Null,
    Text(String),
    Typed,
    List(Vec<serde_saphyr::Spanned<Raw>>),
    Map(Vec<(serde_saphyr::Spanned<Raw>, serde_saphyr::Spanned<Raw>)>),
}

impl Node {
    fn new(raw: serde_saphyr::Spanned<Raw>, text: &str) -> Self {
        let mut span = place(raw.defined);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(scalar) => Value::Scalar(scalar),
            Raw::Typed => Value::Scalar(text.get(span.start..span.end).unwrap_or_default().trim().to_owned()),
            Raw::List(items) => Value::List(items.into_iter().map(|item| Self::new(item, text)).collect()),
            Raw::Map(entries) => Value::Map(
                entries.into_iter().map(|(key, value)| (Self::new(key, text), Self::new(value, text))).collect(),
            ),
        };
        // YAML's reader gives lists and maps a beginning only.
        let last = match &value {
            Value::List(items) => items.last(),
            Value::Map(entries) => entries.last().map(|(_, value)| value),
            Value::Null | Value::Scalar(_) => None,
        };
        span.end = span.end.max(last.map_or(0, |last| last.span.end));
        Self { value, span }
    }
}

/// A place as the YAML reader gives it.
fn place(location: Location) -> Span {
    let span = location.span();
    let start = span.byte_offset().unwrap_or_default() as usize;
    Span { start, end: start + span.byte_len().unwrap_or_default() as usize }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_spelling_and_their_place() {
        let text = "a: 0x10\nb: [1e3, yes, 'é: x', 192.168.15.1/24, 12:34]\n";
        let mut found = Collector::new("a.yaml", text);
        let tree = read(text, &mut found).unwrap();
        let Value::Map(entries) = tree.value else { panic!("a map") };
        let Value::Scalar(a) = &entries[0].1.value else { panic!("a scalar") };
        assert_eq!(a, "0x10");
        let Value::List(items) = &entries[1].1.value else { panic!("a list") };
        let seen: Vec<_> = items
            .iter()
            .map(|item| {
                let Value::Scalar(scalar) = &item.value else { panic!("a scalar") };
                (scalar.as_str(), &text[item.span.start..item.span.end])
            })
            .collect();
        let expected = [
            ("1e3", "1e3"),
            ("yes", "yes"),
            ("é: x", "'é: x'"),
            ("192.168.15.1/24", "192.168.15.1/24"),
            ("12:34", "12:34"),
        ];
        assert_eq!(seen, expected);
        assert_eq!(&text[entries[0].0.span.start..entries[0].0.span.end], "a");
    }
}
