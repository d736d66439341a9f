//! What programs in namespaces find in `/etc`. Where one namespace says anything of it, all have files of the lab's:
//! whoever asks for another by its name finds it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indexmap::IndexMap;

use super::net::{Net, ResolvedNamespace};
use crate::lab::{DnsData, EtcFiles, EtcHosts, LabEtc, Namespace, NsName, hosts_text, lab_hosts, zones_text};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Dns, Hosts, HostsOf, Resolver};

/// How many servers the C library asks (`MAXNS` of resolv.h).
const MOST_SERVERS: usize = 3;

/// The files of all namespaces; none where the file does not ask for any.
pub fn resolve(
    net: &Net<'_>,
    namespaces: &IndexMap<NsName, Namespace>,
    name_servers: &BTreeMap<NsName, DnsData>,
    found: &mut Collector<'_>,
) -> LabEtc {
    let asks = |namespace: &&ResolvedNamespace<'_>| {
        let written = namespace.written;
        let has_programs = !written.run.entries.is_empty() || !written.serve.is_empty();
        written.hosts.is_some() || written.dns.is_some() || has_programs
    };
    for namespace in net.namespaces.iter().filter(asks) {
        check(namespace, found);
    }
    if !net.namespaces.iter().any(|namespace| asks(&namespace)) {
        return LabEtc::default();
    }
    let own = net.namespaces.iter().filter(|namespace| !namespace.name.is_host());
    LabEtc {
        hosts: Some(lab_hosts(namespaces)),
        namespaces: own
            .map(|namespace| {
                let zones = name_servers.get(&namespace.name).map(zones_text);
                (namespace.name.clone(), EtcFiles { zones, ..files(namespace) })
            })
            .collect(),
        ..LabEtc::default()
    }
}

fn check(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) {
    let written = namespace.written;
    if namespace.name.is_host() {
        let hosts = written.hosts.as_ref().map(|hosts| match hosts {
            Hosts::As(word) => word.span,
            Hosts::Own(_, span) => *span,
        });
        for span in hosts.into_iter().chain(written.dns.as_ref().map(|resolver| resolver.span)) {
            let fault = Diagnostic::new(Code::HostHasItsOwn, span, "the machine keeps its own /etc");
            found.add(fault.help("say it of the namespaces in which the programs run".to_owned()));
        }
    }
    if let Some(Resolver { dns, .. }) = &written.dns
        && let Some(fourth) = dns.nameservers.get(MOST_SERVERS)
    {
        let message = format!("{} name servers, of which the C library asks {MOST_SERVERS}", dns.nameservers.len());
        found.add(Diagnostic::new(Code::TooMany, fourth.span, message));
    }
}

fn files(namespace: &ResolvedNamespace<'_>) -> EtcFiles {
    let hosts = match &namespace.written.hosts {
        None => Some(EtcHosts::Lab),
        Some(Hosts::As(word)) if word.value == HostsOf::Lab => Some(EtcHosts::Lab),
        Some(Hosts::As(_)) => None,
        Some(Hosts::Own(names, _)) => {
            Some(EtcHosts::Own(hosts_text(names.entries.iter().flat_map(|(name, addresses)| {
                addresses.0.iter().map(|address| (address.value, name.value.0.as_str()))
            }))))
        }
    };
    let resolv_conf = namespace.written.dns.as_ref().map(|resolver| resolv_conf(&resolver.dns));
    let files = EtcFiles { hosts, resolv_conf, ..EtcFiles::of(&namespace.name) };
    match &namespace.written.hostname {
        Some(own) => EtcFiles { hostname: Some(format!("{}\n", own.value.0)), ..files },
        None => files,
    }
}

fn resolv_conf(dns: &Dns) -> String {
    let mut text = String::new();
    for server in &dns.nameservers {
        // Writing to a string does not fail.
        let _ = writeln!(text, "nameserver {}", server.value);
    }
    let lines = [
        ("search", dns.search.iter().map(|domain| domain.value.0.as_str()).collect::<Vec<_>>()),
        ("options", dns.options.iter().map(|option| option.value.0.as_str()).collect()),
    ];
    for (key, words) in lines.into_iter().filter(|(_, words)| !words.is_empty()) {
        let _ = writeln!(text, "{key} {}", words.join(" "));
    }
    text
}
