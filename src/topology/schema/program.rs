//! Programs of a namespace, as they are written.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Fields, Named, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_lab::{Text, Verbatim};
use super::service::PodPort;
use crate::lab::{NsName, ProgramName, Restart, StopSignal};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::yaml::{Node, Value};

/// The programs of a namespace, by name.
pub type Programs = Named<ProgramName, Program>;

/// A program that runs in a namespace; its command alone, or a map.
pub struct Program {
    pub command: Command,
    pub environment: Named<Variable, Spanned<Verbatim>>,
    pub user: Option<Spanned<Text>>,
    pub directory: Option<Spanned<FilePath>>,
    pub files: Named<FileName, Spanned<Verbatim>>,
    pub reload: Option<Spanned<StopSignal>>,
    pub ready: Option<Ready>,
    pub needs: Vec<Spanned<NeededProgram>>,
    pub restart: Option<Spanned<Restart>>,
    pub stop: Option<Stop>,
    pub limits: Option<Limits>,
}

/// The same with its keys, for the schema.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)] // Its fields are only described.
struct ProgramMap {
    /// The command and its arguments: a list of words, or a line that is split into words at blanks. No shell reads it.
    command: Command,
    /// Variables of its environment.
    #[schemars(default)]
    environment: Named<Variable, Spanned<Verbatim>>,
    /// The user that it runs as, by name or number; the one that runs nslab by default.
    user: Option<Spanned<Text>>,
    /// The directory in which it starts; by default, the folder of its files, or `/` where it has none.
    directory: Option<Spanned<FilePath>>,
    /// Files that are written for it, with their text, into a folder of its own before it starts.
    #[schemars(default)]
    files: Named<FileName, Spanned<Verbatim>>,
    /// The signal at which it reads its files anew, so that it goes on where only they have changed; it is started anew
    /// by default.
    reload: Option<Spanned<StopSignal>>,
    /// When it counts as ready; once it has run for a moment, by default.
    ready: Option<Ready>,
    /// Programs that have to be ready before it starts: names, or NAMESPACE/PROGRAM.
    needs: Option<OneOrMany<Spanned<NeededProgram>>>,
    /// Whether it is started again when it ends; `never` by default.
    restart: Option<Spanned<Restart>>,
    /// How it is told to end.
    stop: Option<Stop>,
    /// What each of its processes may use.
    limits: Option<Limits>,
}

/// A command and its arguments.
#[derive(Debug, Clone)]
pub struct Command(pub Vec<String>);

/// When a program counts as ready: one of the first four, and for how long that is waited for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Ready {
    /// One of its processes listens at this port: `80`, `53/udp`.
    pub port: Option<Spanned<PodPort>>,
    /// This file is there.
    pub file: Option<Spanned<FilePath>>,
    /// A line of its output has this text in it.
    pub line: Option<Spanned<Text>>,
    /// This command, run in the namespace, ends with 0.
    pub command: Option<Command>,
    /// How long it may take; 10s by default.
    pub within: Option<Spanned<Duration>>,
    /// Where it is written.
    #[schemars(skip)]
    pub span: Span,
}

/// How a program is told to end.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Stop {
    /// The signal; `TERM` by default.
    pub signal: Option<Spanned<StopSignal>>,
    /// How long it has until it is killed; 5s by default.
    pub grace: Option<Spanned<Duration>>,
}

/// What each of a program's processes may use.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Limits {
    /// Memory for data: `64M`.
    pub memory: Option<Spanned<Bytes>>,
    /// Open files.
    pub open_files: Option<Spanned<u32>>,
}

/// A program that another needs: of the same namespace, or of another.
#[derive(Debug, Clone)]
pub struct NeededProgram {
    pub ns: Option<NsName>,
    pub name: ProgramName,
}

/// The name of a variable of the environment.
#[derive(Debug, Clone)]
pub struct Variable(pub String);

/// The name of a file.
#[derive(Debug, Clone)]
pub struct FileName(pub String);

/// An absolute path.
#[derive(Debug, Clone)]
pub struct FilePath(pub String);

/// A number of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

/// Programs that have been read, and their place in the tree, which becomes a part of several namespaces.
#[derive(Clone)]
pub struct WrittenPrograms(pub Vec<(Node, Node)>);

/// So many bytes has a command at most: less than any kernel takes (execve(2)).
const LONGEST_COMMAND: usize = 64 << 10;

const RESTARTS: [(&str, Restart); 3] =
    [("never", Restart::Never), ("on-failure", Restart::OnFailure), ("always", Restart::Always)];

/// What a shell would do something with, outside of quotes.
const OF_SHELLS: [char; 12] = ['|', '>', '<', '&', ';', '$', '`', '(', ')', '*', '?', '#'];

/// Splits a line into words as a shell would: at blanks, with quotes and backslashes. What else a shell would act on is
/// refused.
fn split(line: &str) -> Result<Vec<String>, Wrong> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = characters.next();
                // In double quotes, a backslash before any other character stays.
                let is_kept = quote.is_some() && next.is_some_and(|next| !['"', '\\', '$', '`'].contains(&next));
                word.get_or_insert_default().extend(is_kept.then_some('\\').into_iter().chain(next));
            }
            (Some('"'), '$' | '`') => return Err(of_a_shell(c, line)),
            (None, c) if OF_SHELLS.contains(&c) && !(c == '#' && word.is_some()) => return Err(of_a_shell(c, line)),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(quote) = quote {
        return Err(Wrong::new(format!("a quote ({quote}) is not closed")).help("close it, or write a list of words"));
    }
    words.extend(word);
    Ok(words)
}

fn of_a_shell(c: char, line: &str) -> Wrong {
    let line = line.replace('\'', "''");
    Wrong::new(format!("`{c}` is for a shell to act on, and no shell reads this command"))
        .help(format!("write `[sh, -c, '{line}']`, or put quotes around what is meant as it stands"))
}

impl Scalar for Variable {
    const WHAT: &'static str = "the name of a variable: letters, digits and `_`, not beginning with a digit";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let is_good = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.len() <= 255;
        let begins = text.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        if text.starts_with("NSLAB_") {
            return Err(Wrong::new("variables that begin with NSLAB_ are nslab's own"));
        }
        if is_good && begins { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
    }
}

impl Scalar for FilePath {
    const WHAT: &'static str = "a path that begins with `/`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let is_good = text.starts_with('/') && text.len() < 4096 && !text.contains('\0');
        if is_good { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^/" })
    }
}

impl Scalar for FileName {
    const WHAT: &'static str =
        "a file's name: letters, digits, `.`, `_` and `-`, at most 64, not beginning with `.` or `-`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let is_good = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && text.len() <= 64;
        let begins = text.bytes().next().is_some_and(|b| !b".-".contains(&b));
        if is_good && begins { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$" })
    }
}

impl Scalar for Bytes {
    const WHAT: &'static str = "an amount of memory of at least 1M, such as 64M or 1G";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (number, unit) = match text.strip_suffix('G') {
            Some(number) => (number, 30),
            None => (text.strip_suffix('M').unwrap_or_default(), 20),
        };
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|number| digits && (1..=1 << 20).contains(number));
        number.map(|number| Self(number << unit)).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+[MG]$" })
    }
}

impl Scalar for ProgramName {
    const WHAT: &'static str = "a program's name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|error| Wrong::new(format!("`{text}` {error}")))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$" })
    }
}

impl Scalar for NeededProgram {
    const WHAT: &'static str = "a program of the same namespace, or NAMESPACE/PROGRAM";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.split_once('/') {
            Some((ns, name)) => Ok(Self { ns: Some(NsName::parse(ns)?), name: ProgramName::parse(name)? }),
            None => Ok(Self { ns: None, name: ProgramName::parse(text)? }),
        }
    }
}

impl Scalar for Restart {
    const WHAT: &'static str = "never, on-failure or always";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &RESTARTS)
    }

    fn schema() -> Schema {
        words(&RESTARTS)
    }
}

impl Scalar for StopSignal {
    const WHAT: &'static str = "a signal: TERM, INT, QUIT, HUP, USR1, USR2, WINCH or KILL";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text.strip_prefix("SIG").unwrap_or(text), &Self::ALL)
    }

    fn schema() -> Schema {
        words(&Self::ALL)
    }
}

impl Read for Command {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let words = match &node.value {
            Value::Scalar(line) => match split(line) {
                Ok(words) => words,
                Err(Wrong { message, help }) => {
                    found.add(Diagnostic::new(Code::BadCommand, node.span, message).help(help));
                    return None;
                }
            },
            _ => {
                let before = found.count();
                let words = Vec::<Spanned<Verbatim>>::read(node, found)?;
                if found.count() != before {
                    return None;
                }
                words.into_iter().map(|word| word.value.0).collect()
            }
        };
        let wrong = match words.first() {
            None => "the command has no words",
            Some(first) if first.is_empty() => "the first word of the command is empty",
            _ if words.iter().map(|word| word.len() + 1).sum::<usize>() > LONGEST_COMMAND => {
                "the command is longer than 64 KiB"
            }
            _ => return Some(Self(words)),
        };
        found.add(Diagnostic::new(Code::BadCommand, node.span, wrong));
        None
    }
}

impl Read for Program {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        if matches!(node.value, Value::Scalar(_) | Value::List(_)) {
            return Command::read(node, found).map(Self::of);
        }
        let mut fields = Fields::begin(node, "a program", found)?;
        let command = fields.required("command");
        let environment = fields.or_empty("environment");
        let user = fields.optional("user");
        let directory = fields.optional("directory");
        let files = fields.or_empty("files");
        let reload = fields.optional("reload");
        let ready = fields.optional("ready");
        let needs = fields.optional("needs").map(|OneOrMany(needs)| needs).unwrap_or_default();
        let restart = fields.optional("restart");
        let stop = fields.optional("stop");
        let limits = fields.optional("limits");
        fields.end();
        let command = command?;
        Some(Self { command, environment, user, directory, files, reload, ready, needs, restart, stop, limits })
    }
}

impl Program {
    fn of(command: Command) -> Self {
        let (environment, files, needs) = (Named::default(), Named::default(), Vec::new());
        let (user, directory, reload, ready, restart, stop, limits) = (None, None, None, None, None, None, None);
        Self { command, environment, user, directory, files, reload, ready, needs, restart, stop, limits }
    }
}

impl Read for Ready {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`ready`", found)?;
        let ready = Self {
            port: fields.optional("port"),
            file: fields.optional("file"),
            line: fields.optional("line"),
            command: fields.optional("command"),
            within: fields.optional("within"),
            span: fields.head(),
        };
        fields.end();
        Some(ready)
    }
}

impl Read for Stop {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`stop`", found)?;
        let stop = Self { signal: fields.optional("signal"), grace: fields.optional("grace") };
        fields.end();
        Some(stop)
    }
}

impl Read for Limits {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`limits`", found)?;
        let limits = Self { memory: fields.optional("memory"), open_files: fields.optional("open_files") };
        fields.end();
        Some(limits)
    }
}

impl Read for WrittenPrograms {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        Programs::read(node, found)?;
        match &node.value {
            Value::Map(entries) => Some(Self(entries.clone())),
            Value::List(_) | Value::Scalar(_) | Value::Null => None,
        }
    }
}

impl JsonSchema for Command {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "A command".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let word = json_schema!({ "type": ["string", "number", "boolean"] });
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": word }] })
    }
}

impl JsonSchema for Program {
    fn schema_name() -> Cow<'static, str> {
        "Program".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (command, map) = (Command::json_schema(generator), generator.subschema_for::<ProgramMap>());
        json_schema!({ "anyOf": [command, map] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_would() {
        for (line, words) in [
            ("sleep 5", vec!["sleep", "5"]),
            ("  a\t'b  c'  \"d e\"f ''", vec!["a", "b  c", "d ef", ""]),
            (r#"a\ b "c\"d\n" 'e\f' \$x"#, vec!["a b", "c\"d\\n", "e\\f", "$x"]),
            ("a 'x | y > z && $w' b#c", vec!["a", "x | y > z && $w", "b#c"]),
        ] {
            assert_eq!(split(line).ok(), Some(words.into_iter().map(str::to_owned).collect()), "{line}");
        }
    }

    #[test]
    fn what_is_for_a_shell_is_refused() {
        for line in ["a | b", "a > b", "a && b", "a $b", "a \"$b\"", "a; b", "a `b`", "ls *", "a # b", "'a", "a \"b"] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
