//! Where address translation on its way leads a probe: which namespace it comes to, and at which port.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;

use indexmap::IndexMap;

use super::net::{Net, ResolvedNamespace};
use crate::forwarding::{Flow, Hop, Layer2, may_lead_elsewhere, trace, translate};
use crate::lab::{ConnectionState, Hook, IpProtocol, Namespace, NsName};

/// The translations of a lab, ready to be followed.
pub struct Translations<'n> {
    net: &'n Net<'n>,
    namespaces: &'n IndexMap<NsName, Namespace>,
    /// Those that translate destinations at all: few, so that most probes cost nothing here.
    translators: Vec<&'n Namespace>,
    /// Whether one of them may translate what is sent; the senders do not matter.
    translated: RefCell<HashMap<Sent, bool>>,
    layer2: OnceCell<Layer2<'n>>,
}

/// What is sent: a protocol, to an address and a port.
type Sent = (IpProtocol, IpAddr, Option<u16>);

/// Where a probe comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Led {
    /// The namespace; none: nobody has the address that it ends up with.
    pub namespace: Option<usize>,
    /// The port.
    pub port: u16,
    /// Whether the file means that: it names an address, whoever gets it; or the namespace that the probe comes to, or
    /// one that leads it on itself.
    pub as_meant: bool,
}

impl<'n> Translations<'n> {
    pub fn new(net: &'n Net<'n>, namespaces: &'n IndexMap<NsName, Namespace>) -> Self {
        let translators = namespaces.values().filter(|namespace| may_lead_elsewhere(namespace, None)).collect();
        Self { net, namespaces, translators, translated: RefCell::default(), layer2: OnceCell::new() }
    }

    /// Where the first packet of a connection comes to that somebody translates on its way; none: nobody does. The
    /// namespace that has the address is asked where the file does not know the way; it may be `named` in the file.
    pub fn follow(
        &self,
        from: &ResolvedNamespace<'_>,
        flow: &Flow,
        (holder, named): (Option<usize>, bool),
    ) -> Option<Led> {
        if !self.may_be_translated(flow) {
            return None;
        }
        let holder = holder.and_then(|at| self.net.namespaces.get(at));
        let hops = trace(self.layer2.get_or_init(|| Layer2::new(self.namespaces)), &from.name, flow);
        let is_holder = |hop: &Hop| holder.is_some_and(|holder| holder.name == hop.ns);
        if !hops.iter().any(Hop::is_led) {
            let is_known = hops.last().is_some_and(Hop::is_end) || hops.iter().any(is_holder);
            return holder.filter(|_| !is_known).and_then(|holder| self.translated_by(holder, flow));
        }
        let last = hops.last()?;
        let end = &last.destination.flow;
        let namespace = match last.is_end() {
            true => self.net.names.get(last.ns.as_str()),
            // The routes do not lead there, as far as the file knows.
            false => self.net.holder(end.destination, self.net.namespaces.get(self.net.names.get(last.ns.as_str())?)?),
        };
        let comes_to_it = (last.is_end() && is_holder(last)) || hops.iter().any(|hop| is_holder(hop) && hop.is_led());
        Some(Led { namespace, port: end.destination_port?, as_meant: !named || comes_to_it })
    }

    fn may_be_translated(&self, flow: &Flow) -> bool {
        let asks = || {
            let anyones = Flow { source: None, ..flow.clone() };
            self.translators.iter().any(|namespace| may_lead_elsewhere(namespace, Some(&anyones)))
        };
        let key = (flow.protocol, flow.destination, flow.destination_port);
        !self.translators.is_empty() && *self.translated.borrow_mut().entry(key).or_insert_with(asks)
    }

    /// Where a namespace leads what comes to it in a way that the file does not know.
    fn translated_by(&self, holder: &ResolvedNamespace<'_>, flow: &Flow) -> Option<Led> {
        let led = translate(self.namespaces.get(&holder.name)?, Hook::Prerouting, flow).flow;
        let port = led.destination_port.filter(|_| led.states.contains(&ConnectionState::Dnat))?;
        Some(Led { namespace: self.net.holder(led.destination, holder), port, as_meant: true })
    }
}
