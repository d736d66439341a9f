//! The objects of manifests: what each is, and whether nslab has its like.

use std::collections::{BTreeMap, HashMap};

use super::fields::{self, get, text};
use super::keys;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{DEFAULT_NAMESPACE, DnsLabel, PolicyName, Read, Spanned};
use crate::topology::yaml::{Node, Value};

/// A kind of object that nslab has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Namespace,
    Pod,
    ReplicationController,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Service,
    Endpoints,
    EndpointSlice,
    NetworkPolicy,
    Ingress,
}

/// An object.
pub struct Object<'t> {
    pub kind: Kind,
    /// Its name in Kubernetes.
    pub name: Spanned<String>,
    /// Its Kubernetes namespace, at the place of its name if it has none.
    pub namespace: Spanned<DnsLabel>,
    pub metadata: &'t Node,
    pub body: &'t Node,
}

/// The kinds that nslab has, with their groups and versions.
const KINDS: [(&str, &str, Kind); 12] = [
    ("v1", "Namespace", Kind::Namespace),
    ("v1", "Pod", Kind::Pod),
    ("v1", "ReplicationController", Kind::ReplicationController),
    ("apps/v1", "Deployment", Kind::Deployment),
    ("apps/v1", "ReplicaSet", Kind::ReplicaSet),
    ("apps/v1", "StatefulSet", Kind::StatefulSet),
    ("apps/v1", "DaemonSet", Kind::DaemonSet),
    ("v1", "Service", Kind::Service),
    ("v1", "Endpoints", Kind::Endpoints),
    ("discovery.k8s.io/v1", "EndpointSlice", Kind::EndpointSlice),
    ("networking.k8s.io/v1", "NetworkPolicy", Kind::NetworkPolicy),
    ("networking.k8s.io/v1", "Ingress", Kind::Ingress),
];

/// Kinds that say nothing about who reaches whom.
const IDLE: [&str; 36] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "ControllerRevision",
    "CustomResourceDefinition",
    "Event",
    "HorizontalPodAutoscaler",
    "IngressClass",
    "IPAddress",
    "Lease",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PodMonitor",
    "PodTemplate",
    "PriorityClass",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Secret",
    "ServiceAccount",
    "ServiceMonitor",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VerticalPodAutoscaler",
    "VolumeAttachment",
    "VolumeSnapshot",
    "VolumeSnapshotClass",
];

/// The objects of some documents; lists are taken apart.
pub fn objects<'t>(documents: &'t [Node], found: &mut Collector<'_>) -> Vec<Object<'t>> {
    let mut all = Vec::new();
    let mut idle = Idle::default();
    for document in documents {
        add(document, &mut all, &mut idle, found);
    }
    idle.tell(found);
    let mut names: HashMap<(Kind, String, String), Span> = HashMap::new();
    all.retain(|object: &Object<'_>| {
        let name = (object.kind, object.namespace.value.0.clone(), object.name.value.clone());
        let Some(first) = names.insert(name, object.name.span) else { return true };
        let message = format!("there are two objects of this kind `{}`", object.full_name());
        found.add(Diagnostic::new(Code::NameTwice, object.name.span, message).also(first, "the first"));
        false
    });
    all
}

fn add<'t>(node: &'t Node, all: &mut Vec<Object<'t>>, idle: &mut Idle, found: &mut Collector<'_>) {
    if !matches!(node.value, Value::Map(_)) {
        let message = "an object of Kubernetes is a map: `apiVersion`, `kind`, `metadata` …";
        found.add(Diagnostic::new(Code::WrongShape, fields::head(node), message));
        return;
    }
    let Some((kind, at)) = fields::required(node, "kind", "an object", found).and_then(|own| text(own, found)) else {
        return;
    };
    let Some((version, _)) = fields::required(node, "apiVersion", kind, found).and_then(|own| text(own, found)) else {
        return;
    };
    // `kubectl get -o yaml` writes a `List`; the API has one of each kind, such as `PodList`.
    if kind == "List" || (kind.ends_with("List") && get(node, "items").is_some()) {
        fields::list(node, "items", found).iter().for_each(|item| add(item, all, idle, found));
        return;
    }
    match KINDS.iter().find(|(own, name, _)| *name == kind && group(own) == group(version)) {
        Some((_, _, kind)) => all.extend(Object::read(*kind, node, found)),
        None if IDLE.contains(&kind) => idle.pass_over(kind, at),
        None => unknown(kind, version, at, found),
    }
}

fn group(version: &str) -> &str {
    version.split_once('/').map_or("", |(group, _)| group)
}

/// A kind that nslab does not have.
fn unknown(kind: &str, version: &str, at: Span, found: &mut Collector<'_>) {
    if let Some((own, ..)) = KINDS.iter().find(|(_, name, _)| *name == kind) {
        let message = format!("nslab has the kind {kind} of {own}, not that of {version}");
        found.add(Diagnostic::new(Code::NotModelled, at, message).help(format!("write `apiVersion: {own}`")));
        return;
    }
    let known = KINDS.iter().map(|(_, name, _)| *name).chain(IDLE);
    if let Some(meant) = found.did_you_mean(kind, known) {
        found.add(Diagnostic::new(Code::BadValue, at, format!("there is no kind {kind}")).help(meant));
    } else if kind.contains("NetworkPolicy") {
        let message = format!("nslab cannot enforce a {kind}");
        found.add(Diagnostic::new(Code::NotModelled, at, message).help("write a NetworkPolicy".to_owned()));
    } else {
        let message = format!("nslab has no {kind}: it is left out, with whatever it lets in or keeps out");
        found.tell(Diagnostic::warning(Code::NotModelled, at, message));
    }
}

/// What is passed over: the first of it, and how many there are of each kind.
#[derive(Default)]
struct Idle {
    first: Option<Span>,
    kinds: BTreeMap<String, usize>,
}

impl Idle {
    fn pass_over(&mut self, kind: &str, at: Span) {
        self.first.get_or_insert(at);
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
    }

    fn tell(self, found: &mut Collector<'_>) {
        let Some(first) = self.first else { return };
        let kinds = self.kinds.iter().map(|(kind, many)| match many {
            1 => kind.clone(),
            many => format!("{many} {kind}"),
        });
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let message = format!("passed over, since it does not change who reaches whom: {kinds}");
        found.tell(Diagnostic::warning(Code::PassedOver, first, message));
    }
}

impl<'t> Object<'t> {
    fn read(kind: Kind, body: &'t Node, found: &mut Collector<'_>) -> Option<Self> {
        let own = match kind {
            Kind::EndpointSlice => &keys::SLICE,
            Kind::Endpoints => &keys::ENDPOINTS,
            _ => &keys::OBJECT,
        };
        fields::check(body, kind.name(), own, found);
        let metadata = fields::required(body, "metadata", kind.name(), found)?;
        fields::check(metadata, "`metadata`", &keys::METADATA, found);
        let written = fields::required(metadata, "name", "`metadata`", found)?;
        let name = Spanned::<PolicyName>::read(written, found);
        let namespace = match get(metadata, "namespace") {
            Some(own) => Read::read(own, found)?,
            None => Spanned { value: DnsLabel(DEFAULT_NAMESPACE.to_owned()), span: written.span },
        };
        let name = name?;
        let name = Spanned { value: name.value.0, span: name.span };
        Some(Self { kind, name, namespace, metadata, body })
    }

    /// `NAMESPACE/NAME`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace.value.0, self.name.value)
    }

    /// Its `spec`.
    pub fn spec(&self) -> Option<&'t Node> {
        get(self.body, "spec")
    }

    /// The value of one of its labels.
    pub fn label(&self, key: &str) -> Option<(&'t str, Span)> {
        fields::scalar(get(get(self.metadata, "labels")?, key)?)
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, _, kind)| *kind == self).map_or("an object", |(_, name, _)| name)
    }
}
