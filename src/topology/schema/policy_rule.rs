//! Policy rules as a file has them.

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, word, words};
use super::scalar_net::{Mark, Prefix, TableId};
use crate::lab::{Family, IfName};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;
use schemars::{JsonSchema, Schema};

/// A policy routing rule.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PolicyRule {
    /// Its priority: lower ones are asked first. 1000 and its position in the list by default.
    pub priority: Option<Spanned<u32>>,
    /// Packets from this subnet.
    pub from: Option<Spanned<Prefix>>,
    /// Packets to this subnet.
    pub to: Option<Spanned<Prefix>>,
    /// Packets that came in through this interface.
    pub iif: Option<Spanned<IfName>>,
    /// Packets of sockets that are bound to this interface.
    pub oif: Option<Spanned<IfName>>,
    /// Packets with this firewall mark.
    pub fwmark: Option<Spanned<Mark>>,
    /// The routing table that decides.
    pub table: Option<Spanned<TableId>>,
    /// What happens instead.
    #[schemars(rename = "type")]
    pub kind: Option<Spanned<RuleType>>,
    /// 4 or 6; that of `from` and `to` by default, else 4.
    pub family: Option<Spanned<Family>>,
    /// Where it is in the file.
    #[schemars(skip)]
    pub span: Span,
}

/// What a rule does other than look into a table.
#[derive(Debug, Clone, Copy)]
pub enum RuleType {
    Blackhole,
    Unreachable,
    Prohibit,
}

const RULE_TYPES: [(&str, RuleType); 3] =
    [("blackhole", RuleType::Blackhole), ("unreachable", RuleType::Unreachable), ("prohibit", RuleType::Prohibit)];

impl Scalar for RuleType {
    const WHAT: &'static str = "a rule's type: blackhole, unreachable or prohibit";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &RULE_TYPES)
    }

    fn schema() -> Schema {
        words(&RULE_TYPES)
    }
}

impl Read for PolicyRule {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a policy rule", found)?;
        let rule = Self {
            priority: fields.optional("priority"),
            from: fields.optional("from"),
            to: fields.optional("to"),
            iif: fields.optional("iif"),
            oif: fields.optional("oif"),
            fwmark: fields.optional("fwmark"),
            table: fields.optional("table"),
            kind: fields.optional("type"),
            family: fields.optional("family"),
            span: fields.head(),
        };
        fields.end();
        Some(rule)
    }
}
