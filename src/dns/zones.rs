//! Zones, ready to be looked up in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use domain::base::iana::Class;
use domain::base::{Record as AnyRecord, RecordData, Rtype, Serial, ToName, Ttl};
use domain::rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt, ZoneRecordData};

use crate::lab::{DnsData, DnsName, DnsValue, DnsZone};

pub type Name = domain::base::Name<Vec<u8>>;
pub type Data = ZoneRecordData<Vec<u8>, Name>;
pub type Record = AnyRecord<Name, Data>;

/// The zones of a server.
#[derive(Debug, Default)]
pub struct Zones {
    zones: BTreeMap<Name, Zone>,
    /// Whether the server asks others.
    pub(super) forwards: bool,
}

/// A zone.
#[derive(Debug)]
pub struct Zone {
    pub soa: Record,
    pub falls_through: bool,
    /// The records of each name; none of names that exist only as there are others below them.
    names: BTreeMap<Name, Vec<(Ttl, Data)>>,
    any_address_below: BTreeSet<Name>,
}

/// What a zone has of a name.
pub enum Found {
    /// These records, all of one type.
    Records(Vec<(Ttl, Data)>),
    /// Another name.
    Alias(Ttl, Data, Name),
    /// Others have authority: the name from which on, and who.
    Referral(Name, Vec<(Ttl, Data)>),
    /// The name, but nothing of the type.
    NoData,
    /// Nothing.
    NoName,
}

impl Zones {
    /// Those of a server.
    pub fn new(data: &DnsData) -> Self {
        let zones = data.zones.iter().filter_map(|zone| Some((name(&zone.apex)?, Zone::new(zone)?)));
        Self { zones: zones.collect(), forwards: !data.forward.is_empty() }
    }

    /// The zone that a name is in: that with the longest name.
    pub fn of(&self, name: &Name) -> Option<&Zone> {
        name.iter_suffixes().find_map(|suffix| self.zones.get(suffix.for_slice()))
    }
}

impl Zone {
    fn new(zone: &DnsZone) -> Option<Self> {
        let apex = name(&zone.apex)?;
        let ttl = Ttl::from_secs(zone.ttl);
        let mut names: BTreeMap<Name, Vec<(Ttl, Data)>> = BTreeMap::new();
        for record in &zone.records {
            let (Some(owner), Some(data)) = (name(&record.owner), data(&record.value)) else { continue };
            names.entry(owner).or_default().push((Ttl::from_secs(record.ttl), data));
        }
        let below: BTreeSet<Name> = zone.any_address_below.iter().filter_map(name).collect();
        let empty = zone.empty.iter().filter_map(name).chain(below.iter().cloned());
        let others = empty.chain(names.keys().cloned()).chain([apex.clone()]);
        // What is above a name exists as well (RFC 8020).
        for other in others.collect::<Vec<_>>() {
            for above in other.iter_suffixes().take_while(|above| above.ends_with(&apex)) {
                if !names.contains_key(above.for_slice()) {
                    names.insert(above.to_vec(), Vec::new());
                }
            }
        }
        let contact = name(&zone.apex.with("hostmaster").unwrap_or_else(|_| zone.apex.clone()))?;
        let seconds = Ttl::from_secs;
        // Without transfers, nobody looks at the serial number and the first three times, which are CoreDNS' own.
        let soa = Soa::new(name(&zone.server)?, contact, Serial(1), seconds(7200), seconds(1800), seconds(86400), ttl);
        let soa = Record::new(apex, Class::IN, ttl, Data::Soa(soa));
        Some(Self { soa, falls_through: zone.falls_through, names, any_address_below: below })
    }

    /// What the zone has of a name in it (RFC 1034, section 4.3.2).
    pub fn find(&self, name: &Name, rtype: Rtype) -> Found {
        let apex = self.soa.owner();
        let mut above: Vec<Name> = name.iter_suffixes().map(|own| own.to_vec()).collect();
        above.retain(|own| own.ends_with(apex) && own != apex);
        for cut in above.iter().rev() {
            let servers = self.names.get(cut).map(|records| of_type(records, Rtype::NS)).unwrap_or_default();
            let is_asked_above = cut == name && rtype == Rtype::DS;
            if !servers.is_empty() && !is_asked_above {
                return Found::Referral(cut.clone(), servers);
            }
        }
        if let Some(records) = self.names.get(name) {
            return self.of(name, records, rtype);
        }
        if let Some(address) = self.address(name) {
            return match address.into() {
                value if rtype_of(&value) == rtype => {
                    Found::Records(data(&value).map(|data| (self.soa.ttl(), data)).into_iter().collect())
                }
                _ => Found::NoData,
            };
        }
        // The wildcard of the nearest name above that exists (RFC 4592, section 3.3.1).
        let nearest = above.iter().skip(1).find(|own| self.names.contains_key(*own)).unwrap_or(apex);
        let wildcard = Name::vec_from_str(&format!("*.{nearest}")).ok().and_then(|own| self.names.get(&own));
        wildcard.map_or(Found::NoName, |records| self.of(name, records, rtype))
    }

    fn of(&self, name: &Name, records: &[(Ttl, Data)], rtype: Rtype) -> Found {
        if rtype == Rtype::SOA && name == self.soa.owner() {
            return Found::Records(vec![(self.soa.ttl(), self.soa.data().clone())]);
        }
        // Of everything, something (RFC 8482, section 4.1).
        let rtype = match rtype {
            Rtype::ANY => records.first().map_or(rtype, |(_, data)| data.rtype()),
            _ => rtype,
        };
        let own = of_type(records, rtype);
        let alias = records.iter().find_map(|(ttl, data)| match data {
            Data::Cname(target) => Some(Found::Alias(*ttl, data.clone(), target.cname().clone())),
            _ => None,
        });
        match alias {
            _ if !own.is_empty() => Found::Records(own),
            Some(alias) => alias,
            None => Found::NoData,
        }
    }

    /// The address that a name is made of: `10-244-1-2` below one of the names for that.
    fn address(&self, name: &Name) -> Option<IpAddr> {
        let (label, parent) = name.split_first()?;
        if !self.any_address_below.contains(parent.for_slice()) {
            return None;
        }
        let text = std::str::from_utf8(label.as_slice()).ok()?;
        match text.matches('-').count() == 3 && !text.contains("--") {
            true => text.replace('-', ".").parse().ok().map(IpAddr::V4),
            false => text.replace('-', ":").parse().ok().map(IpAddr::V6),
        }
    }

    /// The addresses of a name in the zone.
    pub fn addresses(&self, name: &Name) -> Vec<(Ttl, Data)> {
        let records = self.names.get(name).map_or(&[][..], Vec::as_slice);
        let is_address = |data: &Data| matches!(data, Data::A(_) | Data::Aaaa(_));
        records.iter().filter(|(_, data)| is_address(data)).cloned().collect()
    }
}

fn of_type(records: &[(Ttl, Data)], rtype: Rtype) -> Vec<(Ttl, Data)> {
    records.iter().filter(|(_, data)| data.rtype() == rtype).cloned().collect()
}

/// A name of the model; none that has passed its rules is left out here.
fn name(name: &DnsName) -> Option<Name> {
    Name::vec_from_str(&name.to_string()).ok()
}

fn rtype_of(value: &DnsValue) -> Rtype {
    match value {
        DnsValue::A(_) => Rtype::A,
        DnsValue::Aaaa(_) => Rtype::AAAA,
        DnsValue::Cname(_) => Rtype::CNAME,
        DnsValue::Mx(..) => Rtype::MX,
        DnsValue::Ns(_) => Rtype::NS,
        DnsValue::Ptr(_) => Rtype::PTR,
        DnsValue::Srv(..) => Rtype::SRV,
        DnsValue::Txt(_) => Rtype::TXT,
    }
}

fn data(value: &DnsValue) -> Option<Data> {
    Some(match value {
        DnsValue::A(own) => Data::A(A::new(*own)),
        DnsValue::Aaaa(own) => Data::Aaaa(Aaaa::new(*own)),
        DnsValue::Cname(target) => Data::Cname(Cname::new(name(target)?)),
        DnsValue::Mx(preference, exchange) => Data::Mx(Mx::new(*preference, name(exchange)?)),
        DnsValue::Ns(server) => Data::Ns(Ns::new(name(server)?)),
        DnsValue::Ptr(target) => Data::Ptr(Ptr::new(name(target)?)),
        DnsValue::Srv(priority, weight, port, target) => Data::Srv(Srv::new(*priority, *weight, *port, name(target)?)),
        DnsValue::Txt(text) => Data::Txt(Txt::build_from_slice(text.as_bytes()).ok()?),
    })
}
