//! What reaches a terminal: of text that others wrote (names, paths, words of programs), nothing that a terminal obeys.

use std::borrow::Cow;
use std::fmt::Write;

/// Marks that change in which direction text runs (Unicode, UAX #9), so that it shows something else than it is.
const DIRECTIONS: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// What the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For people; with colours of ours, or without.
    Text {
        /// Whether there may be colours in it.
        coloured: bool,
    },
    /// JSON, in which such characters are only in strings.
    Json,
}

/// A text in which what a terminal would obey is spelled out: `\u{1b}`, and in JSON as JSON spells it.
pub(super) fn printable(text: &str, kind: Kind) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_obeyed) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        let colour = if kind == (Kind::Text { coloured: true }) { colour(from) } else { "" };
        shown.push_str(colour);
        rest = from.get(colour.len()..).unwrap_or_default();
        if colour.is_empty()
            && let Some(c) = from.chars().next()
        {
            spell_out(&mut shown, c, kind);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    Cow::Owned(shown + rest)
}

fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || DIRECTIONS.contains(&c) || matches!(c, '\u{2028}' | '\u{2029}')
}

fn spell_out(shown: &mut String, c: char, kind: Kind) {
    match kind {
        // All of them are of the plane that JSON spells with four digits.
        Kind::Json => drop(write!(shown, "\\u{:04x}", u32::from(c))),
        Kind::Text { .. } => shown.extend(c.escape_unicode()),
    }
}

/// The colour that a text begins with: one of those that our output has (`ESC [ … m`), of which none hides text.
fn colour(text: &str) -> &str {
    let Some((codes, _)) = text.strip_prefix("\x1b[").and_then(|text| text.split_once('m')) else { return "" };
    let is_ours = |code: &str| matches!(code, "" | "0" | "1" | "2" | "4" | "31" | "32" | "33" | "34" | "35" | "36");
    let is_bright = codes.strip_prefix("38;5;").or(codes.strip_prefix("1;38;5;"));
    let is_colour = codes.split(';').all(is_ours)
        || is_bright.is_some_and(|number| number.parse().is_ok_and(|number: u8| (9..=15).contains(&number)))
        || matches!(codes, "91" | "92" | "93" | "94" | "95" | "96");
    if is_colour { text.get(.."\x1b[".len() + codes.len() + 1).unwrap_or_default() } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out() {
        for (text, shown) in [
            ("plain – ünïcode ✓\n\tnext", "plain – ünïcode ✓\n\tnext"),
            ("title \x1b]0;x\x07", "title \\u{1b}]0;x\\u{7}"),
            ("one \u{9b}31m", "one \\u{9b}31m"),
            ("back\u{202e}wards", "back\\u{202e}wards"),
            ("over\rwritten\x7f", "over\\u{d}written\\u{7f}"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
        ] {
            assert_eq!(printable(text, Kind::Text { coloured: false }), shown);
        }
    }

    #[test]
    fn colours_of_ours_stay_and_no_others() {
        let coloured = Kind::Text { coloured: true };
        for ours in ["\x1b[31mred\x1b[0m", "\x1b[1m\x1b[38;5;9merror\x1b[0m", "\x1b[1;32mgood\x1b[m"] {
            assert_eq!(printable(ours, coloured), ours);
        }
        for not_ours in
            ["\x1b[8mhidden", "\x1b[30m", "\x1b[38;5;0m", "\x1b[2J", "\x1b[1;1H", "\x1b", "\x1b[", "\x1b[31"]
        {
            assert!(printable(not_ours, coloured).starts_with("\\u{1b}"), "{not_ours:?}");
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::Value::String("a\u{9b}b\u{202e}c\x7f\x1b".to_owned());
        let text = serde_json::to_string(&value).unwrap();
        let shown = printable(&text, Kind::Json);
        assert!(!shown.contains(is_obeyed), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
