//! That a namespace is a node which enforces network policies.

use schemars::{JsonSchema, Schema};

use super::read::{Fields, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, word, words};
use super::scalar_net::Prefix;
use crate::lab::PolicyConntrack;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A node enforces the policies of the file for its own pods.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NetworkPolicies {
    /// Its subnets of pods: one, or one of each family. Whoever has an address there, and is no node, is its pod.
    pub pods: OneOrMany<Spanned<Prefix>>,
    /// What becomes of connections that a change of policies forbids: `keep`, the default, or `forget`.
    pub conntrack: Option<Spanned<PolicyConntrack>>,
}

const CONNTRACK: [(&str, PolicyConntrack); 2] =
    [(PolicyConntrack::Keep.name(), PolicyConntrack::Keep), (PolicyConntrack::Forget.name(), PolicyConntrack::Forget)];

impl Scalar for PolicyConntrack {
    const WHAT: &'static str = "what becomes of connections: keep or forget";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &CONNTRACK)
    }

    fn schema() -> Schema {
        words(&CONNTRACK)
    }
}

impl Read for NetworkPolicies {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`network_policies`", found)?;
        let pods = fields.required("pods");
        let conntrack = fields.optional("conntrack");
        fields.end();
        Some(Self { pods: pods?, conntrack })
    }
}
