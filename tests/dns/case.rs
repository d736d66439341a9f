//! What the server of a case knows.
//!
//! Zones line by line: `zone APEX TTL`, then records as zone files have them, `OWNER TTL TYPE DATA`, with whole names.
//! `empty NAME` is a name without records; `forward ADDRESS` is who is asked for everything else. Or a cluster, line by
//! line: `cluster ZONE TTL PODS`, `namespace NAME`, `pod NAMESPACE ADDRESS`, `server SERVICE`,
//! `service NAMESPACE/NAME ADDRESS,…|headless|external=NAME [PORT …]`,
//! `endpoint NAMESPACE/NAME ADDRESS [hostname=NAME] [PORT …]`, with ports as `http=80/tcp` or `80/tcp`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nslab::dns::{Cluster, ClusterEndpoint, ClusterPort, ClusterService, PodNames, ServiceKind};
use nslab::lab::{DnsData, DnsName, DnsRecord, DnsValue, DnsZone, IpProtocol};

pub fn data(text: &str) -> DnsData {
    let mut data = DnsData::default();
    let mut cluster: Option<Cluster> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), &mut cluster) {
            (["zone", apex, ttl], _) => data.zones.push(zone(apex, ttl)),
            (["empty", own], _) => last(&mut data).empty.extend([name(own)]),
            (["forward", address], _) => data.forward.push(address.parse().expect("an address")),
            (["cluster", zone, ttl, pods], _) => cluster = Some(begin(zone, ttl, pods)),
            (_, Some(cluster)) => add(cluster, &words),
            (_, None) => last(&mut data).records.extend([record(&words)]),
        }
    }
    if let Some(mut cluster) = cluster {
        cluster.forwards = !data.forward.is_empty();
        data.zones.extend(cluster.zones());
    }
    data
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn last(data: &mut DnsData) -> &mut DnsZone {
    data.zones.last_mut().expect("a zone")
}

fn zone(apex: &str, ttl: &str) -> DnsZone {
    DnsZone {
        apex: name(apex),
        ttl: ttl.parse().expect("a TTL"),
        server: name(apex).with("ns").expect("a name"),
        records: BTreeSet::new(),
        empty: BTreeSet::new(),
        any_address_below: BTreeSet::new(),
        falls_through: false,
    }
}

fn record(words: &[&str]) -> DnsRecord {
    let [owner, ttl, kind, value @ ..] = words else { panic!("{words:?}") };
    let number = |at: usize| value[at].parse().expect("a number");
    let value = match *kind {
        "A" => DnsValue::A(value[0].parse().expect("an address")),
        "AAAA" => DnsValue::Aaaa(value[0].parse().expect("an address")),
        "CNAME" => DnsValue::Cname(name(value[0])),
        "MX" => DnsValue::Mx(number(0), name(value[1])),
        "NS" => DnsValue::Ns(name(value[0])),
        "PTR" => DnsValue::Ptr(name(value[0])),
        "SRV" => DnsValue::Srv(number(0), number(1), number(2), name(value[3])),
        "TXT" => DnsValue::Txt(value.join(" ").trim_matches('"').to_owned()),
        other => panic!("the type {other}"),
    };
    DnsRecord { owner: name(owner), value, ttl: ttl.parse().expect("a TTL") }
}

fn begin(zone: &str, ttl: &str, pods: &str) -> Cluster {
    Cluster {
        zone: name(zone),
        ttl: ttl.parse().expect("a TTL"),
        pod_names: match pods {
            "insecure" => PodNames::Insecure,
            "verified" => PodNames::Verified,
            "disabled" => PodNames::Disabled,
            other => panic!("{other}"),
        },
        namespaces: BTreeSet::new(),
        pods: Vec::new(),
        services: Vec::new(),
        server: None,
        forwards: false,
    }
}

fn add(cluster: &mut Cluster, words: &[&str]) {
    let service = |text: &str| text.split_once('/').map(|(of, name)| (of.to_owned(), name.to_owned())).expect("a /");
    match words {
        ["namespace", own] => cluster.namespaces.extend([(*own).to_owned()]),
        ["pod", of, address] => cluster.pods.push(((*of).to_owned(), address.parse().expect("an address"))),
        ["server", own] => cluster.server = Some(service(own)),
        ["service", own, kind, ports @ ..] => {
            let (namespace, name_of) = service(own);
            let kind = match (*kind, kind.strip_prefix("external=")) {
                ("headless", _) => ServiceKind::Headless,
                (_, Some(other)) => ServiceKind::ExternalName(name(other)),
                (list, None) => ServiceKind::Addresses(list.split(',').map(address).collect()),
            };
            let ports = ports.iter().map(|text| port(text)).collect();
            cluster.services.push(ClusterService { namespace, name: name_of, kind, ports, endpoints: Vec::new() });
        }
        ["endpoint", own, at, rest @ ..] => {
            let own = service(own);
            let hostname = rest.iter().find_map(|word| word.strip_prefix("hostname=")).map(str::to_owned);
            let ports = rest.iter().filter(|word| word.contains('/')).map(|text| port(text)).collect();
            let found = cluster.services.iter_mut().find(|of| (&of.namespace, &of.name) == (&own.0, &own.1));
            let endpoint = ClusterEndpoint { address: address(at), hostname, ports };
            found.expect("its service").endpoints.push(endpoint);
        }
        other => panic!("{other:?}"),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn port(text: &str) -> ClusterPort {
    let (name, number) = text.split_once('=').map_or((None, text), |(name, number)| (Some(name.to_owned()), number));
    let (number, protocol) = number.split_once('/').expect("a protocol");
    let protocol = match protocol {
        "tcp" => IpProtocol::Tcp,
        "udp" => IpProtocol::Udp,
        other => panic!("{other}"),
    };
    ClusterPort { name, protocol, number: number.parse().expect("a number") }
}
