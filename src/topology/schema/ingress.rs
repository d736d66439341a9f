//! Ingress, in Kubernetes' words: which request of which host goes to which service.

use schemars::{JsonSchema, Schema, json_schema};

use super::network_policy::PolicyName;
use super::read::{Fields, Read, Spanned, head};
use super::scalar::{Scalar, Wrong, not, word_of_kubernetes, words};
use super::service::{DnsLabel, TargetPort};
use crate::ingress::{Host, PathType, Rewrite};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;

/// Rules for requests of HTTP, which an ingress controller carries out. Its keys are those of Kubernetes' `metadata`
/// and `spec`, and annotations of ingress-nginx by their own names.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct Ingress {
    /// Its name.
    pub name: Spanned<PolicyName>,
    /// Its Kubernetes namespace, in which its services are; `default` by default.
    pub namespace: Option<Spanned<DnsLabel>>,
    /// The class of controllers that it is for; the one that there is by default.
    pub ingress_class_name: Option<Spanned<PolicyName>>,
    /// Who takes what no rule does: of its own hosts, and of all hosts without rules.
    pub default_backend: Option<IngressBackend>,
    /// The rules.
    #[schemars(default)]
    pub rules: Vec<HostRule>,
    /// Hosts that have certificates, of the lab's own authority.
    #[schemars(default)]
    pub tls: Vec<IngressTls>,
    /// `nginx.ingress.kubernetes.io/rewrite-target`: the path at the service: `/`, `/$2`.
    pub rewrite_target: Option<Spanned<Rewrite>>,
    /// `nginx.ingress.kubernetes.io/use-regex`: whether paths are regular expressions even without that.
    pub use_regex: Option<Spanned<bool>>,
    /// `nginx.ingress.kubernetes.io/ssl-redirect`: whether HTTP leads to HTTPS for hosts in `tls`; true by default.
    pub ssl_redirect: Option<Spanned<bool>>,
}

/// The rules of a host.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct HostRule {
    /// The host: a name, or `*.` and a name, where `*` is one label; all other hosts by default.
    pub host: Option<Spanned<Host>>,
    /// What is asked over HTTP.
    pub http: Option<IngressHttp>,
}

/// The paths of a host.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IngressHttp {
    /// Each path, and where it leads.
    pub paths: Vec<IngressPath>,
}

/// A path, and where it leads.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct IngressPath {
    /// The path: `/pay`.
    pub path: Option<Spanned<WrittenPath>>,
    /// `Exact`, `Prefix` or `ImplementationSpecific`.
    pub path_type: Spanned<PathType>,
    /// Who answers.
    pub backend: IngressBackend,
    /// Where it is written.
    #[schemars(skip)]
    pub span: Span,
}

/// A path as it is written. Whether it may be a regular expression depends on other rules.
#[derive(Debug, Clone)]
pub struct WrittenPath(pub String);

/// Who answers.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IngressBackend {
    /// A service.
    pub service: ServiceBackend,
}

/// A service of the same Kubernetes namespace.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ServiceBackend {
    /// Its name.
    pub name: Spanned<DnsLabel>,
    /// Its port.
    pub port: BackendPort,
}

/// A port of a service, by one of both.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BackendPort {
    /// Its number.
    pub number: Option<Spanned<u16>>,
    /// Its name.
    pub name: Option<Spanned<TargetPort>>,
    /// Where it is written.
    #[schemars(skip)]
    pub span: Span,
}

/// Hosts with a certificate.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct IngressTls {
    /// The hosts; all of the rules by default.
    #[schemars(default)]
    pub hosts: Vec<Spanned<Host>>,
    /// The secret that holds the certificate in Kubernetes, of which the lab makes its own; by default, the hosts have
    /// the certificate that all others have.
    pub secret_name: Option<Spanned<SecretName>>,
}

/// The name of a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName(pub String);

/// The longest name of a secret, in bytes: files are called after it and its namespace.
const LONGEST_SECRET: usize = 180;

impl Scalar for Host {
    const WHAT: &'static str = "a host such as shop.example.com or *.example.com";

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|why| Wrong::new(format!("`{text}` {why}")))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT, "pattern": r"^(\*\.)?[a-z0-9][a-z0-9.-]*$" })
    }
}

impl Scalar for PathType {
    const WHAT: &'static str = "a type of path: Exact, Prefix or ImplementationSpecific";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &Self::ALL)
    }

    fn schema() -> Schema {
        words(&Self::ALL)
    }
}

impl Scalar for WrittenPath {
    const WHAT: &'static str = "a path that begins with `/`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.starts_with('/') {
            true => Ok(Self(text.to_owned())),
            false => Err(not::<Self>(text).help(format!("write /{text}"))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT, "pattern": "^/" })
    }
}

impl Scalar for Rewrite {
    const WHAT: &'static str = "a path to rewrite to, such as / or /$2";

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::new(text).map_err(|why| Wrong::new(format!("`{text}` {why}")))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT, "pattern": "^/" })
    }
}

impl Scalar for SecretName {
    const WHAT: &'static str = "the name of a secret: at most 180 small letters, digits, `-` and `.`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match PolicyName::parse(text) {
            Ok(PolicyName(name)) if name.len() <= LONGEST_SECRET => Ok(Self(name)),
            _ => Err(not::<Self>(text)),
        }
    }
}

impl Read for Ingress {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an ingress", found)?;
        let name = fields.required("name");
        let namespace = fields.optional("namespace");
        let ingress_class_name = fields.optional("ingressClassName");
        let default_backend = fields.optional("defaultBackend");
        let rules = fields.or_empty("rules");
        let tls = fields.or_empty("tls");
        let rewrite_target = fields.optional("rewriteTarget");
        let use_regex = fields.optional("useRegex");
        let ssl_redirect = fields.optional("sslRedirect");
        fields.end();
        Some(Self {
            name: name?,
            namespace,
            ingress_class_name,
            default_backend,
            rules,
            tls,
            rewrite_target,
            use_regex,
            ssl_redirect,
        })
    }
}

impl Read for HostRule {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a rule of an ingress", found)?;
        let rule = Self { host: fields.optional("host"), http: fields.optional("http") };
        fields.end();
        Some(rule)
    }
}

impl Read for IngressHttp {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`http` of an ingress", found)?;
        let paths = fields.required("paths");
        fields.end();
        Some(Self { paths: paths? })
    }
}

impl Read for IngressPath {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a path of an ingress", found)?;
        let path = fields.optional("path");
        let path_type = fields.required("pathType");
        let backend = fields.required("backend");
        fields.end();
        Some(Self { path, path_type: path_type?, backend: backend?, span: head(node) })
    }
}

impl Read for IngressBackend {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a backend of an ingress", found)?;
        let service = fields.required("service");
        fields.end();
        Some(Self { service: service? })
    }
}

impl Read for ServiceBackend {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "the service of a backend", found)?;
        let name = fields.required("name");
        let port = fields.required("port");
        fields.end();
        Some(Self { name: name?, port: port? })
    }
}

impl Read for BackendPort {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "the port of a backend", found)?;
        let port = Self { number: fields.optional("number"), name: fields.optional("name"), span: fields.head() };
        fields.end();
        Some(port)
    }
}

impl Read for IngressTls {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an entry of `tls`", found)?;
        let tls = Self { hosts: fields.or_empty("hosts"), secret_name: fields.optional("secretName") };
        fields.end();
        Some(tls)
    }
}

impl Ingress {
    /// `NAMESPACE/NAME`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.kubernetes_namespace(), self.name.value.0)
    }

    /// Its Kubernetes namespace.
    pub fn kubernetes_namespace(&self) -> &str {
        self.namespace.as_ref().map_or(super::service::DEFAULT_NAMESPACE, |namespace| &namespace.value.0)
    }
}
