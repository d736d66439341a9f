//! Network policies, in Kubernetes' meaning of them, and the pods that they are about (`networking/v1` of its API).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{IfName, IpProtocol, NsName};

/// Labels: keys and values.
pub type Labels = BTreeMap<String, String>;

/// The label that every Kubernetes namespace has by itself: its name.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// All network policies of a lab, and whom they are about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkPolicies {
    /// The labels of Kubernetes namespaces, each of which has [`NAME_LABEL`].
    pub namespaces: BTreeMap<String, Labels>,
    /// The pods by the names of their network namespaces.
    pub pods: BTreeMap<NsName, Pod>,
    /// The nodes that enforce them.
    pub nodes: BTreeMap<NsName, PolicyNode>,
    /// The policies, in the order of the file. Those that are not enforced are among them.
    pub policies: Vec<NetworkPolicy>,
}

/// A pod, as far as policies depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: Labels,
    /// Its addresses in the network of pods.
    pub addresses: Vec<IpAddr>,
    /// Its named ports.
    pub ports: Vec<NamedPort>,
    /// The node that it is on.
    pub node: NsName,
}

/// A port of a pod that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedPort {
    /// Its name, which another protocol may have as well.
    pub name: String,
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: PortProtocol,
}

/// A node that enforces policies for its pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyNode {
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// The bridges to which its pods are attached, with the broadcast addresses of these pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bridges: BTreeMap<IfName, BTreeSet<IpAddr>>,
    /// What becomes of connections over TCP and SCTP that a change of policies forbids.
    #[serde(skip_serializing_if = "PolicyConntrack::is_default")]
    pub conntrack: PolicyConntrack,
}

/// What becomes of connections that a change of policies forbids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyConntrack {
    /// They live on until they are closed.
    #[default]
    Keep,
    /// The kernel forgets them, so that their next packet is judged as the first of a new one.
    Forget,
}

/// A network policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkPolicy {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace: that of the pods that it selects.
    pub namespace: String,
    /// The line of the file that it begins on, counted from 1.
    pub line: u64,
    /// That file, if it is not the topology file but one of its manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Whether the nodes enforce it.
    pub is_enforced: bool,
    /// Which pods it selects.
    pub pods: LabelSelector,
    /// What comes in to them; none: it says nothing of that. No rule: nothing is allowed.
    pub ingress: Option<Vec<NetworkPolicyRule>>,
    /// What goes out from them, likewise.
    pub egress: Option<Vec<NetworkPolicyRule>>,
}

/// One rule of a policy: it allows what one of its peers sends or gets at one of its ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkPolicyRule {
    /// The peers; none: everybody.
    pub peers: Vec<PolicyPeer>,
    /// The ports; none: everything.
    pub ports: Vec<PolicyPort>,
}

/// The other side of what a policy allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyPeer {
    /// Pods.
    Pods {
        /// Their Kubernetes namespaces; none: the policy's own.
        namespaces: Option<LabelSelector>,
        /// Which of the pods there.
        pods: LabelSelector,
    },
    /// Addresses.
    Block {
        /// All of these,
        net: IpNet,
        /// but these.
        except: Vec<IpNet>,
    },
}

/// Ports that a policy allows, at the pod to which a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyPort {
    /// Their protocol.
    pub protocol: PortProtocol,
    /// Which ports of it.
    pub port: PortMatch,
}

/// Which ports of a protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortMatch {
    /// All.
    All,
    /// From the first to the last, both included.
    Numbers(u16, u16),
    /// The port that has this name at the pod.
    Named(String),
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PortProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Which labels a thing must have: all that is asked for. Nothing asked for: everything is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabelSelector(pub Vec<LabelRequirement>);

/// One thing that is asked of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelRequirement {
    /// The key.
    pub key: String,
    /// What is asked of its value.
    pub operator: LabelOperator,
    /// The values of `In` and `NotIn`.
    pub values: Vec<String>,
}

/// What is asked of the value of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum LabelOperator {
    /// It is one of these.
    In,
    /// It is none of these, or there is no such label.
    NotIn,
    /// There is such a label.
    Exists,
    /// There is no such label.
    DoesNotExist,
}

/// A direction, seen from the pod that a policy selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// What comes in.
    Ingress,
    /// What goes out.
    Egress,
}

impl NetworkPolicies {
    /// Whether there is no policy. What there is of pods and nodes matters to policies alone.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether a namespace is a node with policies to enforce.
    pub fn are_enforced_by(&self, ns: &NsName) -> bool {
        self.nodes.contains_key(ns) && self.policies.iter().any(|policy| policy.is_enforced)
    }
}

impl PolicyNode {
    /// Whether connections that a change of policies forbids are forgotten.
    pub fn forgets_connections(&self) -> bool {
        self.conntrack == PolicyConntrack::Forget
    }
}

impl PolicyConntrack {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Forget => "forget",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl NetworkPolicy {
    /// Its full name and its line: `shop/db (line 12)`.
    pub fn with_line(&self) -> String {
        let of = self.manifest.as_ref().map_or_else(String::new, |manifest| format!(" of {manifest}"));
        format!("{} (line {}{of})", self.full_name(), self.line)
    }

    /// `NAMESPACE/NAME`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its rules for a direction; none: it says nothing of that.
    pub fn rules(&self, direction: Direction) -> Option<&[NetworkPolicyRule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

impl LabelSelector {
    /// Whether it selects what has these labels.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.0.iter().all(|wanted| wanted.is_met(labels))
    }
}

impl LabelRequirement {
    fn is_met(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let is_listed = || value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => is_listed(),
            LabelOperator::NotIn => !is_listed(),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl PortProtocol {
    /// The same among the protocols of IP.
    pub fn of_ip(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::Tcp,
            Self::Udp => IpProtocol::Udp,
            Self::Sctp => IpProtocol::Sctp,
        }
    }
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];
}

impl fmt::Display for LabelOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

impl fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}
