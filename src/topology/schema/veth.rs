//! Links, which are veth pairs, as a file has them.

use super::read::{Fields, Read, Spanned};
use crate::lab::InterfaceRef;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::yaml::{Node, Value};
use schemars::JsonSchema;

/// A veth pair: `[NAMESPACE/INTERFACE, NAMESPACE/INTERFACE]`.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Link {
    /// Its two interfaces alone.
    Ends([Spanned<InterfaceRef>; 2]),
    /// Its two interfaces and what both of them have.
    Described(DescribedLink),
}

/// A veth pair with settings for both of its interfaces.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DescribedLink {
    /// Its two interfaces.
    pub ends: [Spanned<InterfaceRef>; 2],
    /// The MTU of both interfaces in bytes.
    pub mtu: Option<Spanned<u32>>,
}

impl Link {
    /// Its two interfaces.
    pub fn interfaces(&self) -> &[Spanned<InterfaceRef>; 2] {
        match self {
            Self::Ends(ends) => ends,
            Self::Described(link) => &link.ends,
        }
    }

    /// The MTU of both interfaces, if one is given.
    pub fn mtu(&self) -> Option<&Spanned<u32>> {
        match self {
            Self::Ends(_) => None,
            Self::Described(link) => link.mtu.as_ref(),
        }
    }
}

impl Read for Link {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => {
                let mut fields = Fields::begin(node, "a link", found)?;
                let ends = fields.required("ends");
                let mtu = fields.optional("mtu");
                fields.end();
                Some(Self::Described(DescribedLink { ends: ends?, mtu }))
            }
            Value::Scalar(_) => {
                let fault = Diagnostic::new(Code::BadLink, node.span, "a link is a list of its two interfaces");
                found.add(fault.help("write [NAMESPACE/INTERFACE, NAMESPACE/INTERFACE]".to_owned()));
                None
            }
            _ => Read::read(node, found).map(Self::Ends),
        }
    }
}

impl Read for [Spanned<InterfaceRef>; 2] {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let ends: Vec<Spanned<InterfaceRef>> = Read::read(node, found)?;
        if let Value::List(items) = &node.value
            && items.len() != 2
        {
            let span = items.last().map_or(node.span, |last| last.span);
            let message = format!("a link has two interfaces, found {}", items.len());
            let help = "write [NAMESPACE/INTERFACE, NAMESPACE/INTERFACE]; a network of more than two needs a bridge";
            found.add(Diagnostic::new(Code::BadLink, span, message).help(help.to_owned()));
            return None;
        }
        ends.try_into().ok()
    }
}
