//! The two sides of a check: which namespaces and addresses the words of the file stand for.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use indexmap::IndexSet;

use super::net::Net;
use super::services::Services;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{File, Selector, Spanned, WrittenCheck};

/// Of longer lists, only the first and the last are named.
pub const LISTED: usize = 8;

/// A side of a check as the author wrote it.
pub fn as_written(parties: &[Spanned<Selector>]) -> String {
    match parties {
        [first, .., last] if parties.len() > LISTED => format!("{} … {}", first.value, last.value),
        _ => parties.iter().map(|party| party.value.to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// What a check can be about.
pub struct Selectors<'f> {
    services: &'f Services,
    groups: HashMap<&'f str, Vec<usize>>,
    labels: HashMap<(&'f str, &'f str), Vec<usize>>,
    /// Names of groups that could not be read.
    lost: HashSet<&'f str>,
    /// The names of DNS that checks go to, each once.
    pub names: IndexSet<&'f str>,
}

/// One end of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelectorList {
    Namespace(usize),
    Address(IpAddr),
    Service(usize),
    /// A name of DNS, by its number in [`Selectors::names`].
    DnsName(usize),
}

/// A side and the word of the file that names it.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub side: SelectorList,
    pub span: Span,
}

impl<'f> Selectors<'f> {
    pub fn new(file: &'f File, net: &Net<'f>, services: &'f Services, found: &mut Collector<'_>) -> Self {
        let mut groups = HashMap::new();
        for (name, members) in &file.groups.entries {
            let text = name.value.0.as_str();
            if net.names.get(text).is_some() && text != "host" {
                let message = format!("`{text}` is a namespace; a group needs a name of its own");
                found.add(Diagnostic::new(Code::NameTwice, name.span, message));
            } else if text == "host" {
                found.add(Diagnostic::new(
                    Code::ReservedName,
                    name.span,
                    "`host` is the machine; a group needs a name of its own",
                ));
            }
            let find = |member: &Spanned<crate::lab::NsName>| net.names.find(&member.value, member.span, found);
            groups.insert(text, members.iter().filter_map(find).collect());
        }
        let mut labels: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, namespace) in net.namespaces.iter().enumerate() {
            for (key, value) in &namespace.written.labels.entries {
                labels.entry((key.value.0.as_str(), value.value.0.as_str())).or_default().push(at);
            }
        }
        let lost = file.groups.lost.iter().map(String::as_str).collect();
        let destinations = file.checks.iter().flat_map(|check| match check {
            WrittenCheck::Probe(check) => check.to.0.as_slice(),
            WrittenCheck::Exec(_) => &[],
        });
        let name = |to: &'f Spanned<Selector>| match &to.value {
            Selector::DnsName(name) => Some(name.as_str()),
            _ => None,
        };
        Self { services, groups, labels, lost, names: destinations.filter_map(name).collect() }
    }

    /// What a side of a check means, each once, in the order of the file.
    pub fn resolve(&self, net: &Net<'_>, written: &[Spanned<Selector>], found: &mut Collector<'_>) -> Vec<Endpoint> {
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        for party in written {
            for side in self.sides(net, party, found) {
                if seen.insert(side) {
                    members.push(Endpoint { side, span: party.span });
                }
            }
        }
        members
    }

    fn sides(&self, net: &Net<'_>, party: &Spanned<Selector>, found: &mut Collector<'_>) -> Vec<SelectorList> {
        match &party.value {
            Selector::OnLink(inner, _) => {
                self.sides(net, &Spanned { value: (**inner).clone(), span: party.span }, found)
            }
            Selector::Address(address) => vec![SelectorList::Address(*address)],
            Selector::DnsName(name) => {
                self.names.get_index_of(name.as_str()).map(SelectorList::DnsName).into_iter().collect()
            }
            Selector::Service(name) => self.service(net, name, party.span, found).into_iter().collect(),
            Selector::All => {
                let own = net.namespaces.iter().enumerate().filter(|(_, namespace)| !namespace.name.is_host());
                own.map(|(at, _)| SelectorList::Namespace(at)).collect()
            }
            Selector::Label(key, value) => {
                let labelled = self.labels.get(&(key.as_str(), value.as_str())).map_or(&[][..], Vec::as_slice);
                if labelled.is_empty() && net.is_whole() {
                    found.add(Diagnostic::new(
                        Code::UnknownLabel,
                        party.span,
                        format!("no namespace has the label {key}={value}"),
                    ));
                }
                labelled.iter().map(|namespace| SelectorList::Namespace(*namespace)).collect()
            }
            Selector::Name(name) => self.named(net, name, party.span, found),
        }
    }

    fn service(&self, net: &Net<'_>, name: &str, span: Span, found: &mut Collector<'_>) -> Option<SelectorList> {
        let (message, help) = match self.services.find(name) {
            Ok(at) if self.services.all.get(at).is_some_and(|service| !service.addresses.is_empty()) => {
                return Some(SelectorList::Service(at));
            }
            Ok(_) => {
                let help = "it is headless or an ExternalName, only a name: check its pods, or what it stands for";
                let help = help.to_owned();
                (format!("the service `{name}` has no address"), Some(help))
            }
            Err(Some(help)) => (format!("there are several services `{name}`"), Some(help)),
            // It may well be one of a cluster that could not be read.
            Err(None) if !net.is_whole() => return None,
            Err(None) => {
                let full = self.services.all.iter().map(|service| service.name.as_str());
                let names = full.flat_map(|full| full.split_once('/').map(|(_, own)| own).into_iter().chain([full]));
                (format!("there is no service `{name}`"), found.did_you_mean(name, names))
            }
        };
        found.add(Diagnostic::new(Code::UnknownService, span, message).help(help));
        None
    }

    fn named(&self, net: &Net<'_>, name: &str, span: Span, found: &mut Collector<'_>) -> Vec<SelectorList> {
        if let Some(namespace) = net.names.get(name) {
            return vec![SelectorList::Namespace(namespace)];
        }
        if let Some(group) = self.groups.get(name) {
            return group.iter().map(|namespace| SelectorList::Namespace(*namespace)).collect();
        }
        if !net.names.is_lost(name) && !self.lost.contains(name) {
            let names = net.names.iter().chain(self.groups.keys().copied());
            let help = found.did_you_mean(name, names);
            found.add(
                Diagnostic::new(Code::UnknownName, span, format!("there is no namespace or group `{name}`")).help(help),
            );
        }
        Vec::new()
    }
}
