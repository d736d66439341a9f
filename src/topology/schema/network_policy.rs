//! Network policies, in Kubernetes' words.

use schemars::{JsonSchema, Schema, json_schema};

use super::read::{Fields, Named, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word_of_kubernetes, words};
use super::scalar_net::Prefix;
use super::service::{DEFAULT_NAMESPACE, DnsLabel, TargetPort};
use crate::lab::{self, Direction, LabelOperator, LabelRequirement, PortProtocol};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;

/// A network policy: which pods it isolates, and what it allows to them. Its keys are those of Kubernetes' `metadata`
/// and `spec`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Its name.
    pub name: Spanned<PolicyName>,
    /// Its Kubernetes namespace; `default` by default.
    pub namespace: Option<Spanned<DnsLabel>>,
    /// `false`: the nodes ignore it, as those of a network without policies do. `true` by default.
    pub enforce: Option<Spanned<bool>>,
    /// What it says.
    #[schemars(flatten)]
    pub spec: NetworkPolicySpec,
}

/// What a network policy says: the `spec` of Kubernetes.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// Which pods of its namespace it is for; all by default.
    pub pod_selector: Option<LabelSelector>,
    /// `Ingress`, `Egress`. By default `Ingress`, and `Egress` if there is a rule of it.
    #[schemars(default)]
    pub policy_types: Vec<Spanned<PolicyType>>,
    /// What may come in to these pods.
    #[schemars(default)]
    pub ingress: Vec<IngressRule>,
    /// What may go out from them.
    #[schemars(default)]
    pub egress: Vec<EgressRule>,
}

/// A rule for what comes in: it is allowed if one of the peers sends it to one of the ports.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IngressRule {
    /// Who may send; everybody by default.
    #[schemars(default)]
    pub from: Vec<PolicyPeer>,
    /// To which ports; to all by default.
    #[schemars(default)]
    pub ports: Vec<PolicyPort>,
}

/// A rule for what goes out: it is allowed if it goes to one of the peers, at one of the ports.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EgressRule {
    /// To whom; to everybody by default.
    #[schemars(default)]
    pub to: Vec<PolicyPeer>,
    /// To which ports; to all by default.
    #[schemars(default)]
    pub ports: Vec<PolicyPort>,
}

/// The other side of what is allowed: pods, or addresses.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyPeer {
    /// Pods with these labels; in the policy's namespace if there is no `namespaceSelector`.
    pub pod_selector: Option<LabelSelector>,
    /// Kubernetes namespaces with these labels; all pods there if there is no `podSelector`.
    pub namespace_selector: Option<LabelSelector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
    /// Where it is in the file.
    #[schemars(skip)]
    pub span: Span,
}

/// Addresses.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IpBlock {
    /// A subnet.
    pub cidr: Spanned<Prefix>,
    /// Parts of it that do not count.
    #[schemars(default)]
    pub except: Vec<Spanned<Prefix>>,
}

/// Ports at the pod to which a connection goes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyPort {
    /// `TCP`, `UDP` or `SCTP`; `TCP` by default.
    pub protocol: Option<Spanned<PortProtocol>>,
    /// The number, or the name of one of the pod's ports; all ports by default.
    pub port: Option<Spanned<TargetPort>>,
    /// All ports from `port` to this one.
    pub end_port: Option<Spanned<u16>>,
}

/// Which labels something must have. Nothing asked for: everything is selected.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with their values.
    #[schemars(default)]
    pub match_labels: Named<LabelKey, Spanned<LabelValue>>,
    /// What else is asked of labels.
    #[schemars(default)]
    pub match_expressions: Vec<LabelExpression>,
}

/// One thing that is asked of a label.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct LabelExpression {
    /// The label.
    pub key: Spanned<LabelKey>,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: Spanned<LabelOperator>,
    /// The values of `In` and `NotIn`.
    #[schemars(default)]
    pub values: Vec<Spanned<LabelValue>>,
}

/// The name of an object of Kubernetes: at most 253 small letters, digits, `-` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyName(pub String);

/// The key of a label: a name, or a domain, `/` and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelKey(pub String);

/// The value of a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LabelValue(pub String);

/// What a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyType(pub Direction);

const TYPES: [(&str, PolicyType); 2] =
    [("Ingress", PolicyType(Direction::Ingress)), ("Egress", PolicyType(Direction::Egress))];
const PROTOCOLS: [(&str, PortProtocol); 3] =
    [("TCP", PortProtocol::Tcp), ("UDP", PortProtocol::Udp), ("SCTP", PortProtocol::Sctp)];
const OPERATORS: [(&str, LabelOperator); 4] = [
    ("In", LabelOperator::In),
    ("NotIn", LabelOperator::NotIn),
    ("Exists", LabelOperator::Exists),
    ("DoesNotExist", LabelOperator::DoesNotExist),
];

/// Names in a row with dots between them (RFC 1123).
fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| DnsLabel::parse(part).is_ok())
}

/// 1 to 63 letters, digits, `-`, `_` and `.`, the first and the last of which are letters or digits.
fn is_label_word(text: &str) -> bool {
    let is_outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let fits = bytes.len() <= 63 && is_outer(bytes.first()) && is_outer(bytes.last());
    fits && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

impl Scalar for PolicyName {
    const WHAT: &'static str = "a name of at most 253 small letters, digits, `-` and `.`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if is_domain(text) { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "maxLength": 253 })
    }
}

impl Scalar for LabelKey {
    const WHAT: &'static str = "the key of a label, such as app or kubernetes.io/metadata.name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (domain, name) = text.rsplit_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
        let fits = domain.is_none_or(is_domain) && is_label_word(name);
        if fits { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }
}

impl Scalar for LabelValue {
    const WHAT: &'static str = "the value of a label: at most 63 letters, digits, `-`, `_` and `.`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let fits = text.is_empty() || is_label_word(text);
        if fits { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl Scalar for PolicyType {
    const WHAT: &'static str = "a type of policy: Ingress or Egress";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &TYPES)
    }

    fn schema() -> Schema {
        words(&TYPES)
    }
}

impl Scalar for PortProtocol {
    const WHAT: &'static str = "a protocol with ports: TCP, UDP or SCTP";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &PROTOCOLS)
    }

    fn schema() -> Schema {
        words(&PROTOCOLS)
    }
}

impl Scalar for LabelOperator {
    const WHAT: &'static str = "an operator of labels: In, NotIn, Exists or DoesNotExist";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &OPERATORS)
    }

    fn schema() -> Schema {
        words(&OPERATORS)
    }
}

impl Read for NetworkPolicy {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a policy", found)?;
        let name = fields.required("name");
        let namespace = fields.optional("namespace");
        let enforce = fields.optional("enforce");
        let spec = NetworkPolicySpec::of(&mut fields);
        fields.end();
        Some(Self { name: name?, namespace, enforce, spec })
    }
}

impl NetworkPolicySpec {
    fn of(fields: &mut Fields<'_, '_, '_>) -> Self {
        Self {
            pod_selector: fields.optional("podSelector"),
            policy_types: fields.or_empty("policyTypes"),
            ingress: fields.or_empty("ingress"),
            egress: fields.or_empty("egress"),
        }
    }
}

impl Read for NetworkPolicySpec {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "the `spec` of a policy", found)?;
        let spec = Self::of(&mut fields);
        fields.end();
        Some(spec)
    }
}

impl Read for IngressRule {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a rule for `ingress`", found)?;
        let (from, ports) = (fields.or_empty("from"), fields.or_empty("ports"));
        fields.end();
        Some(Self { from, ports })
    }
}

impl Read for EgressRule {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a rule for `egress`", found)?;
        let (to, ports) = (fields.or_empty("to"), fields.or_empty("ports"));
        fields.end();
        Some(Self { to, ports })
    }
}

impl Read for PolicyPeer {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a peer", found)?;
        let pod_selector = fields.optional("podSelector");
        let namespace_selector = fields.optional("namespaceSelector");
        let ip_block = fields.optional("ipBlock");
        let span = fields.head();
        fields.end();
        Some(Self { pod_selector, namespace_selector, ip_block, span })
    }
}

impl Read for IpBlock {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`ipBlock`", found)?;
        let cidr = fields.required("cidr");
        let except = fields.or_empty("except");
        fields.end();
        Some(Self { cidr: cidr?, except })
    }
}

impl Read for PolicyPort {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a port of a policy", found)?;
        let protocol = fields.optional("protocol");
        let port = fields.optional("port");
        let end_port = fields.optional("endPort");
        fields.end();
        Some(Self { protocol, port, end_port })
    }
}

impl Read for LabelSelector {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a selector", found)?;
        let match_labels = fields.or_empty("matchLabels");
        let match_expressions = fields.or_empty("matchExpressions");
        fields.end();
        Some(Self { match_labels, match_expressions })
    }
}

impl Read for LabelExpression {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an expression", found)?;
        let key = fields.required("key");
        let operator = fields.required("operator");
        let values = fields.or_empty("values");
        fields.end();
        Some(Self { key: key?, operator: operator?, values })
    }
}

impl LabelSelector {
    /// What it asks for, whatever may be wrong with it.
    pub fn requirements(&self) -> lab::LabelSelector {
        let labels = self.match_labels.entries.iter().map(|(key, value)| LabelRequirement {
            key: key.value.0.clone(),
            operator: LabelOperator::In,
            values: vec![value.value.0.clone()],
        });
        let expressions = self.match_expressions.iter().map(|expression| LabelRequirement {
            key: expression.key.value.0.clone(),
            operator: expression.operator.value,
            values: expression.values.iter().map(|own| own.value.0.clone()).collect(),
        });
        lab::LabelSelector(labels.chain(expressions).collect())
    }
}

impl NetworkPolicy {
    /// Its Kubernetes namespace.
    pub fn namespace(&self) -> &str {
        self.namespace.as_ref().map_or(DEFAULT_NAMESPACE, |namespace| &namespace.value.0)
    }
}
