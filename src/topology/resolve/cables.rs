//! Links: that each end is an interface of a namespace, and of one link only.

use std::collections::HashMap;

use super::net::Names;
use crate::lab::{End, IfName};
use crate::topology::fault::{Fault, Found, Span};
use crate::topology::written::{At, File};

/// All links.
pub struct Cables<'f> {
    pub list: Vec<Cable<'f>>,
    /// Whether every link of the file is among them.
    pub whole: bool,
}

/// One link.
pub struct Cable<'f> {
    pub ends: [CableEnd; 2],
    pub mtu: Option<&'f At<u32>>,
}

/// One end of a link.
pub struct CableEnd {
    /// Which namespace.
    pub space: usize,
    pub name: IfName,
    pub span: Span,
}

pub fn resolve<'f>(file: &'f File, found: &mut Found<'_>) -> Cables<'f> {
    let names = Names::new(file);
    let mut cables = Cables { list: Vec::new(), whole: file.links_whole };
    let mut used: HashMap<(usize, IfName), Span> = HashMap::new();
    for link in &file.links {
        let [a, b] = link.ends();
        let ends = (end(a, &names, &mut used, found), end(b, &names, &mut used, found));
        match ends {
            (Some(a), Some(b)) => cables.list.push(Cable { ends: [a, b], mtu: link.mtu() }),
            _ => cables.whole = false,
        }
    }
    cables
}

fn end(
    end: &At<End>,
    names: &Names<'_>,
    used: &mut HashMap<(usize, IfName), Span>,
    found: &mut Found<'_>,
) -> Option<CableEnd> {
    let End { ns, name } = &end.value;
    let space = names.find(ns, end.span, found)?;
    if name.is_lo() {
        let help = "`lo` is the loopback that every namespace has; name the interface otherwise, such as eth0";
        found.add(Fault::new(end.span, "`lo` cannot be the end of a link").help(help.to_owned()));
        return None;
    }
    if let Some(first) = used.insert((space, name.clone()), end.span) {
        let help = "an interface is the end of one link; to connect several, plug each into a bridge".to_owned();
        let fault = Fault::new(end.span, format!("`{}` is already the end of a link", end.value)).help(help);
        found.add(fault.also(first, "its first link"));
        return None;
    }
    Some(CableEnd { space, name: name.clone(), span: end.span })
}
