//! Services, and the endpoints of those that select no pods, in the words of the cluster.

use std::collections::HashMap;

use super::fields::{self, get, list, required, scalar, text};
use super::keys;
use super::object::{Kind, Object};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Cluster, DnsLabel, Read, WrittenService};
use crate::topology::yaml::{Node, Value};

/// The label of a slice that says whose endpoints are in it.
const OWNER: &str = "kubernetes.io/service-name";
/// Labels of services that kube-proxy leaves alone.
const LEFT_ALONE: [&str; 2] = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"];

/// How many endpoints all objects may have: each address counts for each port.
const MAX_ENDPOINTS: usize = 100_000;

/// A key and its value.
type Entry = (Node, Node);

/// Adds the services to a cluster.
pub fn add(objects: &[Object<'_>], cluster: &mut Cluster, found: &mut Collector<'_>) {
    let of_kind = |kind| objects.iter().filter(move |object| object.kind == kind);
    let mut services: Vec<(&Object<'_>, Vec<Entry>)> =
        of_kind(Kind::Service).filter_map(|object| Some((object, service(object, found)?))).collect();
    let places = services.iter().enumerate();
    let places: HashMap<(&DnsLabel, &str), usize> =
        places.map(|(at, (of, _))| ((&of.namespace.value, of.name.value.as_str()), at)).collect();
    let mut room = MAX_ENDPOINTS;
    for object in of_kind(Kind::EndpointSlice).chain(of_kind(Kind::Endpoints)) {
        let Some((name, at)) = owner(object, found) else { continue };
        let place = places.get(&(&object.namespace.value, name)).copied();
        let Some((of, entries)) = place.and_then(|at| services.get_mut(at)) else {
            let names = of_kind(Kind::Service).map(|of| &of.name.value);
            let message = format!("there is no service `{}/{name}`", object.namespace.value.0);
            let help = found.did_you_mean(name, names);
            found.add(Diagnostic::new(Code::UnknownService, at, message).help(help));
            continue;
        };
        // Kubernetes makes these itself, of the pods that are selected.
        if of.spec().is_some_and(|spec| !fields::entries(spec, "selector").is_empty()) && is_made(object) {
            continue;
        }
        let own = endpoints(object, of, &mut room, found);
        match entries.iter_mut().find(|(key, _)| is(key, "endpoints")) {
            Some((_, Node { value: Value::List(all), .. })) => all.extend(own),
            _ => entries.push((word("endpoints", at), Node { value: Value::List(own), span: at })),
        }
    }
    for (object, entries) in services {
        let tree = Node { value: Value::Map(entries), span: object.name.span };
        cluster.services.extend(WrittenService::read(&tree, found));
    }
}

/// The name and the namespace of an object, as the cluster has them.
pub fn named(object: &Object<'_>) -> Vec<Entry> {
    let namespace = word(&object.namespace.value.0, object.namespace.span);
    let name = word(&object.name.value, object.name.span);
    vec![(word("name", object.name.span), name), (word("namespace", object.namespace.span), namespace)]
}

fn word(text: &str, span: Span) -> Node {
    Node { value: Value::Scalar(text.to_owned()), span }
}

fn is(key: &Node, name: &str) -> bool {
    scalar(key).is_some_and(|(key, _)| key == name)
}

fn service(object: &Object<'_>, found: &mut Collector<'_>) -> Option<Vec<Entry>> {
    for label in LEFT_ALONE {
        if let Some((_, at)) = object.label(label) {
            let message =
                format!("kube-proxy leaves services with the label `{label}` alone, and nslab has nobody else");
            found.add(Diagnostic::new(Code::NotModelled, at, message));
        }
    }
    let spec = required(object.body, "spec", "a Service", found)?;
    fields::check(spec, "`spec` of a service", &keys::SERVICE, found);
    let mut entries = named(object);
    let Value::Map(written) = &spec.value else { return None };
    for (key, value) in written {
        let Some((name, _)) = scalar(key).filter(|(name, _)| keys::SERVICE.read.contains(name)) else { continue };
        let value = match name {
            "ports" => ports(value, found),
            "selector" => selector(value, found),
            // What nobody has chosen yet is shown as an empty text.
            "clusterIP" if is(value, "") => continue,
            "healthCheckNodePort" if is(value, "0") => continue,
            _ => value.clone(),
        };
        entries.push((key.clone(), value));
    }
    if get(spec, "loadBalancerIP").is_none() && get(spec, "type").is_some_and(|kind| is(kind, "LoadBalancer")) {
        entries.extend(given_address(object, found));
    }
    Some(entries)
}

/// The labels of a selector, which are right there: only those of workloads and policies are below `matchLabels`.
fn selector(written: &Node, found: &mut Collector<'_>) -> Node {
    let Value::Map(entries) = &written.value else { return written.clone() };
    let nested = |(key, value): &&Entry| is(key, "matchLabels") && matches!(value.value, Value::Map(_));
    let Some((key, labels)) = entries.iter().find(nested) else { return written.clone() };
    let fault = Diagnostic::new(Code::UnknownKey, key.span, "the selector of a service has no `matchLabels`");
    found.add(fault.help("write the labels right below `selector`".to_owned()));
    labels.clone()
}

/// The address that a load balancer has given a service.
fn given_address(object: &Object<'_>, found: &mut Collector<'_>) -> Option<Entry> {
    let given = list(get(get(object.body, "status")?, "loadBalancer")?, "ingress", found);
    let mut addresses = given.iter().filter_map(|one| get(one, "ip"));
    let first = addresses.next()?;
    if let Some(second) = addresses.next() {
        let message = "a service has one address of a load balancer; the first is taken";
        found.tell(Diagnostic::warning(Code::NotModelled, second.span, message));
    }
    Some((word("loadBalancerIP", first.span), first.clone()))
}

/// The ports of a service, without what does not matter.
fn ports(written: &Node, found: &mut Collector<'_>) -> Node {
    let Value::List(items) = &written.value else { return written.clone() };
    let items = items.iter().map(|item| {
        fields::check(item, "a port of a service", &keys::SERVICE_PORT, found);
        let Value::Map(entries) = &item.value else { return item.clone() };
        let known = |key: &Node| scalar(key).is_some_and(|(key, _)| keys::SERVICE_PORT.read.contains(&key));
        let unset = |key: &Node, value: &Node| is(key, "nodePort") && is(value, "0");
        let kept = entries.iter().filter(|(key, value)| known(key) && !unset(key, value)).cloned();
        Node { value: Value::Map(kept.collect()), span: item.span }
    });
    Node { value: Value::List(items.collect()), span: written.span }
}

/// The service whose endpoints an object has.
fn owner<'t>(object: &'t Object<'_>, found: &mut Collector<'_>) -> Option<(&'t str, Span)> {
    if object.kind == Kind::Endpoints {
        return Some((&object.name.value, object.name.span));
    }
    let owner = object.label(OWNER);
    if owner.is_none() {
        let message = format!("an EndpointSlice needs the label `{OWNER}`, which says whose it is");
        found.add(Diagnostic::new(Code::MissingKey, object.name.span, message));
    }
    owner
}

/// Whether Kubernetes has made these endpoints itself.
fn is_made(object: &Object<'_>) -> bool {
    let by = object.label("endpointslice.kubernetes.io/managed-by").map(|(by, _)| by);
    object.kind == Kind::Endpoints || by.is_some_and(|by| by.ends_with("-controller.k8s.io"))
}

/// The endpoints of an object, one for each address and port, if there is room for them.
fn endpoints(object: &Object<'_>, service: &Object<'_>, room: &mut usize, found: &mut Collector<'_>) -> Vec<Node> {
    let mut all = Vec::new();
    let mut combine = |addresses: &[&Node], ports: &[Node], found: &mut Collector<'_>| match room
        .checked_sub(addresses.len().saturating_mul(ports.len()))
    {
        Some(rest) => {
            *room = rest;
            self::combine(addresses, ports, service, &mut all, found);
        }
        None => {
            let message = format!("with these, there are more than {MAX_ENDPOINTS} endpoints");
            found.add(Diagnostic::new(Code::TooMany, object.name.span, message));
        }
    };
    if object.kind == Kind::Endpoints {
        for subset in list(object.body, "subsets", found) {
            fields::check(subset, "a subset", &keys::SUBSET, found);
            let mut addresses = Vec::new();
            for address in list(subset, "addresses", found) {
                fields::check(address, "an address", &keys::SUBSET_ADDRESS, found);
                addresses.extend(required(address, "ip", "an address", found));
            }
            combine(&addresses, list(subset, "ports", found), found);
        }
        return all;
    }
    let is_known = |kind: &str| matches!(kind, "IPv4" | "IPv6");
    if let Some((kind, at)) = get(object.body, "addressType").and_then(scalar).filter(|(kind, _)| !is_known(kind)) {
        let message = format!("`addressType: {kind}`: services lead to addresses");
        found.add(Diagnostic::new(Code::NotModelled, at, message).help("IPv4 and IPv6 are known".to_owned()));
        return all;
    }
    let mut addresses = Vec::new();
    for endpoint in list(object.body, "endpoints", found) {
        fields::check(endpoint, "an endpoint", &keys::SLICE_ENDPOINT, found);
        let ready = get(endpoint, "conditions").and_then(|own| get(own, "ready"));
        if ready.is_none_or(|ready| !is(ready, "false")) {
            // Of several addresses, kube-proxy takes the first.
            addresses.extend(list(endpoint, "addresses", found).first());
        }
    }
    combine(&addresses, list(object.body, "ports", found), found);
    all
}

/// Every address with every port that the service has.
fn combine(addresses: &[&Node], ports: &[Node], service: &Object<'_>, all: &mut Vec<Node>, found: &mut Collector<'_>) {
    for port in ports {
        fields::check(port, "a port", &keys::ENDPOINT_PORT, found);
        let Some(number) = required(port, "port", "a port", found) else { continue };
        let name = get(port, "name").filter(|name| !is(name, ""));
        let protocol = get(port, "protocol").and_then(|own| text(own, found));
        is_of(service, name, protocol, number.span, found);
        for address in addresses {
            let mut entries =
                vec![(word("address", address.span), (*address).clone()), (word("port", number.span), number.clone())];
            entries.extend(name.map(|name| (word("name", name.span), name.clone())));
            all.push(Node { value: Value::Map(entries), span: address.span });
        }
    }
}

/// Whether a port is one of a service's of the same protocol. The name is looked at where the endpoints are read.
fn is_of(
    service: &Object<'_>,
    name: Option<&Node>,
    protocol: Option<(&str, Span)>,
    at: Span,
    found: &mut Collector<'_>,
) {
    let name = name.and_then(scalar).map(|(name, _)| name);
    let of = service.spec().map_or(&[][..], |spec| list(spec, "ports", found)).iter();
    let named = |port: &&Node| get(port, "name").and_then(scalar).map(|(name, _)| name) == name;
    let Some(port) = of.clone().find(named) else { return };
    let its = get(port, "protocol").and_then(scalar).map_or("TCP", |(own, _)| own);
    let (own, at) = protocol.unwrap_or(("TCP", at));
    if own != its {
        let message = format!("this port is of {own}, and that of the service `{}` of {its}", service.full_name());
        found.add(Diagnostic::new(Code::ContradictoryKeys, at, message));
    }
}
