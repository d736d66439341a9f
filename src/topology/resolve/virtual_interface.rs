//! Virtual interfaces: what the parent of each is, and whether all of them can be together.

use std::collections::HashMap;

use super::lower_interfaces;
use super::mtu::{self, plausible_mtu};
use super::net::{Names, ResolvedInterface, ResolvedNamespace};
use super::place::{Place, Placed};
use super::vxlan::{self, Holders};
use super::wireguard;
use crate::lab::{
    Gre, IfName, Interface, InterfaceKind, InterfaceRef, IpvlanMode, MAX_STACKING, MacvlanMode, NsName,
    VirtualInterface,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, Spanned};

/// The virtual interface as it is written; its MTU is known once all interfaces are.
pub fn interface(
    ns: &NsName,
    name: &Spanned<IfName>,
    written: schema::VirtualInterface<'_>,
    found: &mut Collector<'_>,
) -> ResolvedInterface {
    use schema::VirtualInterface as Written;
    let end = |parent: &Spanned<schema::Parent>| {
        let schema::Parent { ns: other, name } = &parent.value;
        Some(InterfaceRef { ns: other.as_ref().unwrap_or(ns).clone(), name: name.clone() })
    };
    let virtual_interface = match written {
        Written::Vxlan(vxlan) => VirtualInterface::Vxlan(vxlan::vxlan(vxlan)),
        Written::Macvlan(schema::Macvlan { parent, mode, .. }) => {
            let mode = mode.as_ref().map_or(MacvlanMode::Bridge, |mode| mode.value);
            VirtualInterface::Macvlan { parent: end(parent), mode }
        }
        Written::Ipvlan(schema::Ipvlan { parent, mode, .. }) => {
            let mode = mode.as_ref().map_or(IpvlanMode::L2, |mode| mode.value);
            VirtualInterface::Ipvlan { parent: end(parent), mode }
        }
        Written::Vlan(schema::Vlan { parent, id, .. }) => {
            VirtualInterface::Vlan { parent: end(parent), id: id.value.0 }
        }
        Written::Ipip(schema::Ipip { local, remote, .. }) => {
            VirtualInterface::Ipip { local: Some(local.value), remote: remote.as_ref().map(|remote| remote.value) }
        }
        Written::Gre(schema::Gre { local, remote, key, ttl, .. }) => VirtualInterface::Gre(Gre {
            local: Some(local.value),
            remote: Some(remote.value),
            key: key.as_ref().map(|key| key.value),
            ttl: ttl.as_ref().map(|ttl| ttl.value.0),
        }),
        Written::Wireguard(own) => VirtualInterface::Wireguard(wireguard::options(own)),
        Written::Dummy(_) => VirtualInterface::Dummy,
        Written::Vrf(schema::Vrf { table, .. }) => VirtualInterface::Vrf { table: table.value.0 },
    };
    let common = written.common();
    let addresses = common.addresses.clone();
    let model = Interface {
        up: common.up.as_ref().is_none_or(|up| up.value),
        mac: common.mac.as_ref().map(|mac| mac.value),
        mtu: plausible_mtu(common.mtu.as_ref(), &common.addresses, found),
        addresses: addresses.iter().map(|address| address.value).collect(),
        ..Interface::new(InterfaceKind::Virtual(virtual_interface))
    };
    ResolvedInterface { name: name.value.clone(), span: name.span, model, addresses, broadcast_domain: 0 }
}

/// Checks all virtual interfaces against the other interfaces, and gives each its MTU.
pub fn finish<'f>(
    namespaces: &mut [ResolvedNamespace<'f>],
    names: &Names<'_>,
    found: &mut Collector<'_>,
) -> Vec<Placed<'f>> {
    let mut all = Vec::new();
    for (at, namespace) in namespaces.iter().enumerate() {
        let holders = vxlan::holders(namespace);
        for (name, written) in namespace.written.virtual_interfaces() {
            let is_taken = || namespace.interface(&name.value).is_none_or(|interface| interface.span != name.span);
            let Some(&place) = namespace.by_name.get(&name.value).filter(|_| !is_taken()) else { continue };
            let under = under(namespaces, names, (at, &holders), written, found);
            all.push(Placed { at: (at, place), under, name, written });
        }
    }
    for namespace in namespaces.iter() {
        vxlan::check(namespace, found);
    }
    lower_interfaces::check(&all, found);
    let below: HashMap<Place, Place> = all.iter().filter_map(|placed| Some((placed.at, placed.under?))).collect();
    let depth = |placed: &Placed<'_>| {
        std::iter::successors(placed.under, |at| below.get(at).copied()).take(MAX_STACKING).count()
    };
    all.sort_by_cached_key(depth);
    for placed in &all {
        if depth(placed) == MAX_STACKING {
            let help = "the lowest of them needs a parent of another kind".to_owned();
            let message = format!("`{}` is stacked on itself, or more than 8 deep", placed.name.value);
            found.add(Diagnostic::new(Code::StackedOnItself, placed.name.span, message).help(help));
        } else {
            mtu::room(namespaces, placed, found);
        }
    }
    all
}

/// The interface through which the packets of a virtual interface leave.
fn under(
    namespaces: &[ResolvedNamespace<'_>],
    names: &Names<'_>,
    (own, holders): (usize, &Holders<'_>),
    written: schema::VirtualInterface<'_>,
    found: &mut Collector<'_>,
) -> Option<Place> {
    let namespace = namespaces.get(own)?;
    match written {
        schema::VirtualInterface::Vxlan(vxlan) => {
            let holder = vxlan::holder(namespace, holders, &vxlan.local, found);
            let name = match &vxlan.dev {
                Some(dev) => namespace.find(dev, false, found)?,
                None => holder?,
            };
            Some((own, *namespace.by_name.get(&name)?))
        }
        schema::VirtualInterface::Ipip(schema::Ipip { local, .. })
        | schema::VirtualInterface::Gre(schema::Gre { local, .. }) => {
            let local = Spanned { value: local.value.into(), span: local.span };
            Some((own, *namespace.by_name.get(&vxlan::holder(namespace, holders, &local, found)?)?))
        }
        schema::VirtualInterface::Macvlan(schema::Macvlan { parent, .. })
        | schema::VirtualInterface::Ipvlan(schema::Ipvlan { parent, .. })
        | schema::VirtualInterface::Vlan(schema::Vlan { parent, .. }) => {
            self::parent(namespaces, names, own, (parent, written), found)
        }
        schema::VirtualInterface::Wireguard(_)
        | schema::VirtualInterface::Dummy(_)
        | schema::VirtualInterface::Vrf(_) => None,
    }
}

/// The parent of an interface.
fn parent(
    namespaces: &[ResolvedNamespace<'_>],
    names: &Names<'_>,
    own: usize,
    (parent, written): (&Spanned<schema::Parent>, schema::VirtualInterface<'_>),
    found: &mut Collector<'_>,
) -> Option<Place> {
    let Spanned { value: schema::Parent { ns, name }, span } = parent;
    let other = match ns {
        Some(ns) => names.find(ns, *span, found)?,
        None => own,
    };
    let holder = namespaces.get(other)?;
    let name = holder.find(&Spanned { value: name.clone(), span: *span }, false, found)?;
    let place = *holder.by_name.get(&name)?;
    if let Some(reason) = lower_interfaces::unfit(holder, holder.interfaces.get(place)?, written) {
        found.add(Diagnostic::new(Code::BadParent, *span, reason));
    }
    Some((other, place))
}
