//! What a server knows, for people: its records as a zone file has them, and a Corefile for the real CoreDNS.

use std::fmt::Write as _;

use super::cluster::PodNames;
use crate::lab::{DnsData, DnsName, DnsRecord, DnsValue, DnsZone};

/// The records of all zones, one a line (RFC 1035, section 5.1).
pub fn records(data: &DnsData) -> String {
    let mut text = String::new();
    for zone in &data.zones {
        // Writing to a string does not fail.
        let _ = writeln!(text, "; zone {}", zone.apex);
        for record in &zone.records {
            let _ = writeln!(text, "{}", line(record));
        }
        for name in &zone.any_address_below {
            let _ = writeln!(text, "; every address with dashes below {name}");
        }
    }
    for server in &data.forward {
        let _ = writeln!(text, "; everything else is asked of {server}");
    }
    text
}

fn line(DnsRecord { owner, value, ttl }: &DnsRecord) -> String {
    let value = match value {
        DnsValue::A(own) => format!("A {own}"),
        DnsValue::Aaaa(own) => format!("AAAA {own}"),
        DnsValue::Cname(own) => format!("CNAME {own}"),
        DnsValue::Mx(preference, own) => format!("MX {preference} {own}"),
        DnsValue::Ns(own) => format!("NS {own}"),
        DnsValue::Ptr(own) => format!("PTR {own}"),
        DnsValue::Srv(priority, weight, port, own) => format!("SRV {priority} {weight} {port} {own}"),
        DnsValue::Txt(own) => format!("TXT \"{}\"", own.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    format!("{owner} {ttl} IN {value}")
}

/// The Corefile of kubeadm for the zone of a cluster, as far as answers depend on it; none without such a zone.
pub fn corefile(data: &DnsData) -> Option<String> {
    let has_version = |zone: &&DnsZone| {
        let version = zone.apex.with("dns-version").ok();
        version.is_some_and(|version| zone.records.iter().any(|record| record.owner == version))
    };
    let zone = data.zones.iter().find(has_version)?;
    let apex = zone.apex.as_str();
    let (pods, ttl) = (pod_names(zone).name(), zone.ttl);
    let addresses: Vec<String> = data.forward.iter().map(ToString::to_string).collect();
    let (fall, forward) = match addresses.is_empty() {
        true => (String::new(), String::new()),
        false => (
            "        fallthrough in-addr.arpa ip6.arpa\n".to_owned(),
            format!("    forward . {} {{\n        policy sequential\n    }}\n", addresses.join(" ")),
        ),
    };
    Some(format!(
        ".:53 {{\n    errors\n    kubernetes {apex} in-addr.arpa ip6.arpa {{\n        pods {pods}\n        ttl {ttl}\n{fall}    \
         }}\n{forward}    loadbalance\n}}\n"
    ))
}

fn pod_names(zone: &DnsZone) -> PodNames {
    let pods: Option<DnsName> = zone.apex.with("pod").ok();
    match pods {
        _ if !zone.any_address_below.is_empty() => PodNames::Insecure,
        Some(pods) if zone.empty.iter().any(|name| name.is_in(&pods)) => PodNames::Verified,
        _ => PodNames::Disabled,
    }
}
