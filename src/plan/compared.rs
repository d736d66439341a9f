//! The two sides of a comparison.

use crate::lab::{IfName, Interface, InterfaceRef, Lab, Namespace, NsName, Observed, ObservedNamespace};

/// What is wanted, and what there is.
pub(super) struct Compared<'a> {
    pub(super) lab: &'a Lab,
    pub(super) live: &'a Observed,
    pub(super) nothing: ObservedNamespace,
}

/// One namespace, as it is wanted and as it is.
pub(super) struct Sides<'a> {
    pub(super) compared: &'a Compared<'a>,
    pub(super) ns: &'a NsName,
    pub(super) want: &'a Namespace,
    pub(super) is: &'a Namespace,
    /// The same, with what only a kernel can show.
    pub(super) observed: &'a ObservedNamespace,
}

impl<'a> Compared<'a> {
    pub(super) fn new(lab: &'a Lab, live: &'a Observed) -> Self {
        Self { lab, live, nothing: ObservedNamespace::default() }
    }

    /// What is in a namespace now; nothing, where it does not exist.
    pub(super) fn live(&self, ns: &NsName) -> &ObservedNamespace {
        self.live.namespaces.get(ns).unwrap_or(&self.nothing)
    }

    pub(super) fn host(&self) -> &ObservedNamespace {
        self.live(&NsName::host())
    }

    /// An interface as it is.
    pub(super) fn find(&self, interface: &InterfaceRef) -> Option<&'a Interface> {
        self.live.namespaces.get(&interface.ns)?.is.interfaces.get(&interface.name)
    }

    /// An interface as it is wanted.
    pub(super) fn wanted(&self, interface: &InterfaceRef) -> Option<&'a Interface> {
        self.lab.namespaces.get(&interface.ns)?.interfaces.get(&interface.name)
    }

    /// All wanted interfaces, in the order of the file.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = (InterfaceRef, &'a Interface)> + use<'a> {
        let all = self.lab.namespaces.iter().flat_map(|(ns, wanted)| wanted.interfaces.iter().map(move |it| (ns, it)));
        all.map(|(ns, (name, want))| (InterfaceRef { ns: ns.clone(), name: name.clone() }, want))
    }
}

impl Sides<'_> {
    /// An interface of the namespace.
    pub(super) fn interface(&self, name: &IfName) -> InterfaceRef {
        InterfaceRef { ns: self.ns.clone(), name: name.clone() }
    }

    /// Whether an interface that is there carries the lab's mark.
    pub(super) fn is_of_lab(&self, dev: &IfName) -> bool {
        self.is.interfaces.get(dev).is_some_and(|there| there.owner.as_ref() == Some(&self.compared.lab.name))
    }

    /// Whether what is on an interface is the lab's to remove: in `host`, only what is on its own.
    pub(super) fn may_clear(&self, dev: &IfName) -> bool {
        !self.ns.is_host() || self.is_of_lab(dev)
    }
}
