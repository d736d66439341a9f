//! That a namespace is a node which enforces network policies.

use schemars::JsonSchema;

use super::read::{Fields, OneOrMany, Read, Spanned};
use super::scalar_net::Prefix;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A node enforces the policies of the file for its own pods.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NetworkPolicies {
    /// Its subnets of pods: one, or one of each family. Whoever has an address there, and is no node, is its pod.
    pub pods: OneOrMany<Spanned<Prefix>>,
}

impl Read for NetworkPolicies {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`network_policies`", found)?;
        let pods = fields.required("pods");
        fields.end();
        Some(Self { pods: pods? })
    }
}
