//! Zones of name servers: the names in them made whole, and what does not fit together.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::lab::{DnsName, DnsRecord, DnsValue, DnsZone};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{OneOrMany, Records, Spanned, Target, TypedRecords, Zone};

/// For how many seconds a record may be kept, where the file does not say.
pub const TTL: u32 = 300;

/// A zone of a name.
pub fn zone(apex: &DnsName, written: &Zone, ttl: u32, found: &mut Collector<'_>) -> DnsZone {
    let mut zone = Whole { apex, ttl, records: BTreeSet::new(), found };
    let mut server = None;
    for (owner, records) in &written.entries {
        let Some(name) = zone.name(&owner.value.0, owner.span) else { continue };
        let before = zone.records.len();
        match records {
            Records::Addresses(addresses) => {
                zone.addresses(&name, addresses, |_| None);
            }
            Records::Typed(typed) => {
                zone.typed(&name, typed);
                if name == *apex {
                    server = typed.ns.as_ref().and_then(|servers| servers.0.first().cloned());
                }
            }
        }
        if zone.records.len() == before && !zone.found.has_faults() {
            let fault = Diagnostic::new(Code::MissingValue, owner.span, format!("`{}` has no records", owner.value.0));
            zone.found.add(fault.help("write an address, or records by their types: { TXT: text }".to_owned()));
        }
    }
    let server = server.and_then(|server| zone.target(&server)).unwrap_or_else(|| apex.clone());
    DnsZone {
        apex: apex.clone(),
        ttl,
        server,
        records: zone.records,
        empty: BTreeSet::new(),
        any_address_below: BTreeSet::new(),
        falls_through: false,
    }
}

/// A zone whose names are made whole.
struct Whole<'w, 'f, 'a> {
    apex: &'w DnsName,
    ttl: u32,
    records: BTreeSet<DnsRecord>,
    found: &'f mut Collector<'a>,
}

impl Whole<'_, '_, '_> {
    fn add(&mut self, owner: &DnsName, value: DnsValue) {
        self.records.insert(DnsRecord { owner: owner.clone(), value, ttl: self.ttl });
    }

    /// A name below the zone's.
    fn name(&mut self, text: &str, span: Span) -> Option<DnsName> {
        let name = if text == "@" { Ok(self.apex.clone()) } else { self.apex.with(text) };
        match name {
            Ok(name) => Some(name),
            Err(error) => {
                let message = format!("`{text}` is no name below {}: {error}", self.apex.as_str());
                self.found.add(Diagnostic::new(Code::BadValue, span, message));
                None
            }
        }
    }

    fn target(&mut self, target: &Spanned<Target>) -> Option<DnsName> {
        self.whole(&target.value, target.span)
    }

    fn whole(&mut self, Target(text): &Target, span: Span) -> Option<DnsName> {
        if text == "@" || !text.contains('.') { self.name(text, span) } else { text.parse().ok() }
    }

    /// Adds addresses; `wrong` says what is wrong with one.
    fn addresses(
        &mut self,
        owner: &DnsName,
        addresses: &OneOrMany<Spanned<IpAddr>>,
        wrong: impl Fn(IpAddr) -> Option<&'static str>,
    ) {
        for address in &addresses.0 {
            if let Some(help) = wrong(address.value) {
                let message = format!("{} is of the other family", address.value);
                self.found.add(Diagnostic::new(Code::FamilyMismatch, address.span, message).help(help.to_owned()));
            }
            self.add(owner, address.value.into());
        }
    }

    fn typed(&mut self, owner: &DnsName, typed: &TypedRecords) {
        let TypedRecords { a, aaaa, cname, mx, ns, ptr, srv, txt } = typed;
        if let Some(addresses) = a {
            self.addresses(owner, addresses, |own| own.is_ipv6().then_some("records of IPv6 addresses are AAAA"));
        }
        if let Some(addresses) = aaaa {
            self.addresses(owner, addresses, |own| own.is_ipv4().then_some("records of IPv4 addresses are A"));
        }
        let before = self.records.len();
        for mx in mx.iter().flat_map(|list| &list.0) {
            let name = self.whole(&mx.value.1, mx.span);
            name.into_iter().for_each(|name| self.add(owner, DnsValue::Mx(mx.value.0, name)));
        }
        for own in ns.iter().flat_map(|list| &list.0) {
            let name = self.target(own);
            name.into_iter().for_each(|name| self.add(owner, DnsValue::Ns(name)));
        }
        for own in ptr.iter().flat_map(|list| &list.0) {
            let name = self.target(own);
            name.into_iter().for_each(|name| self.add(owner, DnsValue::Ptr(name)));
        }
        for srv in srv.iter().flat_map(|list| &list.0) {
            let name = self.whole(&srv.value.3, srv.span);
            let (priority, weight, port) = (srv.value.0, srv.value.1, srv.value.2);
            name.into_iter().for_each(|name| self.add(owner, DnsValue::Srv(priority, weight, port, name)));
        }
        for text in txt.iter().flat_map(|list| &list.0) {
            self.add(owner, DnsValue::Txt(text.value.0.clone()));
        }
        let has_others = self.records.len() > before || a.is_some() || aaaa.is_some();
        if let Some(target) = cname {
            // RFC 1034, section 3.6.2; at the zone itself, there is always the record SOA.
            if has_others || owner == self.apex {
                let what = if owner == self.apex { "the zone's own name" } else { "a name with other records" };
                let message = format!("{what} cannot be another name (CNAME)");
                self.found.add(Diagnostic::new(Code::ContradictoryKeys, target.span, message));
            }
            let name = self.target(target);
            name.into_iter().for_each(|name| self.add(owner, DnsValue::Cname(name)));
        }
    }
}
