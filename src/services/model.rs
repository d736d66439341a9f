//! Services and nodes, as far as rules depend on them.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::lab::{Family, IpProtocol};

/// One port of a service, with its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// `NAMESPACE/NAME` of the service.
    pub service: String,
    /// The name of the port, if it has one.
    pub name: Option<String>,
    /// TCP, UDP or SCTP.
    pub protocol: IpProtocol,
    /// The service's address in the cluster.
    pub cluster_ip: IpAddr,
    /// The port there.
    pub port: u16,
    /// The port on every node.
    pub node_port: Option<u16>,
    /// The port on every node at which a load balancer asks for endpoints there.
    pub health_check_node_port: Option<u16>,
    /// Further addresses at which nodes take its packets.
    pub external_ips: Vec<IpAddr>,
    /// The address of its load balancer.
    pub load_balancer_ip: Option<IpAddr>,
    /// Who may use the load balancer's address; none: everybody.
    pub source_ranges: Vec<IpNet>,
    /// Whether packets from outside go to endpoints of their node only.
    pub external_is_local: bool,
    /// Whether packets to the cluster's address go to endpoints of their node only.
    pub internal_is_local: bool,
    /// For how many seconds a client comes to the same endpoint again.
    pub affinity: Option<u32>,
    /// The endpoints that are ready.
    pub endpoints: Vec<SocketAddr>,
}

/// A node on which the rules are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The network of all pods.
    pub cluster: IpNet,
    /// The node's part of it.
    pub pods: IpNet,
    /// The network of all services, where it is known.
    pub services: Option<IpNet>,
    /// The node's own addresses.
    pub addresses: Vec<IpAddr>,
}

impl ServicePort {
    /// Its name in comments and hashes: `NAMESPACE/NAME:PORT`.
    pub fn full_name(&self) -> String {
        match &self.name {
            Some(name) => format!("{}:{name}", self.service),
            None => self.service.clone(),
        }
    }

    /// Its endpoints in kube-proxy's order, and those of them that are on a node.
    pub(super) fn endpoints_on(&self, node: &Node) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mut endpoints = self.endpoints.clone();
        endpoints.sort_by_key(SocketAddr::to_string);
        endpoints.dedup();
        let local = endpoints.iter().filter(|endpoint| node.pods.contains(&endpoint.ip())).copied().collect();
        (endpoints, local)
    }

    /// Whether anything but the cluster's address leads to it.
    pub(super) fn is_for_outside(&self) -> bool {
        self.node_port.is_some() || self.load_balancer_ip.is_some() || !self.external_ips.is_empty()
    }
}

impl Node {
    /// The address at which others know it: not that of its bridge of pods.
    pub(super) fn primary_address(&self) -> Option<IpAddr> {
        let family = Family::of(self.cluster.addr());
        self.addresses.iter().copied().find(|own| Family::of(*own) == family && !self.cluster.contains(own))
    }
}
