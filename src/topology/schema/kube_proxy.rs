//! That a namespace is a node on which kube-proxy runs.

use schemars::{JsonSchema, Schema};

use super::read::{Fields, OneOrMany, Read, Spanned};
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
    /// The network of all pods (`--cluster-cidr`), or one of each family.
    pub cluster: OneOrMany<Spanned<Prefix>>,
    /// The node's part of it.
    pub pods: OneOrMany<Spanned<Prefix>>,
    /// The network of all services (`--service-cluster-ip-range` of the API server); in the mode nftables, packets to
    /// addresses in it that no service has are dropped.
    pub services: Option<OneOrMany<Spanned<Prefix>>>,
}

/// How kube-proxy leads packets to pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    Iptables,
    Nftables,
}

const MODES: [(&str, ProxyMode); 2] = [("iptables", ProxyMode::Iptables), ("nftables", ProxyMode::Nftables)];

impl ProxyMode {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

impl Scalar for ProxyMode {
    const WHAT: &'static str = "a mode of kube-proxy that nslab has: iptables or nftables";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "ipvs" => {
                let help = "Kubernetes gives ipvs up: it is deprecated since 1.35; take nftables, which is as fast";
                Err(not::<Self>(text).help(help))
            }
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
        let services = fields.optional("services");
        fields.end();
        Some(Self { mode, cluster: cluster?, pods: pods?, services })
    }
}
