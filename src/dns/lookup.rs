//! What there is of a name, with what the asker will need next.

use domain::base::iana::{Class, Rcode};
use domain::base::{Rtype, Ttl};

use super::query::Query;
use super::zones::{Data, Found, Name, Record, Zone, Zones};

/// How many aliases are followed.
const MOST_ALIASES: usize = 8;

/// What an answer says.
#[derive(Debug)]
pub struct Sections {
    pub rcode: Rcode,
    pub authoritative: bool,
    pub answer: Vec<Record>,
    pub authority: Vec<Record>,
    pub additional: Vec<Record>,
}

/// What was found.
#[derive(Debug)]
pub enum Outcome {
    /// All that there is.
    Whole(Sections),
    /// It goes on at a name outside.
    Partly(Sections, Name),
}

/// Looks up what a query asks for. In answers, the addresses of a name are turned by the number of the query, so that
/// those who take the first one take each of them in turn.
pub fn look_up(zones: &Zones, query: &Query) -> Outcome {
    let mut sections = Sections::empty(Rcode::NOERROR);
    let mut name = query.name.clone();
    let mut seen = vec![name.clone()];
    loop {
        let Some(zone) = zones.of(&name) else { return Outcome::Partly(sections, name) };
        match zone.find(&name, query.rtype) {
            Found::NoName if zone.falls_through => return Outcome::Partly(sections, name),
            Found::Records(mut records) => {
                if matches!(query.rtype, Rtype::A | Rtype::AAAA) {
                    let turn = usize::from(query.header.id()) % records.len().max(1);
                    records.rotate_left(turn);
                }
                sections.authoritative = true;
                sections.add(&name, records, zones);
            }
            Found::Alias(ttl, data, target) => {
                sections.authoritative = true;
                sections.answer.push(record(&name, ttl, data));
                if seen.len() < MOST_ALIASES && !seen.contains(&target) {
                    seen.push(target.clone());
                    name = target;
                    continue;
                }
            }
            Found::Referral(cut, servers) => sections.refer(&cut, servers, zone),
            Found::NoData => sections.negative(zone, Rcode::NOERROR),
            Found::NoName => sections.negative(zone, Rcode::NXDOMAIN),
        }
        return Outcome::Whole(sections);
    }
}

impl Sections {
    /// Nothing but a code.
    pub fn empty(rcode: Rcode) -> Self {
        let (answer, authority, additional) = Default::default();
        Self { rcode, authoritative: false, answer, authority, additional }
    }

    /// Adds records, and the addresses of the names in them.
    fn add(&mut self, owner: &Name, records: Vec<(Ttl, Data)>, zones: &Zones) {
        for (ttl, data) in records {
            let target = match &data {
                Data::Srv(own) => Some(own.target()),
                Data::Mx(own) => Some(own.exchange()),
                Data::Ns(own) => Some(own.nsdname()),
                _ => None,
            };
            let zone = target.and_then(|target| Some((zones.of(target)?, target)));
            if let Some((zone, target)) = zone {
                self.help(zone, target);
            }
            self.answer.push(record(owner, ttl, data));
        }
    }

    fn help(&mut self, zone: &Zone, target: &Name) {
        if self.additional.iter().all(|record| record.owner() != target) {
            self.additional.extend(zone.addresses(target).into_iter().map(|(ttl, data)| record(target, ttl, data)));
        }
    }

    fn refer(&mut self, cut: &Name, servers: Vec<(Ttl, Data)>, zone: &Zone) {
        for (ttl, data) in servers {
            if let Data::Ns(server) = &data {
                self.help(zone, server.nsdname());
            }
            self.authority.push(record(cut, ttl, data));
        }
    }

    /// Nothing, and for how long that is true (RFC 2308, section 3).
    fn negative(&mut self, zone: &Zone, rcode: Rcode) {
        self.authoritative = true;
        self.rcode = rcode;
        self.authority.push(zone.soa.clone());
    }
}

fn record(owner: &Name, ttl: Ttl, data: Data) -> Record {
    Record::new(owner.clone(), Class::IN, ttl, data)
}
