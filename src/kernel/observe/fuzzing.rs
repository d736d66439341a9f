//! A namespace out of arbitrary bytes, for [`crate::fuzzing`]: what [`super::namespace`] does, with no kernel to ask.

use std::collections::{BTreeMap, HashMap};

use libc::{RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWNSID, RTM_NEWQDISC, RTM_NEWROUTE, RTM_NEWRULE};
use netlink_packet_core::NLMSG_ERROR;

use super::{interfaces, peers};
use crate::kernel::facts::host;
use crate::kernel::netlink::{Answer, NetlinkError, Says, answers};
use crate::kernel::objects::{
    bridge_fdb, fdb_entry, neighbour, next_hop_object, policy_rule, qdisc, route, vlans, wireguard, xfrm,
};
use crate::lab::{Foreign, IfName, Mark, Namespace, ObservedNamespace, Routing};

/// Reads bytes as all that the kernel says of one namespace: its listings one after the other, distinguished by the
/// type of their messages, all with one sequence number.
pub(crate) fn namespace_in(bytes: &[u8], sequence: u32) -> ObservedNamespace {
    let listings = listings(bytes, sequence);
    let listing = |kind: u16| listings.get(&kind).into_iter().flatten().copied();
    for item in listing(RTM_NEWLINK) {
        let _ = peers::decode_identity(item);
    }
    for item in listing(RTM_NEWNEIGH) {
        let _ = fdb_entry::decode(item, |_| Some(IfName::lo()), &HashMap::new());
    }
    let _ = bridge_fdb::listed(listing(RTM_NEWNEIGH), &HashMap::new(), |_| None);
    let _ = qdisc::listed(listing(RTM_NEWQDISC), &HashMap::new());
    let _ = next_hop_object::listed(listing(next_hop_object::NEW), &HashMap::new());
    for item in listing(RTM_NEWLINK) {
        let _ = (xfrm::policy(item), xfrm::state(item));
    }
    for item in listing(RTM_NEWNSID) {
        let _ = peers::read_number(item);
    }
    let _ = wireguard::decode(listing(RTM_NEWLINK));
    let _ = host::listed(listing(RTM_NEWLINK), listing(RTM_NEWROUTE), listing(RTM_NEWADDR));
    let mut interfaces = interfaces::listed(listing(RTM_NEWLINK)).unwrap_or_default();
    for mark in &interfaces.marks {
        assert_eq!(Mark::parse(&mark.to_string()).map(|mark| mark.lab).as_ref(), Some(&mark.lab), "{mark}");
    }
    let _ = interfaces::add_listed_addresses(listing(RTM_NEWADDR), &mut interfaces, None);
    if let Ok(vlans) = vlans::listed(listing(RTM_NEWLINK)) {
        interfaces::add_listed_vlans(vlans, &mut interfaces);
    }
    let routes = route::listed(listing(RTM_NEWROUTE), &interfaces.names, interfaces.makes_routes());
    let routes = routes.unwrap_or_default();
    let rules = policy_rule::listed(listing(RTM_NEWRULE)).unwrap_or_default();
    let neighbours = neighbour::listed(listing(RTM_NEWNEIGH), &interfaces.names).unwrap_or_default();
    let is = Namespace {
        interfaces: interfaces.by_name,
        routes: routes.all,
        rules: rules.all,
        neighbours,
        ..Namespace::default()
    };
    let foreign = Foreign {
        routes: routes.foreign,
        rules: rules.foreign,
        fdb: Vec::new(),
        interfaces: interfaces.foreign,
        others: Vec::new(),
    };
    ObservedNamespace {
        is,
        connected: routes.connected,
        nslab_routing: Routing { routes: routes.of_nslab, rules: rules.of_nslab },
        lost_rules: rules.lost,
        foreign,
        ..ObservedNamespace::default()
    }
}

/// What is behind the netlink header of each message, by its type. Refusals are reported on the way.
fn listings(bytes: &[u8], sequence: u32) -> BTreeMap<u16, Vec<&[u8]>> {
    let mut listings: BTreeMap<u16, Vec<&[u8]>> = BTreeMap::new();
    for answer in answers(bytes, sequence) {
        let error = match answer {
            Ok(Answer { says: Says::Item(kind, item), .. }) => {
                assert_ne!(kind, NLMSG_ERROR, "an error is taken for a thing");
                listings.entry(kind).or_default().push(item);
                continue;
            }
            Ok(Answer { says: Says::End(outcome), .. }) => outcome.err(),
            Err(error) => Some(NetlinkError::from(error)),
        };
        let _ = error.map(|error| error.about("be answered").to_string());
    }
    listings
}
