//! A DNS query, what comes back, and whether that is what was promised.
//!
//! Messages are the library's (domain); RFC 1035 names the parts.

use std::io;
use std::net::IpAddr;

use domain::base::iana::Rcode;
use domain::base::message::RecordSection;
use domain::base::wire::ParseError;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype};
use domain::rdata::AllRecordData;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{DnsAnswer, DnsQuery, DnsType};

/// The largest message over UDP that nslab reads, which is also the largest there is.
pub(super) const LARGEST: usize = 65_535;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DnsReply {
    /// Its code, in words: `NOERROR`.
    code: String,
    /// The records of the type that was asked for, of the name or of the one that it stands for.
    records: Vec<String>,
}

/// What a datagram is.
pub(super) enum Reply {
    /// The answer.
    Answered(DnsReply),
    /// The answer, of which there is too much for UDP.
    Truncated,
    /// No answer to what was asked, or one that cannot be read.
    OfOthers,
}

/// What an answer is called that has no record of what was asked, and does not say that there is none.
const UNANSWERED: &str = "a referral, or records of other names";

/// A query as a message, with an identifier that answers repeat.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn query(query: &DnsQuery, identifier: u16) -> Result<Vec<u8>, String> {
    let name: Name<Vec<u8>> = query.name.parse().map_err(|error| format!("`{}`: {error}", query.name))?;
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(identifier);
    message.header_mut().set_rd(true);
    let mut message = message.question();
    message.push((name, rtype(query.kind))).map_err(|error| format!("nslab cannot ask for it: {error}"))?;
    Ok(message.finish())
}

/// What a message is that came to whoever has sent a query.
pub(super) fn read(query: &DnsQuery, asked: &[u8], came: &[u8]) -> Reply {
    let (Ok(asked), Ok(came)) = (Message::from_octets(asked), Message::from_octets(came)) else {
        return Reply::OfOthers;
    };
    if !came.is_answer(&asked) {
        return Reply::OfOthers;
    }
    if came.header().tc() {
        return Reply::Truncated;
    }
    match records(query, &came) {
        Some(records) => {
            let says_nothing = came.header().rcode() == Rcode::NOERROR && records.is_empty() && !is_no_data(&came);
            let code = if says_nothing { UNANSWERED.to_owned() } else { came.header().rcode().to_string() };
            Reply::Answered(DnsReply { code, records })
        }
        None => Reply::OfOthers,
    }
}

/// Whether an answer without records says that there are none, by RFC 2308, section 2.2: it is no referral to other
/// servers, and an alias comes with the SOA of the zone that its target is missing from.
fn is_no_data(came: &Message<&[u8]>) -> bool {
    let types = |section: Result<RecordSection<'_, &[u8]>, ParseError>| -> Vec<Rtype> {
        section.into_iter().flatten().flatten().map(|record| record.rtype()).collect()
    };
    let (answer, authority) = (types(came.answer()), types(came.authority()));
    let has_soa = authority.contains(&Rtype::SOA);
    let is_referral = authority.contains(&Rtype::NS) && !has_soa;
    !is_referral && answer.iter().all(|own| *own == Rtype::CNAME) && (answer.is_empty() || has_soa)
}

/// The records that answer a question: those of the name, or of the one that it is an alias of. None: they cannot be
/// read.
fn records(query: &DnsQuery, came: &Message<&[u8]>) -> Option<Vec<String>> {
    let owner = match query.kind {
        DnsType::Cname => came.first_question()?.into_qname(),
        _ => came.canonical_name()?,
    };
    let wanted = rtype(query.kind);
    let mut records = Vec::new();
    for record in came.answer().ok()?.limit_to_in::<AllRecordData<&[u8], ParsedName<&[u8]>>>() {
        let record = record.ok()?;
        if record.rtype() == wanted && *record.owner() == owner {
            records.push(match record.data() {
                AllRecordData::Txt(text) => String::from_utf8_lossy(&text.text::<Vec<u8>>()).into_owned(),
                data => query.kind.normal(&data.to_string()),
            });
        }
    }
    records.sort();
    records.dedup();
    Some(records)
}

/// Asks over TCP, where each message has its length before it (RFC 1035, section 4.2.2).
///
/// # Errors
/// The connection ends.
pub(super) async fn ask(stream: &mut TcpStream, asked: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(asked.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), asked].concat()).await?;
    let mut came = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut came).await?;
    Ok(came)
}

fn rtype(kind: DnsType) -> Rtype {
    match kind {
        DnsType::A => Rtype::A,
        DnsType::Aaaa => Rtype::AAAA,
        DnsType::Cname => Rtype::CNAME,
        DnsType::Mx => Rtype::MX,
        DnsType::Ns => Rtype::NS,
        DnsType::Ptr => Rtype::PTR,
        DnsType::Srv => Rtype::SRV,
        DnsType::Txt => Rtype::TXT,
    }
}

/// What a check promises of the answer, in words: `web.lab A is 10.0.0.3`.
pub(super) fn promise(query: &DnsQuery) -> String {
    format!("{} {} is {}", query.name, query.kind, wanted(query.answer.as_ref()))
}

fn wanted(answer: Option<&DnsAnswer>) -> String {
    match answer {
        Some(DnsAnswer::Records(records)) => records.join(", "),
        Some(DnsAnswer::NoName) => "NXDOMAIN".to_owned(),
        Some(DnsAnswer::NoData) => "NODATA".to_owned(),
        Some(DnsAnswer::Refused) => "REFUSED".to_owned(),
        None => "anything".to_owned(),
    }
}

impl DnsReply {
    /// Whether it is what was promised.
    ///
    /// # Errors
    /// What it is instead, in words.
    pub(super) fn judge(&self, query: &DnsQuery) -> Result<(), String> {
        let is_so = match &query.answer {
            None => true,
            Some(DnsAnswer::Records(records)) => self.code == "NOERROR" && self.records == *records,
            Some(DnsAnswer::NoData) => self.code == "NOERROR" && self.records.is_empty(),
            Some(DnsAnswer::NoName) => self.code == "NXDOMAIN" && self.records.is_empty(),
            Some(DnsAnswer::Refused) => self.code == "REFUSED",
        };
        match is_so {
            true => Ok(()),
            false => Err(format!("{} instead of {}", self.in_short(), wanted(query.answer.as_ref()))),
        }
    }

    /// The first of its addresses.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.records.iter().find_map(|record| record.parse().ok())
    }

    /// Whether it says that there is no such name.
    pub(super) fn is_no_name(&self) -> bool {
        self.code == "NXDOMAIN"
    }

    /// Whether it says what there is of the name, if anything.
    pub(super) fn is_final(&self) -> bool {
        self.code == "NOERROR" || self.is_no_name()
    }

    /// Its records, or why there are none.
    pub(super) fn in_short(&self) -> String {
        match (self.code.as_str(), self.records.is_empty()) {
            ("NOERROR", true) => "NODATA".to_owned(),
            ("NOERROR", false) => self.records.join(", "),
            (code, _) => code.to_owned(),
        }
    }
}
