//! A query and zones in, an answer out.

use domain::base::iana::{OptRcode, Rcode};
use domain::base::name::FlattenInto;
use domain::base::{Message, Rtype};
use domain::rdata::ZoneRecordData;

use super::lookup::{Outcome, Sections, look_up};
use super::query::{Query, Refusal, Transport};
use super::reply;
use super::zones::{Name, Record, Zones};

/// What becomes of a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: it is no query.
    Nothing,
    /// This is sent back.
    Reply(Vec<u8>),
    /// This is to be asked of somebody else, over the same transport; [`complete`] makes the answer of theirs.
    Ask(Vec<u8>),
}

/// The answer to a query.
pub fn answer(query: &[u8], zones: &Zones, transport: Transport) -> Answer {
    let read = match Query::read(query) {
        Ok(read) => read,
        Err(Refusal::Silence) => return Answer::Nothing,
        Err(Refusal::Unread(header, rcode)) => return Answer::Reply(reply::unread(header, rcode)),
        Err(Refusal::Refused(query, rcode)) => return Answer::Reply(reply::code(&query, rcode, zones.forwards)),
    };
    let sections = match look_up(zones, &read) {
        Outcome::Whole(sections) => sections,
        Outcome::Partly(sections, name) => match (sections.answer.is_empty(), zones.forwards) {
            (true, true) => return Answer::Ask(query.to_vec()),
            (true, false) => return Answer::Reply(reply::code(&read, OptRcode::REFUSED, false)),
            (false, true) => {
                let question = reply::question(&read, &name);
                return question.map_or_else(|| Answer::Reply(failed(&read)), Answer::Ask);
            }
            // The alias is all that is known.
            (false, false) => sections,
        },
    };
    Answer::Reply(reply::whole(&read, &sections, read.limit(transport), zones.forwards))
}

/// The answer to a query for which somebody else was to be asked, with what they said; with nothing, it is `SERVFAIL`.
pub fn complete(query: &[u8], zones: &Zones, transport: Transport, said: Option<&[u8]>) -> Option<Vec<u8>> {
    let read = Query::read(query).ok()?;
    let Outcome::Partly(mut sections, name) = look_up(zones, &read) else { return Some(failed(&read)) };
    let Some((said, message)) = said.and_then(|said| Some((said, answer_to(said, &name, read.rtype)?))) else {
        return Some(failed(&read));
    };
    let limit = read.limit(transport);
    if sections.answer.is_empty() {
        // Theirs, with the number of the query.
        if said.len() <= limit {
            let mut own = said.to_vec();
            for (to, from) in own.iter_mut().zip(query.iter().take(2)) {
                *to = *from;
            }
            return Some(own);
        }
        sections.answer = records(&message, read.rtype);
        sections.rcode = message.header().rcode();
        return Some(reply::whole(&read, &sections, limit, true));
    }
    sections.answer.extend(records(&message, read.rtype));
    sections.rcode = message.header().rcode();
    Some(reply::whole(&read, &sections, limit, true))
}

/// A message, if it is the answer to a question.
fn answer_to<'a>(said: &'a [u8], name: &Name, rtype: Rtype) -> Option<Message<&'a [u8]>> {
    let message = Message::from_octets(said).ok().filter(|message| message.header().qr())?;
    let question = message.sole_question().ok()?;
    (question.qname() == name && question.qtype() == rtype).then_some(message)
}

/// The records of an answer that are of the type, and the aliases.
fn records(message: &Message<&[u8]>, rtype: Rtype) -> Vec<Record> {
    let Ok(section) = message.answer() else { return Vec::new() };
    let all = section.limit_to_in::<ZoneRecordData<_, _>>().filter_map(Result::ok);
    let all = all.filter(|record| [rtype, Rtype::CNAME].contains(&record.rtype()));
    all.filter_map(|record| record.try_flatten_into().ok()).collect()
}

fn failed(query: &Query) -> Vec<u8> {
    reply::whole(query, &Sections::empty(Rcode::SERVFAIL), query.limit(Transport::Udp), true)
}

/// An answer in a few words, as the end of a line: `: www.example.org A: NXDOMAIN`.
pub fn summary(reply: &[u8]) -> String {
    let Ok(message) = Message::from_octets(reply) else { return String::new() };
    let code = message.opt_rcode();
    match message.first_question() {
        Some(question) => format!(": {} {}: {code}", question.qname(), question.qtype()),
        None => format!(": {code}"),
    }
}
