//! Checks that run a command, as they are written; and the list in which they stand among the others.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::check::{Check, Selector};
use super::program::Command;
use super::read::{Fields, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not};
use super::scalar_lab::Text;
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::{Node, Value};

/// A check of either kind.
pub enum WrittenCheck {
    Probe(Box<Check>),
    Exec(Box<ExecCheck>),
}

/// A command that is run in namespaces, and how it has to end.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExecCheck {
    /// What reports call it; made from where it runs and the command by default.
    pub name: Option<Spanned<Text>>,
    /// Where it runs: a namespace, a group, `all`, a label such as `role=db`, or a list of these.
    pub from: OneOrMany<Spanned<Selector>>,
    /// The command and its arguments: a list of words, or a line that is split into words at blanks. No shell reads it.
    pub exec: Command,
    /// The exit code that it must have; 0 by default.
    pub exit_code: Option<Spanned<ExitCode>>,
    /// A text that its output must contain; its error output does not count.
    pub contains: Option<Spanned<Text>>,
    /// What its output must be, without the blank space around it; its error output does not count.
    pub output: Option<Spanned<Text>>,
    /// How long it may take; 10s by default.
    pub timeout: Option<Spanned<Duration>>,
    /// Where it is in the file.
    #[schemars(skip)]
    pub span: Span,
}

/// How a process has ended that was not ended by a signal.
#[derive(Debug, Clone, Copy)]
pub struct ExitCode(pub u8);

impl Scalar for ExitCode {
    const WHAT: &'static str = "an exit code from 0 to 255";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": u8::MAX })
    }
}

impl Read for WrittenCheck {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let is_exec = |(key, _): &(Node, Node)| matches!(&key.value, Value::Scalar(text) if text == "exec");
        match &node.value {
            Value::Map(entries) if entries.iter().any(is_exec) => {
                ExecCheck::read(node, found).map(|check| Self::Exec(Box::new(check)))
            }
            _ => Check::read(node, found).map(|check| Self::Probe(Box::new(check))),
        }
    }
}

impl Read for ExecCheck {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a check with `exec`", found)?;
        let name = fields.optional("name");
        let from = fields.required("from");
        let exec = fields.required("exec");
        let exit_code = fields.optional("exit_code");
        let contains = fields.optional("contains");
        let output = fields.optional("output");
        let timeout = fields.optional("timeout");
        let span = fields.head();
        fields.end();
        Some(Self { name, from: from?, exec: exec?, exit_code, contains, output, timeout, span })
    }
}

impl JsonSchema for WrittenCheck {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "A check".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (probe, exec) = (generator.subschema_for::<Check>(), generator.subschema_for::<ExecCheck>());
        json_schema!({ "anyOf": [probe, exec] })
    }
}
