//! Ingresses, with the annotations of ingress-nginx that nslab has.

use super::fields::{self, entries, required, scalar};
use super::keys;
use super::object::{Kind, Object};
use super::services::named;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Cluster, Read, WrittenIngress};
use crate::topology::yaml::{Node, Value};

/// What annotations of ingress-nginx begin with.
const PREFIX: &str = "nginx.ingress.kubernetes.io/";
/// Those that nslab has, by its own keys.
const KNOWN: [(&str, &str); 3] =
    [("rewrite-target", "rewriteTarget"), ("use-regex", "useRegex"), ("ssl-redirect", "sslRedirect")];
/// What names the class where `ingressClassName` does not: the way before Kubernetes 1.18.
const CLASS: &str = "kubernetes.io/ingress.class";

/// Adds the ingresses to a cluster.
pub fn add(objects: &[Object<'_>], cluster: &mut Cluster, found: &mut Collector<'_>) {
    for object in objects.iter().filter(|object| object.kind == Kind::Ingress) {
        let Some(spec) = required(object.body, "spec", "an Ingress", found) else { continue };
        fields::check(spec, "`spec`", &keys::INGRESS, found);
        let mut all = named(object);
        if let Value::Map(written) = &spec.value {
            let known = |key: &Node| scalar(key).is_some_and(|(key, _)| keys::INGRESS.read.contains(&key));
            all.extend(written.iter().filter(|(key, _)| known(key)).cloned());
        }
        annotations(object, &mut all, found);
        let tree = Node { value: Value::Map(all), span: object.name.span };
        cluster.ingress.extend(WrittenIngress::read(&tree, found));
    }
}

fn annotations(object: &Object<'_>, all: &mut Vec<(Node, Node)>, found: &mut Collector<'_>) {
    for (key, value) in entries(object.metadata, "annotations") {
        let Some((name, at)) = scalar(key) else { continue };
        let own = name.strip_prefix(PREFIX);
        let known = own.and_then(|own| KNOWN.iter().find(|(other, _)| *other == own)).map(|(_, key)| *key);
        let has_class = all.iter().any(|(key, _)| scalar(key).is_some_and(|(key, _)| key == "ingressClassName"));
        let known = known.or((name == CLASS && !has_class).then_some("ingressClassName"));
        match (known, own) {
            (Some(known), _) => {
                all.push((Node { value: Value::Scalar(known.to_owned()), span: at }, value.clone()));
            }
            (None, Some(own)) => {
                let message = format!("`{own}`: nslab's controllers do not heed this annotation");
                let help = found.did_you_mean(own, KNOWN.iter().map(|(own, _)| own));
                found.tell(Diagnostic::warning(Code::NotModelled, at, message).help(help));
            }
            (None, None) => {}
        }
    }
}
