//! What is wrong with a file that is no YAML: the YAML reader's faults, in words that say what to write. Knows nothing
//! of what the file is about.

use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::localizer::ExternalMessageSource;
use serde_saphyr::{Error, Location};

use super::limits::NODES;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Diagnostic, Span};

const NESTING: &str = "lists and maps are nested too deep";
const REPETITION: &str = "aliases (`*name`) repeat too much here";

/// The fault that the YAML reader reports.
pub(super) fn fault(text: &str, error: &Error) -> Diagnostic {
    let span = error.location().map_or(Span::default(), |location| place(text, location));
    let error = match error.without_snippet() {
        Error::AliasError { error, .. } => error,
        other => other,
    };
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("this key");
            Diagnostic::new(Code::KeyTwice, span, format!("duplicate key `{key}`"))
                .help("a map has each key once; put both values under one key".to_owned())
        }
        Error::MultipleDocuments { .. } => {
            Diagnostic::new(Code::SecondDocument, span, "a second YAML document begins here; a file describes one lab")
        }
        Error::Eof { .. } => Diagnostic::new(Code::NotYaml, span, "the file ends too early"),
        Error::Budget { breach, .. } => Diagnostic::new(Code::TooMany, span, too_much(breach)),
        Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } => {
            Diagnostic::new(Code::TooMany, span, REPETITION)
        }
        Error::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(scan) => of_kind(scan.kind(), text, span),
            _ => None,
        }
        .unwrap_or_else(|| other(span, &error.render())),
        error => other(span, &error.render()),
    }
}

/// What the YAML reader says in its own words, without the place at its end: nslab prints its own.
fn other(span: Span, message: &str) -> Diagnostic {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.split(" at line ").next().unwrap_or(message).trim();
    Diagnostic::new(Code::NotYaml, span, format!("invalid YAML: {message}"))
}

/// The faults that are made most often.
fn of_kind(kind: &ErrorKind, text: &str, span: Span) -> Option<Diagnostic> {
    let line = Line::of(text, span);
    let report = |message: &str, help: &str| Some(Diagnostic::new(Code::NotYaml, span, message).help(help.to_owned()));
    match kind {
        ErrorKind::RecursionLimitExceeded => Some(Diagnostic::new(Code::TooMany, span, NESTING)),
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => {
            report("there is a tab before this", "YAML is indented with spaces: replace the tab by spaces")
        }
        ErrorKind::ExpectedBlockMappingKey => match line.before.trim() {
            "" => report(NO_LEVEL, "all keys of a map begin in the same column"),
            "-" => report("a list entry among the keys of a map", "a map has keys, a list has dashes; do not mix them"),
            _ => report("this line goes on where its value has ended", "put each key on a line of its own"),
        },
        ErrorKind::ExpectedBlockSequenceEntry if line.behind.starts_with('-') => {
            report(NO_LEVEL, "all entries of a list begin in the same column")
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            report("a dash is missing before this", "a map has keys, a list has dashes; do not mix them")
        }
        ErrorKind::MappingValueNotAllowed if line.before.contains(": ") => {
            report("there is a second colon in this line", "put a text that holds a colon and a space into quotes")
        }
        ErrorKind::MappingValueNotAllowed => report(
            "unexpected key: the line above lacks its colon, or this line is indented too far",
            "all keys of a map begin in the same column",
        ),
        ErrorKind::SimpleKeyExpected => {
            let word = line.behind.split(' ').next().unwrap_or_default();
            let help = "a key ends in a colon, and a space follows: `KEY: VALUE`";
            report(&format!("expected `KEY: VALUE`, found `{word}`"), help)
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => report(
            "a list with dashes cannot begin here",
            "put each entry on a line of its own after a dash, or write [a, b]",
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            report(&format!("a word cannot begin with {character:?}"), "put it into quotes")
        }
        other => of_brackets(other, text, span).or_else(|| of_quotes(other, span)),
    }
}

const NO_LEVEL: &str = "this line is indented unlike any line above it";

/// Diagnostics in lists and maps of one line.
fn of_brackets(kind: &ErrorKind, text: &str, span: Span) -> Option<Diagnostic> {
    match kind {
        ErrorKind::UnclosedFlowCollection { open } => {
            Some(Diagnostic::new(Code::NotYaml, span, format!("this `{open}` is never closed")))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            let help = format!("write `{}` before the `{close}`", if *open == '[' { ']' } else { '}' });
            Some(Diagnostic::new(Code::NotYaml, span, format!("this `{open}` is closed by `{close}`")).help(help))
        }
        ErrorKind::MisplacedFlowCollectionEnd => {
            Some(Diagnostic::new(Code::NotYaml, span, "this bracket closes nothing"))
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            let fault = Diagnostic::new(Code::NotYaml, span, "a `,`, a `:` or a `}` is missing before this");
            Some(fault.help(unquoted_braces(text, span)))
        }
        ErrorKind::ExpectedFlowSequenceSeparator => Some(
            Diagnostic::new(Code::NotYaml, span, "a `,` or a `]` is missing before this")
                .help(unquoted_braces(text, span)),
        ),
        _ => None,
    }
}

/// Diagnostics in texts in quotes.
fn of_quotes(kind: &ErrorKind, span: Span) -> Option<Diagnostic> {
    match kind {
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::DocumentIndicatorInQuotedScalar => {
            Some(Diagnostic::new(Code::NotYaml, span, "a text in quotes is not closed before this"))
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            let help = "put a text that contains one kind of quote into the other kind: \"it's\"";
            Some(Diagnostic::new(Code::NotYaml, span, "a text in quotes ends before this").help(help.to_owned()))
        }
        _ => None,
    }
}

/// The line on which a place is, before and behind its beginning.
struct Line<'t> {
    before: &'t str,
    behind: &'t str,
}

impl<'t> Line<'t> {
    fn of(text: &'t str, span: Span) -> Self {
        let (before, behind) = (text.get(..span.start).unwrap_or_default(), text.get(span.start..).unwrap_or_default());
        Self {
            before: before.rsplit('\n').next().unwrap_or_default(),
            behind: behind.split('\n').next().unwrap_or_default(),
        }
    }
}

fn too_much(breach: &serde_saphyr::budget::BudgetBreach) -> String {
    use serde_saphyr::budget::BudgetBreach as Breach;
    match breach {
        Breach::Depth { .. } => NESTING.to_owned(),
        Breach::Nodes { .. } | Breach::Events { .. } => format!("the file holds more than {NODES} values"),
        Breach::Aliases { .. }
        | Breach::Anchors { .. }
        | Breach::MergeKeys { .. }
        | Breach::RecordedAnchorEvents { .. }
        | Breach::RecordedAnchorBytes { .. } => REPETITION.to_owned(),
        Breach::Documents { documents } => {
            format!("{documents} documents in one file are too many: put them into a `List`")
        }
        other => format!("the file is larger than nslab reads: {other:?}"),
    }
}

/// What to write where the YAML reader stumbled over a scale word in a list or map of one line.
fn unquoted_braces(text: &str, span: Span) -> Option<String> {
    let (before, behind) = (text.get(..span.start)?, text.get(span.start..)?);
    let begin = before.rfind([' ', '\n', '[', '{', ',']).map_or(0, |at| at + 1);
    let closing = behind.starts_with('{').then(|| behind.find('}')).flatten()?;
    let end = span.start + closing + behind.get(closing..)?.find([' ', '\n', ']', ','])?;
    let word = text.get(begin..end).filter(|word| !word.contains(['\n', ':']) && !word.contains("{}"))?;
    Some(format!("within [ ] and {{ }}, quote a word with braces: \"{word}\""))
}

/// The place of an error, which has a line and a column, but neither bytes nor a length.
fn place(text: &str, location: Location) -> Span {
    let line = usize::try_from(location.line()).unwrap_or_default().saturating_sub(1);
    let column = usize::try_from(location.column()).unwrap_or_default().saturating_sub(1);
    let line_start = text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
    let rest = text.get(line_start..).unwrap_or_default();
    let start = line_start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    let word = text.get(start..).unwrap_or_default().split([' ', '\n', ':', ',']).next().map_or(0, str::len);
    Span { start, end: start + word }
}
