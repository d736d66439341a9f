//! Pods: those that are written, and those that Deployments and their like make.

use std::collections::HashSet;

use super::fields::{self, entries, get, head, list, required, scalar, text};
use super::keys;
use super::object::{Kind, Object};
use crate::lab::{NsName, PortProtocol, fnv1a};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{
    Cluster, DEFAULT_NAMESPACE, DnsConfig, DnsLabel, DnsPolicy, Named, Pod, PodPort, Read, Spanned, Text,
};
use crate::topology::yaml::{Node, Value};

/// The pods of an object.
pub struct Pods<'t> {
    /// Their names, which may be many.
    pub names: Names,
    /// What all of them are.
    pub like: Template<'t>,
}

/// The names of pods of one object.
pub enum Names {
    /// One, as it is written.
    One,
    /// So many, counted from 1.
    Counted { many: u32 },
    /// So many, counted from a number, each with labels of its own.
    Ordinals { first: u32, many: u32 },
    /// One on each node, with the node's name.
    EveryNode,
}

/// What pods are like.
pub struct Template<'t> {
    /// The name that theirs begin with, after their Kubernetes namespace.
    pub stem: Spanned<String>,
    /// None: it is `default`.
    pub namespace: Option<Spanned<Text>>,
    pub labels: Named<Text, Spanned<Text>>,
    pub ports: Named<DnsLabel, Spanned<PodPort>>,
    pub ready: Option<Spanned<bool>>,
    pub hostname: Option<Spanned<DnsLabel>>,
    pub subdomain: Option<Spanned<DnsLabel>>,
    pub dns_policy: Option<Spanned<DnsPolicy>>,
    pub dns_config: Option<DnsConfig>,
    pub node_name: Option<(&'t str, Span)>,
    pub node_selector: Vec<(&'t str, &'t str, Span)>,
}

/// The labels that a StatefulSet gives its pods.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
/// How long a namespace's name is at most, as those of `ip netns`.
const LONGEST: usize = 63;
/// How many pods are worth making, as in a cluster.
const MAX_PODS: usize = 20_000;

/// All pods of some objects.
pub fn pods<'t>(objects: &[Object<'t>], cluster: &Cluster, found: &mut Collector<'_>) -> Vec<Pods<'t>> {
    let known: HashSet<(&str, &str, &str)> =
        objects.iter().map(|own| (own.kind.name(), own.namespace.value.0.as_str(), own.name.value.as_str())).collect();
    let mut room = MAX_PODS;
    let mut pods = Vec::new();
    for object in objects.iter().filter(|object| !is_made(object, &known)) {
        let Some(own) = of(object, found) else { continue };
        let many = match own.names {
            Names::One => 1,
            Names::Counted { many } | Names::Ordinals { many, .. } => usize::try_from(many).unwrap_or(usize::MAX),
            Names::EveryNode => cluster.nodes.entries.len(),
        };
        let Some(rest) = room.checked_sub(many) else {
            let message = format!("with these, there are more than {MAX_PODS} pods");
            found.add(Diagnostic::new(Code::TooMany, own.like.stem.span, message));
            break;
        };
        room = rest;
        pods.push(own);
    }
    pods
}

/// Whether another object makes this one: what `kubectl get` shows has both. Other owners only say what goes with them.
fn is_made(object: &Object<'_>, known: &HashSet<(&str, &str, &str)>) -> bool {
    let makers: &[Kind] = match object.kind {
        Kind::Pod => &[Kind::ReplicaSet, Kind::ReplicationController, Kind::StatefulSet, Kind::DaemonSet],
        Kind::ReplicaSet => &[Kind::Deployment],
        _ => &[],
    };
    let Some(Node { value: Value::List(owners), .. }) = get(object.metadata, "ownerReferences") else { return false };
    owners.iter().any(|owner| {
        let word = |key| get(owner, key).and_then(scalar).map(|(word, _)| word);
        let (Some(kind), Some(name)) = (word("kind"), word("name")) else { return false };
        makers.iter().any(|maker| maker.name() == kind)
            && known.contains(&(kind, object.namespace.value.0.as_str(), name))
    })
}

fn of<'t>(object: &Object<'t>, found: &mut Collector<'_>) -> Option<Pods<'t>> {
    let (names, like) = match object.kind {
        Kind::Pod => {
            let spec = required(object.body, "spec", "a Pod", found)?;
            (Names::One, template(object, object.metadata, spec, found)?)
        }
        Kind::Deployment | Kind::ReplicaSet | Kind::ReplicationController => {
            (Names::Counted { many: replicas(object, found)? }, made(object, found)?)
        }
        Kind::StatefulSet => {
            let service = object.spec().and_then(|spec| optional(spec, "serviceName", found));
            let first = object.spec().and_then(|spec| get(get(spec, "ordinals")?, "start"));
            let first = first.map_or(Some(0), |first| Some(Spanned::<u32>::read(first, found)?.value))?;
            let like = Template { subdomain: service, ..made(object, found)? };
            (Names::Ordinals { first, many: replicas(object, found)? }, like)
        }
        Kind::DaemonSet => (Names::EveryNode, made(object, found)?),
        Kind::Namespace
        | Kind::Service
        | Kind::Endpoints
        | Kind::EndpointSlice
        | Kind::NetworkPolicy
        | Kind::Ingress => return None,
    };
    Some(Pods { names, like })
}

fn replicas(object: &Object<'_>, found: &mut Collector<'_>) -> Option<u32> {
    let written = object.spec().and_then(|spec| get(spec, "replicas"));
    written.map_or(Some(1), |written| Some(Spanned::<u32>::read(written, found)?.value))
}

/// What the pods are like that an object makes.
fn made<'t>(object: &Object<'t>, found: &mut Collector<'_>) -> Option<Template<'t>> {
    let spec = required(object.body, "spec", object.kind.name(), found)?;
    fields::check(spec, "`spec`", &keys::WORKLOAD, found);
    let body = required(spec, "template", "`spec`", found)?;
    fields::check(body, "`template`", &keys::TEMPLATE, found);
    let metadata = required(body, "metadata", "`template`", found)?;
    fields::check(metadata, "`metadata`", &keys::METADATA, found);
    is_selected(object.kind, spec, metadata, found);
    let spec = required(body, "spec", "`template`", found)?;
    template(object, metadata, spec, found)
}

/// Whether the labels of a template are those that its object selects, without which Kubernetes refuses it.
fn is_selected(kind: Kind, spec: &Node, metadata: &Node, found: &mut Collector<'_>) {
    let selector = match kind {
        Kind::ReplicationController => entries(spec, "selector"),
        _ => {
            let Some(selector) = required(spec, "selector", "`spec`", found) else { return };
            entries(selector, "matchLabels")
        }
    };
    let labels = get(metadata, "labels");
    for (key, value) in selector {
        let (Some((key, _)), Some((value, at))) = (scalar(key), scalar(value)) else { continue };
        let own = labels.and_then(|labels| get(labels, key)).and_then(scalar);
        if own.is_none_or(|(own, _)| own != value) {
            let message = format!("the selector asks for `{key}: {value}`, which the pods of `template` do not have");
            let fault = Diagnostic::new(Code::ContradictoryKeys, at, message);
            let there = own.map_or_else(|| head(metadata), |(_, at)| at);
            found.add(fault.also(there, "the labels of the pods"));
        }
    }
}

fn template<'t>(
    object: &Object<'t>,
    metadata: &'t Node,
    spec: &'t Node,
    found: &mut Collector<'_>,
) -> Option<Template<'t>> {
    fields::check(spec, "`spec` of a pod", &keys::POD, found);
    let labels = get(metadata, "labels").map_or_else(|| Some(Named::default()), |labels| Read::read(labels, found));
    let labels: Named<Text, Spanned<Text>> = labels?;
    let namespace = Spanned { value: Text(object.namespace.value.0.clone()), span: object.namespace.span };
    // A label of that name is in the way of the namespace, which is a label itself.
    let is_told =
        namespace.value.0 != DEFAULT_NAMESPACE || labels.entries.iter().any(|(key, _)| key.value.0 == "namespace");
    let mut node_selector = Vec::new();
    for (key, value) in entries(spec, "nodeSelector") {
        if let (Some((key, at)), Some((value, _))) = (text(key, found), text(value, found)) {
            node_selector.push((key, value, at));
        }
    }
    Some(Template {
        stem: object.name.clone(),
        namespace: is_told.then_some(namespace),
        labels,
        ports: ports(spec, found),
        ready: ready(object.body),
        hostname: optional(spec, "hostname", found),
        subdomain: optional(spec, "subdomain", found),
        dns_policy: optional(spec, "dnsPolicy", found),
        dns_config: optional(spec, "dnsConfig", found),
        // What nobody has chosen yet is shown as an empty text.
        node_name: get(spec, "nodeName").and_then(|own| text(own, found)).filter(|(name, _)| !name.is_empty()),
        node_selector,
    })
}

/// The value of a key of a pod that nslab has as well.
fn optional<T: Read>(spec: &Node, key: &str, found: &mut Collector<'_>) -> Option<T> {
    get(spec, key).filter(|own| !matches!(own.value, Value::Null)).and_then(|own| T::read(own, found))
}

/// The ports of a pod's containers that have names; the others are there for people only.
fn ports(spec: &Node, found: &mut Collector<'_>) -> Named<DnsLabel, Spanned<PodPort>> {
    let mut ports: Named<DnsLabel, Spanned<PodPort>> = Named::default();
    let starting = list(spec, "initContainers", found).iter();
    // One that goes on beside the others is a container like them ("sidecar").
    let beside = |own: &&Node| get(own, "restartPolicy").and_then(scalar).is_some_and(|(own, _)| own == "Always");
    for (container, counts) in
        starting.map(|own| (own, beside(&own))).chain(list(spec, "containers", found).iter().map(|own| (own, true)))
    {
        fields::check(container, "a container", &keys::CONTAINER, found);
        for port in list(container, "ports", found) {
            fields::check(port, "a port of a container", &keys::CONTAINER_PORT, found);
            let Some((name, own)) = named_port(port, found).filter(|_| counts) else { continue };
            if let Some((first, _)) = ports.entries.iter().find(|(first, _)| first.value == name.value) {
                let message = format!("there are two ports `{}` in this pod", name.value.0);
                found.add(Diagnostic::new(Code::NameTwice, name.span, message).also(first.span, "the first"));
                continue;
            }
            ports.entries.push((name, own));
        }
    }
    ports
}

fn named_port(port: &Node, found: &mut Collector<'_>) -> Option<(Spanned<DnsLabel>, Spanned<PodPort>)> {
    let number = required(port, "containerPort", "a port of a container", found)?;
    let number: Spanned<u16> = Read::read(number, found)?;
    let protocol = match get(port, "protocol") {
        Some(own) => Spanned::<PortProtocol>::read(own, found)?.value,
        None => PortProtocol::Tcp,
    };
    let name = Read::read(get(port, "name")?, found)?;
    let written = Node { value: Value::Scalar(format!("{}/{protocol}", number.value)), span: number.span };
    Some((name, Read::read(&written, found)?))
}

/// Whether Kubernetes has seen that a pod is ready; what it has not seen yet is.
fn ready(body: &Node) -> Option<Spanned<bool>> {
    let Value::List(conditions) = &get(get(body, "status")?, "conditions")?.value else { return None };
    let is = |node: &Node, key, word| get(node, key).and_then(scalar).is_some_and(|(own, _)| own == word);
    let ready = conditions.iter().find(|own| is(own, "type", "Ready"))?;
    let (_, span) = scalar(get(ready, "status")?)?;
    is(ready, "status", "False").then_some(Spanned { value: false, span })
}

impl Template<'_> {
    /// A pod of a StatefulSet, which gives each two labels, so that a service can have it alone, and a name in the
    /// service that it names.
    pub fn ordinal(&self, number: u64, found: &mut Collector<'_>) -> Option<Pod> {
        let mut pod = self.pod(&format!("-{number}"), found)?;
        let text = |text: &str| Spanned { value: Text(text.to_owned()), span: self.stem.span };
        let name = format!("{}-{number}", self.stem.value);
        pod.hostname = Some(Spanned { value: DnsLabel(name.clone()), span: self.stem.span });
        for (key, value) in [(POD_NAME, name), (POD_INDEX, number.to_string())] {
            pod.labels.entries.retain(|(own, _)| own.value.0 != key);
            pod.labels.entries.push((text(key), text(&value)));
        }
        Some(pod)
    }

    /// A pod of a name, which is that of its namespace on the machine: `web-1`, `shop.web-1`.
    pub fn pod(&self, after: &str, found: &mut Collector<'_>) -> Option<Pod> {
        let namespace = self.namespace.as_ref().map(|own| own.value.0.as_str());
        let stem = match namespace.filter(|own| *own != DEFAULT_NAMESPACE) {
            Some(other) => format!("{other}.{}", self.stem.value),
            None => self.stem.value.clone(),
        };
        let room = LONGEST.saturating_sub(after.len());
        let stem = match stem.get(..room.saturating_sub(6)) {
            Some(start) if stem.len() > room => format!("{start}-{:05x}", fnv1a(&stem) & 0xf_ffff),
            _ => stem,
        };
        let written = Node { value: Value::Scalar(format!("{stem}{after}")), span: self.stem.span };
        let name: Spanned<NsName> = Read::read(&written, found)?;
        let (namespace, labels) = (self.namespace.clone(), self.labels.clone());
        let (ports, ready) = (self.ports.clone(), self.ready.clone());
        let (hostname, subdomain) = (self.hostname.clone(), self.subdomain.clone());
        let (dns_policy, dns_config) = (self.dns_policy.clone(), self.dns_config.clone());
        Some(Pod { namespace, labels, ports, ready, hostname, subdomain, dns_policy, dns_config, ..Pod::new(name) })
    }
}
