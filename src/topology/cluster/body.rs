//! The body of a namespace, part by part.

use super::piece::{Entry, Place};
use crate::topology::schema::Spanned;
use crate::topology::yaml::Node;
use ipnet::IpNet;

/// The interface by which nodes, pods and the router are connected.
pub const UPLINK: &str = "eth0";

/// A namespace's body, part by part.
pub struct Body {
    pub place: Place,
    pub interfaces: Vec<Entry>,
    pub bridges: Vec<Entry>,
    pub vxlans: Vec<Entry>,
    pub ipips: Vec<Entry>,
    pub routes: Vec<Node>,
    pub neighbours: Vec<Node>,
    pub sysctls: Vec<Entry>,
    pub forwarding: bool,
    pub nat: Vec<Node>,
    pub keep: Vec<Node>,
    pub run: Vec<Entry>,
    pub serve: Vec<Node>,
    pub dns: Option<Entry>,
    pub labels: Vec<Entry>,
    pub ports: Vec<Entry>,
    pub ready: Option<Entry>,
    /// A pod's name in a headless service.
    pub names: Vec<Entry>,
    pub kube_proxy: Option<Entry>,
    pub load_balancer: Option<Entry>,
    pub network_policies: Option<Entry>,
    pub ingress_controller: Option<Entry>,
}

impl Body {
    pub fn new(place: Place) -> Self {
        Self {
            place,
            interfaces: Vec::new(),
            bridges: Vec::new(),
            vxlans: Vec::new(),
            ipips: Vec::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
            sysctls: Vec::new(),
            forwarding: false,
            nat: Vec::new(),
            keep: Vec::new(),
            run: Vec::new(),
            serve: Vec::new(),
            dns: None,
            labels: Vec::new(),
            ports: Vec::new(),
            ready: None,
            names: Vec::new(),
            kube_proxy: None,
            load_balancer: None,
            network_policies: None,
            ingress_controller: None,
        }
    }

    /// The body as it would be written, without the parts in which nothing is.
    pub fn node(self) -> Node {
        let place = self.place;
        let map = |key, entries: Vec<Entry>| (!entries.is_empty()).then(|| place.entry(key, place.map(entries)));
        let list = |key, items: Vec<Node>| (!items.is_empty()).then(|| place.entry(key, place.list(items)));
        let parts = [
            map("interfaces", self.interfaces),
            map("bridges", self.bridges),
            map("vxlans", self.vxlans),
            map("ipips", self.ipips),
            list("routes", self.routes),
            list("neighbours", self.neighbours),
            map("sysctls", self.sysctls),
            self.forwarding.then(|| place.field("forwarding", true)),
            list("nat", self.nat),
            list("keep", self.keep),
            map("run", self.run),
            list("serve", self.serve),
            self.dns,
            map("labels", self.labels),
            map("ports", self.ports),
            self.ready,
            self.kube_proxy,
            self.load_balancer,
            self.network_policies,
            self.ingress_controller,
        ];
        place.map(parts.into_iter().flatten().chain(self.names))
    }

    /// An interface of these addresses.
    pub fn uplink(&mut self, addresses: &[Spanned<IpNet>], mtu: Option<Entry>) {
        let list = self.place.list(addresses.iter().map(|own| Place(own.span).scalar(own.value)));
        let has = [self.place.entry("addresses", list)].into_iter().chain(mtu);
        self.interfaces.push(self.place.entry(UPLINK, self.place.map(has)));
    }

    /// A bridge of these ports.
    pub fn bridge(&mut self, name: &str, addresses: Vec<Node>, ports: Vec<Node>, option: Option<Entry>) {
        let parts = [("addresses", addresses), ("ports", ports)].into_iter().filter(|(_, items)| !items.is_empty());
        let parts = parts.map(|(key, items)| self.place.entry(key, self.place.list(items))).chain(option);
        let body = self.place.map(parts);
        self.bridges.push(self.place.entry(name, body));
    }
}
