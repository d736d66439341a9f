//! A tree as the text of a topology file, in the style of those that are shipped: small things on one line, quotes
//! where they are needed. Reading the text gives the same tree. Knows YAML, but not what the file means.

use super::{Node, Value};

/// Longer lines are broken up.
const WIDTH: usize = 120;

/// The text. Keys stay in the order of the tree, since that has a meaning: a namespace's first address is the first
/// one.
pub(in crate::topology) fn emit(tree: &Node) -> String {
    let mut text = String::new();
    if let Value::Map(entries) = &tree.value {
        for (key, value) in entries {
            match &value.value {
                Value::Map(entries) if !entries.is_empty() => {
                    text += &format!("\n{}:\n", scalar(key, false));
                    map(entries, 2, &mut text);
                }
                Value::List(items) if !items.is_empty() => {
                    text += &format!("\n{}:\n", scalar(key, false));
                    list(items, 2, &mut text);
                }
                _ => entry(key, value, 0, &mut text),
            }
        }
    }
    text
}

fn map(entries: &[(Node, Node)], indent: usize, text: &mut String) {
    for (key, value) in entries {
        *text += &" ".repeat(indent);
        entry(key, value, indent, text);
    }
}

fn list(items: &[Node], indent: usize, text: &mut String) {
    for item in items {
        *text += &" ".repeat(indent);
        *text += "-";
        match &item.value {
            _ if on_one_line(item, indent + 2, text) => {}
            // The first entry is beside the dash.
            Value::Map(entries) => {
                for (n, (key, value)) in entries.iter().enumerate() {
                    *text += &" ".repeat(if n == 0 { 1 } else { indent + 2 });
                    entry(key, value, indent + 2, text);
                }
            }
            _ => below(item, indent, text),
        }
    }
}

/// A key and its value; the key begins where the text ends.
fn entry(key: &Node, value: &Node, indent: usize, text: &mut String) {
    let key = scalar(key, false);
    *text += &key;
    *text += ":";
    if !on_one_line(value, indent + key.chars().count() + 2, text) {
        below(value, indent, text);
    }
}

/// What has no room beside its key or dash.
fn below(node: &Node, indent: usize, text: &mut String) {
    match &node.value {
        Value::Scalar(lines) => literal(lines, indent + 2, text),
        Value::Map(entries) => {
            text.push('\n');
            map(entries, indent + 2, text);
        }
        Value::List(items) => {
            text.push('\n');
            list(items, indent + 2, text);
        }
        Value::Null => text.push('\n'),
    }
}

/// Puts a node on the line that the text ends with (`used` columns of it are taken) if it can stand there.
fn on_one_line(node: &Node, used: usize, text: &mut String) -> bool {
    let line = match &node.value {
        Value::Scalar(lines) if is_literal(lines) => return false,
        Value::Scalar(_) => scalar(node, false),
        Value::Null => return false,
        Value::List(_) | Value::Map(_) => match flow(node) {
            Some(line) if used + line.chars().count() <= WIDTH => line,
            _ => return false,
        },
    };
    *text += &format!(" {line}\n");
    true
}

/// A list of single values, or a map of those and of such lists, in brackets; nothing larger reads well on one line.
fn flow(node: &Node) -> Option<String> {
    let single = |node: &Node| match &node.value {
        Value::Scalar(lines) if !is_literal(lines) => Some(scalar(node, true)),
        _ => None,
    };
    match &node.value {
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(single).collect::<Option<_>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Map(entries) if entries.is_empty() => Some("{}".to_owned()),
        Value::Map(entries) => {
            let pair = |(key, value): &(Node, Node)| {
                let value = if matches!(value.value, Value::List(_)) { flow(value)? } else { single(value)? };
                Some(format!("{}: {value}", scalar(key, true)))
            };
            let entries: Vec<String> = entries.iter().map(pair).collect::<Option<_>>()?;
            Some(format!("{{ {} }}", entries.join(", ")))
        }
        Value::Scalar(_) | Value::Null => None,
    }
}

/// A single value, in quotes where it would be taken for something else.
fn scalar(node: &Node, in_flow: bool) -> String {
    let Value::Scalar(text) = &node.value else { return String::new() };
    if is_plain(text, in_flow) {
        return text.clone();
    }
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        c if is_printable(c) => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// Whether a text is itself without quotes. Those with several colons could stand without, but are IPv6 and hardware
/// addresses, which some readers of YAML take for numbers of base sixty.
fn is_plain(text: &str, in_flow: bool) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_alphanumeric() || "._/".contains(c));
    let special = matches!(text.to_ascii_lowercase().as_str(), "null" | "..." | ".") || text.ends_with([' ', ':']);
    let syntax = text.contains(": ") || text.contains(" #") || text.matches(':').count() > 1;
    let brackets = text.contains(['[', ']', '{', '}']) || (in_flow && text.contains(','));
    begins_well && !special && !syntax && !brackets && text.chars().all(is_printable)
}

/// Whether a text is below its key, line by line.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let lines_are_plain = body.lines().all(|line| line.is_empty() || !line.trim().is_empty());
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && lines_are_plain
        && body.chars().all(|c| c == '\n' || is_printable(c))
}

fn literal(lines: &str, indent: usize, text: &mut String) {
    *text += if lines.ends_with('\n') { " |\n" } else { " |-\n" };
    for line in lines.lines() {
        if !line.is_empty() {
            *text += &" ".repeat(indent);
            *text += line;
        }
        text.push('\n');
    }
}

/// Whether a character may stand in a YAML text as it is (YAML 1.2, rule 1, without what moves the cursor or is not
/// seen).
fn is_printable(c: char) -> bool {
    let invisible =
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{a0}');
    let outside = matches!(c, '\u{e000}'..='\u{f8ff}');
    !invisible && !outside
}
