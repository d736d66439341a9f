//! Services and nodes, as far as rules depend on them.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::lab::IpProtocol;

/// One port of a service, with its endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// `NAMESPACE/NAME` of the service.
    pub service: String,
    /// The name of the port, if it has one.
    pub name: Option<String>,
    /// TCP or UDP.
    pub protocol: IpProtocol,
    /// The service's address in the cluster.
    pub cluster_ip: IpAddr,
    /// The port there.
    pub port: u16,
    /// The port on every node.
    pub node_port: Option<u16>,
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

    /// Whether anything but the cluster's address leads to it.
    pub(super) fn is_for_outside(&self) -> bool {
        self.node_port.is_some() || self.load_balancer_ip.is_some() || !self.external_ips.is_empty()
    }
}
