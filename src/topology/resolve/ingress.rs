//! Ingress: what is asked of each host, and which faults are in it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ingress_backends::Backends;
use crate::ingress::{Backend, DEFAULT_CERTIFICATE, Host, Path, PathType, Rule, Site};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Ingress, IngressPath, IngressTls};

/// What controllers of one class do.
#[derive(Default)]
pub struct Sites {
    /// The hosts with rules; none: all others.
    pub of: BTreeMap<Option<Host>, Site>,
    /// The certificates by name, each with its hosts.
    pub certificates: BTreeMap<String, BTreeSet<String>>,
    /// Whose default takes what has no host with rules.
    default_of_all: Option<Span>,
    /// By which a rule is found, and where it is.
    known: HashMap<(Option<Host>, (bool, String)), Span>,
    /// Where each path of a host is.
    paths: Vec<(Option<Host>, Span)>,
}

/// The host of the certificate of hosts that have no other, as ingress-nginx has it.
const DEFAULT_HOST: &str = "ingress.local";

/// All that these ask for.
pub fn sites(all: &[&Ingress], backends: &Backends<'_, '_>, found: &mut Collector<'_>) -> Sites {
    let mut sites = Sites::default();
    sites.certificates.insert(DEFAULT_CERTIFICATE.to_owned(), [DEFAULT_HOST.to_owned()].into());
    sites.of.entry(None).or_default();
    for ingress in all {
        sites.take(ingress, backends, found);
    }
    for ingress in all {
        sites.encrypt(ingress);
    }
    sites.expressions(all, found);
    sites
}

impl Sites {
    fn take(&mut self, ingress: &Ingress, backends: &Backends<'_, '_>, found: &mut Collector<'_>) {
        let default = ingress.default_backend.as_ref();
        let default = default.and_then(|own| backends.find(ingress, own, found)).map(|own| (own, ingress.name.span));
        if let Some((backend, span)) = &default {
            if let Some(first) = self.default_of_all {
                let message = "a second `defaultBackend`; what no rule takes has one";
                found.add(Diagnostic::new(Code::SecondBackend, *span, message).also(first, "the first"));
            }
            self.default_of_all = Some(*span);
            self.of.entry(None).or_default().default = Some(backend.clone());
        }
        if ingress.rules.is_empty() && ingress.default_backend.is_none() {
            let message = "an ingress needs `rules` or a `defaultBackend`";
            found.add(Diagnostic::new(Code::MissingKey, ingress.name.span, message));
        }
        for rule in &ingress.rules {
            let host = rule.host.as_ref().map(|host| host.value.clone());
            let fresh = || Site { default: default.as_ref().map(|(own, _)| own.clone()), ..Site::default() };
            self.of.entry(host.clone()).or_insert_with(fresh);
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                let backend = backends.find(ingress, &path.backend, found);
                if let Some(rule) = backend.and_then(|backend| read(ingress, path, backend, found)) {
                    self.add(&host, rule, path, found);
                }
            }
        }
    }

    fn add(&mut self, host: &Option<Host>, rule: Rule, written: &IngressPath, found: &mut Collector<'_>) {
        let span = written.path.as_ref().map_or(written.span, |path| path.span);
        if let Some(first) = self.known.insert((host.clone(), rule.key()), span) {
            let of = host.as_ref().map_or_else(|| "all hosts".to_owned(), |host| format!("`{host}`"));
            let message = format!("{} of {of} is led somewhere already", rule.path);
            let fault = Diagnostic::new(Code::PathTwice, span, message).also(first, "the first");
            found.add(fault.help("in Kubernetes, the oldest ingress would have it".to_owned()));
        }
        self.paths.push((host.clone(), span));
        self.of.entry(host.clone()).or_default().rules.push(rule);
    }

    /// Gives the hosts of an ingress their certificates. The first that has one for a host decides.
    fn encrypt(&mut self, ingress: &Ingress) {
        let hosts: Vec<&Host> =
            ingress.rules.iter().filter_map(|rule| rule.host.as_ref()).map(|host| &host.value).collect();
        let of_tls = |tls: &IngressTls| match &tls.secret_name {
            Some(secret) => format!("{}.{}", ingress.kubernetes_namespace(), secret.value.0),
            None => DEFAULT_CERTIFICATE.to_owned(),
        };
        for host in &hosts {
            let is_exact = |tls: &&IngressTls| tls.hosts.iter().any(|own| own.value == **host);
            let covers = |tls: &&IngressTls| tls.hosts.is_empty() || tls.hosts.iter().any(|own| own.value.covers(host));
            let tls = ingress.tls.iter().find(is_exact).or_else(|| ingress.tls.iter().find(covers));
            if let (Some(tls), Some(site)) = (tls, self.of.get_mut(&Some((*host).clone()))) {
                site.certificate.get_or_insert_with(|| of_tls(tls));
            }
        }
        for tls in ingress.tls.iter().filter(|tls| tls.secret_name.is_some()) {
            let own: Vec<&Host> = tls.hosts.iter().map(|host| &host.value).collect();
            let own = if own.is_empty() { hosts.clone() } else { own };
            let of = self.certificates.entry(of_tls(tls)).or_default();
            of.extend(own.into_iter().map(Host::to_string));
        }
        // One without hosts is for nobody.
        self.certificates.retain(|_, hosts| !hosts.is_empty());
    }

    /// Where one rule of a host makes all its paths regular expressions, all of them have to be some.
    fn expressions(&self, all: &[&Ingress], found: &mut Collector<'_>) {
        let rewrites = |ingress: &&&Ingress| {
            ingress.rewrite_target.is_some() || ingress.use_regex.as_ref().is_some_and(|own| own.value)
        };
        for (host, site) in self.of.iter().filter(|(_, site)| site.has_expressions()) {
            let of_host = |ingress: &&&Ingress| {
                ingress.rules.iter().any(|rule| rule.host.as_ref().map(|host| &host.value) == host.as_ref())
            };
            let by = all.iter().filter(rewrites).find(of_host).map_or_else(Span::default, |own| own.name.span);
            let spans = self.paths.iter().filter(|(of, _)| of == host).map(|(_, span)| *span);
            for (rule, span) in site.rules.iter().zip(spans) {
                if let Err(why) = Path::expression(rule.path.as_str()) {
                    let message = format!("`{}` {why}", rule.path);
                    let fault = Diagnostic::new(Code::BadValue, span, message);
                    found.add(fault.also(by, "makes all paths of this host regular expressions"));
                }
            }
        }
    }
}

/// A path, and where it leads.
fn read(ingress: &Ingress, written: &IngressPath, backend: Backend, found: &mut Collector<'_>) -> Option<Rule> {
    let kind = written.path_type.value;
    let use_regex = ingress.use_regex.as_ref().is_some_and(|own| own.value);
    let (text, span) = match &written.path {
        Some(path) => (path.value.0.as_str(), path.span),
        None if kind == PathType::ImplementationSpecific => ("/", written.span),
        None => {
            let message = "a path of the type Exact or Prefix needs `path`";
            found.add(Diagnostic::new(Code::MissingKey, written.span, message));
            return None;
        }
    };
    let is_expression = kind == PathType::ImplementationSpecific && (use_regex || ingress.rewrite_target.is_some());
    let path = if is_expression { Path::expression(text) } else { Path::plain(text) };
    let path = match path {
        Ok(path) => path,
        Err(why) => {
            let has_signs = text.contains(['(', '[', '|', '*', '?', '^', '$', '\\']);
            let help = (has_signs && !is_expression && Path::expression(text).is_ok()).then(|| {
                match kind {
                    PathType::ImplementationSpecific => "a regular expression needs `useRegex` or `rewriteTarget`",
                    _ => {
                        "a regular expression is `pathType: ImplementationSpecific`, with `useRegex` or `rewriteTarget`"
                    }
                }
                .to_owned()
            });
            found.add(Diagnostic::new(Code::BadValue, span, format!("`{text}` {why}")).help(help));
            return None;
        }
    };
    Some(Rule {
        path,
        kind,
        backend,
        rewrite: ingress.rewrite_target.as_ref().map(|own| own.value.clone()),
        use_regex,
        ssl_redirect: ingress.ssl_redirect.as_ref().is_none_or(|own| own.value),
    })
}
