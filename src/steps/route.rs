//! Routes, added, replaced and removed.

use super::command::ip_family;
use super::operation::{Operation, Reach};
use super::{Change, Phase, Update};
use crate::lab::{NsName, ROUTE_PROTOCOL, Route};

/// A step on a route. One is replaced by another of the same table, destination and metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStep {
    /// The namespace.
    pub ns: NsName,
    /// The route.
    pub change: Update<Route>,
}

impl RouteStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        Self { ns: self.ns.clone(), change: self.change.inverse() }
    }
}

impl Operation for RouteStep {
    fn text(&self) -> String {
        let ns = &self.ns;
        match &self.change {
            Update::Add(route) => format!("add route {route} in {ns}"),
            Update::Remove(route) => format!("remove route {route} from {ns}"),
            Update::Replace(Change { from, to }) => format!("replace route {from} with {to} in {ns}"),
        }
    }

    fn command(&self) -> String {
        let ip = |route: &Route| ip_family(&self.ns, route.is_ipv6());
        match &self.change {
            // IPv6 has each next hop as a route of its own, and some of them may be there.
            Update::Add(route) if route.is_ipv6() && !route.nexthops.is_empty() => {
                format!("{} route replace {}", ip(route), marked(route))
            }
            // The kernel compares next hops in their order, which is not known.
            Update::Remove(route) if !route.nexthops.is_empty() => {
                format!("{} route del {}", ip(route), route.without_nexthops())
            }
            Update::Add(route) => format!("{} route add {}", ip(route), marked(route)),
            Update::Remove(route) => format!("{} route del {route}", ip(route)),
            Update::Replace(Change { to, .. }) => {
                format!("{} route replace {}", ip(to), marked(to))
            }
        }
    }

    /// A route through a gateway needs the route that reaches the gateway.
    fn phase(&self) -> Phase {
        match self.change.wanted() {
            Some(route) if route.gateways().next().is_some() => Phase::AddGatewayRoutes,
            Some(_) => Phase::AddRoutes,
            None => Phase::RemoveRoutes,
        }
    }

    fn kind(&self) -> &'static str {
        match self.change {
            Update::Add(_) | Update::Replace(_) => "add a route",
            Update::Remove(_) => "remove a route",
        }
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}

/// The words of a route with nslab's protocol number; after `nexthop`, `ip` takes nothing else.
fn marked(route: &Route) -> String {
    let hops: String = route.nexthops.iter().map(|hop| format!(" {hop}")).collect();
    format!("{} proto {ROUTE_PROTOCOL}{hops}", route.without_nexthops())
}
