//! The zones of a Kubernetes cluster: the specification of its DNS (1.1.0), and where that says nothing, what CoreDNS
//! does (`plugin/kubernetes` of 1.12).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::lab::{DnsName, DnsRecord, DnsValue, DnsZone, IpProtocol};

/// The names of a cluster, and what they stand for.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The zone of all names: `cluster.local`.
    pub zone: DnsName,
    /// For how many seconds others may keep a record, or that there is none.
    pub ttl: u32,
    /// Which names pods have by their addresses.
    pub pod_names: PodNames,
    /// The Kubernetes namespaces.
    pub namespaces: BTreeSet<String>,
    /// The addresses of pods, each with its Kubernetes namespace.
    pub pods: Vec<(String, IpAddr)>,
    /// The services.
    pub services: Vec<ClusterService>,
    /// The service at which the servers of these zones are, if there is one: its Kubernetes namespace and name.
    pub server: Option<(String, String)>,
    /// Whether others are asked for the names of addresses that are none of the cluster's.
    pub forwards: bool,
}

/// Which names pods have by their addresses: `10-244-1-2.default.pod.cluster.local`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PodNames {
    /// Any address below a namespace that exists is a name, whether a pod has it or not: the setting of kubeadm.
    #[default]
    Insecure,
    /// Those of pods.
    Verified,
    /// None.
    Disabled,
}

/// A service.
#[derive(Debug, Clone)]
pub struct ClusterService {
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What its name stands for.
    pub kind: ServiceKind,
    /// Its ports.
    pub ports: Vec<ClusterPort>,
    /// The pods behind it that are ready.
    pub endpoints: Vec<ClusterEndpoint>,
}

/// What the name of a service stands for.
#[derive(Debug, Clone)]
pub enum ServiceKind {
    /// Its addresses.
    Addresses(Vec<IpAddr>),
    /// Its endpoints.
    Headless,
    /// Another name.
    ExternalName(DnsName),
}

/// A port of a service, or of one of its endpoints.
#[derive(Debug, Clone)]
pub struct ClusterPort {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its protocol.
    pub protocol: IpProtocol,
    /// Its number.
    pub number: u16,
}

/// A pod behind a service.
#[derive(Debug, Clone)]
pub struct ClusterEndpoint {
    /// Its address.
    pub address: IpAddr,
    /// Its name within the service, where it has one; else its address with dashes.
    pub hostname: Option<String>,
    /// Its ports.
    pub ports: Vec<ClusterPort>,
}

/// The version of the specification, in a record of its own.
const VERSION: &str = "1.1.0";
/// For how many seconds that may be kept.
const VERSION_TTL: u32 = 28_800;

impl Cluster {
    /// The zone of the names, and those of the addresses.
    pub fn zones(&self) -> Vec<DnsZone> {
        let mut zone = self.empty_zone(&self.zone, false);
        let mut names: BTreeMap<IpAddr, Vec<DnsName>> = BTreeMap::new();
        self.server(&mut zone);
        self.tree(&mut zone);
        for service in &self.services {
            let Some(name) = self.name(&service.namespace, &service.name) else { continue };
            self.service(service, &name, &mut zone);
            self.endpoints(service, &name, &mut zone);
        }
        // The name of a service's address is the service; that of an endpoint's address, each of its names.
        for service in &self.services {
            let Some(name) = self.name(&service.namespace, &service.name) else { continue };
            for endpoint in &service.endpoints {
                let own = name.with(&endpoint.label()).ok();
                names.entry(endpoint.address).or_default().extend(own);
            }
        }
        for service in &self.services {
            let ServiceKind::Addresses(addresses) = &service.kind else { continue };
            let name = self.name(&service.namespace, &service.name);
            names.extend(addresses.iter().filter_map(|address| Some((*address, vec![name.clone()?]))));
        }
        let mut zones = vec![zone];
        for apex in ["in-addr.arpa", "ip6.arpa"].into_iter().filter_map(|name| name.parse::<DnsName>().ok()) {
            let mut zone = self.empty_zone(&apex, self.forwards);
            for (address, names) in &names {
                let owner = DnsName::reverse(*address);
                let own = names.iter().filter(|_| owner.is_in(&apex));
                zone.records.extend(own.map(|name| self.record(&owner, DnsValue::Ptr(name.clone()))));
            }
            zones.push(zone);
        }
        zones
    }

    fn empty_zone(&self, apex: &DnsName, falls_through: bool) -> DnsZone {
        DnsZone {
            apex: apex.clone(),
            ttl: self.ttl,
            server: apex.with("ns.dns").unwrap_or_else(|_| apex.clone()),
            records: BTreeSet::new(),
            empty: BTreeSet::new(),
            any_address_below: BTreeSet::new(),
            falls_through,
        }
    }

    fn record(&self, owner: &DnsName, value: DnsValue) -> DnsRecord {
        DnsRecord { owner: owner.clone(), value, ttl: self.ttl }
    }

    /// The name of a service.
    fn name(&self, namespace: &str, name: &str) -> Option<DnsName> {
        self.zone.with("svc").and_then(|svc| svc.with(namespace)).and_then(|own| own.with(name)).ok()
    }

    /// The zone's own records.
    fn server(&self, zone: &mut DnsZone) {
        let version = self.zone.with("dns-version").ok();
        let version =
            version.map(|owner| DnsRecord { owner, value: DnsValue::Txt(VERSION.to_owned()), ttl: VERSION_TTL });
        zone.records.extend(version);
        let is_server = |service: &&ClusterService| {
            self.server
                .as_ref()
                .is_some_and(|(namespace, name)| (&service.namespace, &service.name) == (namespace, name))
        };
        let Some(service) = self.services.iter().find(is_server) else { return };
        let name = self.name(&service.namespace, &service.name);
        zone.records.extend(name.map(|name| self.record(&self.zone, DnsValue::Ns(name))));
        if let ServiceKind::Addresses(addresses) = &service.kind {
            let own = addresses.iter().map(|address| self.record(&zone.server, (*address).into()));
            zone.records.extend(own.collect::<Vec<_>>());
        }
    }

    /// What exists without records, and the names of pods.
    fn tree(&self, zone: &mut DnsZone) {
        let services = self.zone.with("svc").ok();
        let pods = self.zone.with("pod").ok();
        for namespace in &self.namespaces {
            zone.empty.extend(services.iter().filter_map(|svc| svc.with(namespace).ok()));
            let below = pods.iter().filter_map(|pod| pod.with(namespace).ok());
            match self.pod_names {
                PodNames::Insecure => zone.any_address_below.extend(below),
                PodNames::Verified => zone.empty.extend(below),
                PodNames::Disabled => {}
            }
        }
        for (namespace, address) in self.pods.iter().filter(|_| self.pod_names == PodNames::Verified) {
            let parent = pods.as_ref().and_then(|pod| pod.with(namespace).ok());
            let own = parent.and_then(|parent| parent.with(&with_dashes(*address)).ok());
            zone.records.extend(own.map(|own| self.record(&own, (*address).into())));
        }
    }

    /// The records of a service's own name and ports.
    fn service(&self, service: &ClusterService, name: &DnsName, zone: &mut DnsZone) {
        let addresses: Vec<IpAddr> = match &service.kind {
            ServiceKind::ExternalName(other) => {
                zone.records.insert(self.record(name, DnsValue::Cname(other.clone())));
                return;
            }
            ServiceKind::Addresses(addresses) => addresses.clone(),
            ServiceKind::Headless => service.endpoints.iter().map(|endpoint| endpoint.address).collect(),
        };
        zone.records.extend(addresses.iter().map(|address| self.record(name, (*address).into())));
        let ports: Vec<(&ClusterPort, DnsName)> = match &service.kind {
            ServiceKind::Headless => {
                let of = |endpoint: &ClusterEndpoint| name.with(&endpoint.label()).ok();
                let all = service.endpoints.iter().filter_map(|own| Some((own, of(own)?)));
                all.flat_map(|(own, target)| own.ports.iter().map(move |port| (port, target.clone()))).collect()
            }
            _ => service.ports.iter().map(|port| (port, name.clone())).collect(),
        };
        let mut places: BTreeMap<DnsName, BTreeSet<(u16, DnsName)>> = BTreeMap::new();
        for (port, target) in ports {
            let of_port = port.name.as_ref().and_then(|own| name.with(&format!("_{own}._{}", port.protocol)).ok());
            // CoreDNS answers for the service itself with all its ports.
            for owner in of_port.into_iter().chain([name.clone()]) {
                places.entry(owner).or_default().insert((port.number, target.clone()));
            }
        }
        for (owner, all) in places {
            let weight = u16::try_from(100 / all.len()).unwrap_or(1).max(1);
            let value = |(port, target)| DnsValue::Srv(0, weight, port, target);
            zone.records.extend(all.into_iter().map(|place| self.record(&owner, value(place))));
        }
    }

    /// The names of its endpoints.
    fn endpoints(&self, service: &ClusterService, name: &DnsName, zone: &mut DnsZone) {
        for endpoint in &service.endpoints {
            let owner = name.with(&endpoint.label()).ok();
            zone.records.extend(owner.map(|owner| self.record(&owner, endpoint.address.into())));
        }
    }
}

impl PodNames {
    /// Its word in a Corefile.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insecure => "insecure",
            Self::Verified => "verified",
            Self::Disabled => "disabled",
        }
    }
}

impl ClusterEndpoint {
    /// Its name within the service.
    fn label(&self) -> String {
        self.hostname.clone().unwrap_or_else(|| with_dashes(self.address))
    }
}

/// An address as a label: `10-244-1-2`, `fd00--2`.
fn with_dashes(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}
