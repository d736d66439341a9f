//! Links: that each end is an interface of a namespace, and of one link only.

use std::collections::HashMap;

use super::net::Names;
use crate::lab::{IfName, InterfaceRef};
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
    pub ends: [LinkEnd; 2],
    pub mtu: Option<&'f Spanned<u32>>,
}

/// One end of a link.
pub struct LinkEnd {
    /// Which namespace.
    pub space: usize,
    pub name: IfName,
    pub span: Span,
}

pub fn resolve<'f>(file: &'f File, found: &mut Collector<'_>) -> VethPairs<'f> {
    let names = Names::new(file);
    let mut cables = VethPairs { list: Vec::new(), whole: file.links_whole };
    let mut used: HashMap<(usize, IfName), Span> = HashMap::new();
    for link in &file.links {
        let [a, b] = link.ends();
        let ends = (end(a, &names, &mut used, found), end(b, &names, &mut used, found));
        match ends {
            (Some(a), Some(b)) => cables.list.push(VethPair { ends: [a, b], mtu: link.mtu() }),
            _ => cables.whole = false,
        }
    }
    cables
}

fn end(
    end: &Spanned<InterfaceRef>,
    names: &Names<'_>,
    used: &mut HashMap<(usize, IfName), Span>,
    found: &mut Collector<'_>,
) -> Option<LinkEnd> {
    let InterfaceRef { ns, name } = &end.value;
    let space = names.find(ns, end.span, found)?;
    if name.is_lo() {
        let help = "`lo` is the loopback that every namespace has; name the interface otherwise, such as eth0";
        found.add(Diagnostic::new(Code::Loopback, end.span, "`lo` cannot be the end of a link").help(help.to_owned()));
        return None;
    }
    if let Some(first) = used.insert((space, name.clone()), end.span) {
        let help = "an interface is the end of one link; to connect several, plug each into a bridge".to_owned();
        let fault =
            Diagnostic::new(Code::InterfaceTwice, end.span, format!("`{}` is already the end of a link", end.value))
                .help(help);
        found.add(fault.also(first, "its first link"));
        return None;
    }
    Some(LinkEnd { space, name: name.clone(), span: end.span })
}
