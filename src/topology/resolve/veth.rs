//! Links, which are veth pairs: that each has two interfaces of known namespaces, none of them in two links.

use std::collections::{BTreeMap, HashMap};

use super::net::Names;
use crate::lab::{IfName, Interface, InterfaceKind, InterfaceRef, NsName};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{File, Spanned};

/// All links.
pub struct VethPairs<'f> {
    pub list: Vec<VethPair<'f>>,
    /// Whether every link of the file is among them.
    pub whole: bool,
}

/// One link.
pub struct VethPair<'f> {
    pub interfaces: [VethPlace; 2],
    pub mtu: Option<&'f Spanned<u32>>,
}

/// Where an interface of a link is.
pub struct VethPlace {
    /// Which namespace.
    pub namespace: usize,
    pub name: IfName,
    pub span: Span,
}

pub fn resolve<'f>(file: &'f File, found: &mut Collector<'_>) -> VethPairs<'f> {
    let names = Names::new(file);
    let mut pairs = VethPairs { list: Vec::new(), whole: file.links_whole };
    let mut used: HashMap<(usize, IfName), Span> = HashMap::new();
    for link in &file.links {
        let [a, b] = link.interfaces();
        let places = (place(a, &names, &mut used, found), place(b, &names, &mut used, found));
        match places {
            (Some(a), Some(b)) => pairs.list.push(VethPair { interfaces: [a, b], mtu: link.mtu() }),
            _ => pairs.whole = false,
        }
    }
    pairs
}

fn place(
    written: &Spanned<InterfaceRef>,
    names: &Names<'_>,
    used: &mut HashMap<(usize, IfName), Span>,
    found: &mut Collector<'_>,
) -> Option<VethPlace> {
    let InterfaceRef { ns, name } = &written.value;
    let namespace = names.find(ns, written.span, found)?;
    if name.is_lo() {
        let help = "`lo` is the loopback that every namespace has; choose another name, such as eth0";
        found.add(Diagnostic::new(Code::Loopback, written.span, "`lo` cannot be in a link").help(help.to_owned()));
        return None;
    }
    if let Some(first) = used.insert((namespace, name.clone()), written.span) {
        let help = "an interface is in one link; to connect several, attach each to a bridge".to_owned();
        let fault =
            Diagnostic::new(Code::InterfaceTwice, written.span, format!("`{}` is already in a link", written.value))
                .help(help);
        found.add(fault.also(first, "its first link"));
        return None;
    }
    Some(VethPlace { namespace, name: name.clone(), span: written.span })
}

/// The interfaces of one namespace that are in links.
pub struct Veths<'f> {
    pub by_name: BTreeMap<IfName, Veth<'f>>,
    /// Whether every link of the file could be read.
    whole: bool,
}

/// What a link says about one of its interfaces.
pub struct Veth<'f> {
    pub peer: InterfaceRef,
    pub mtu: Option<&'f Spanned<u32>>,
    pub span: Span,
}

impl Veth<'_> {
    /// The interface, with nothing on it yet.
    pub fn interface(&self) -> Interface {
        Interface::new(InterfaceKind::Veth { peer: Some(self.peer.clone()) })
    }
}

impl<'f> VethPairs<'f> {
    /// The interfaces of every namespace, in the order of the file.
    pub fn by_namespace(&self, file: &File) -> Vec<Veths<'f>> {
        let namespaces = &file.namespaces.entries;
        let empty = || Veths { by_name: BTreeMap::new(), whole: self.whole };
        let mut all: Vec<Veths<'f>> = namespaces.iter().map(|_| empty()).collect();
        for VethPair { interfaces: [a, b], mtu } in &self.list {
            for (this, other) in [(a, b), (b, a)] {
                if let (Some(veths), Some((ns, _))) = (all.get_mut(this.namespace), namespaces.get(other.namespace)) {
                    let peer = InterfaceRef { ns: ns.value.clone(), name: other.name.clone() };
                    veths.by_name.insert(this.name.clone(), Veth { peer, mtu: *mtu, span: this.span });
                }
            }
        }
        all
    }
}

impl Veths<'_> {
    /// Reports an interface that no link has.
    pub fn unknown(&self, ns: &NsName, name: &Spanned<IfName>, what: &str, found: &mut Collector<'_>) {
        if !self.whole {
            return;
        }
        let text = name.value.as_str();
        let help = match found.did_you_mean(text, self.by_name.keys().map(IfName::as_str)) {
            Some(help) => help,
            None if ns.is_host() => "in `host`, nslab looks after interfaces of links and bridges only; the machine's \
                own interfaces are left alone"
                .to_owned(),
            None => format!("add a link with {ns}/{text}"),
        };
        let message = format!("`{text}` is in no link, and {what} must be an interface of a link");
        found.add(Diagnostic::new(Code::UnknownInterface, name.span, message).help(help));
    }
}
