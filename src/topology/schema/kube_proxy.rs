//! That a namespace is a node on which kube-proxy runs.

use schemars::{JsonSchema, Schema};

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_net::Prefix;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A node has the rules of all services of the file, as kube-proxy writes them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KubeProxy {
    /// How it leads packets to pods: `iptables`, the default.
    pub mode: Option<Spanned<ProxyMode>>,
    /// The network of all pods (`--cluster-cidr`).
    pub cluster: Spanned<Prefix>,
    /// The node's part of it.
    pub pods: Spanned<Prefix>,
}

/// How kube-proxy leads packets to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    Iptables,
}

const MODES: [(&str, ProxyMode); 1] = [("iptables", ProxyMode::Iptables)];

impl Scalar for ProxyMode {
    const WHAT: &'static str = "a mode of kube-proxy that nslab has: iptables";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "nftables" => Err(not::<Self>(text).help("nslab does not have nftables yet")),
            "ipvs" => Err(not::<Self>(text).help("Kubernetes gives ipvs up: deprecated since 1.35")),
            _ => word(text, &MODES),
        }
    }

    fn schema() -> Schema {
        words(&MODES)
    }
}

impl Read for KubeProxy {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`kube_proxy`", found)?;
        let mode = fields.optional("mode");
        let cluster = fields.required("cluster");
        let pods = fields.required("pods");
        fields.end();
        Some(Self { mode, cluster: cluster?, pods: pods? })
    }
}
