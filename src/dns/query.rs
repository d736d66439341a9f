//! What was asked, and which questions get no answer.

use domain::base::iana::{Class, Opcode, OptRcode};
use domain::base::{Header, Message, Rtype, ToName};

use super::zones::Name;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// A query with one question of the Internet's class.
#[derive(Debug)]
pub struct Query {
    pub header: Header,
    /// The name as it was written, in large and small letters.
    pub name: Name,
    pub class: Class,
    pub rtype: Rtype,
    pub edns: Option<Edns>,
}

/// What the asker says of itself (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// How many bytes it takes in a datagram.
    pub size: u16,
    /// Whether it wishes signatures, which is to be repeated (RFC 3225, section 3).
    pub dnssec_ok: bool,
}

/// Why there is nothing to be looked up.
#[derive(Debug)]
pub enum Refusal {
    /// No answer at all: an answer to an answer could go on for ever.
    Silence,
    /// An answer that repeats no question, as none could be read.
    Unread(Header, OptRcode),
    /// An answer to a question.
    Refused(Query, OptRcode),
}

impl Query {
    /// Reads a message. Records of other types than OPT in its additional section are passed over, as those of
    /// signatures that the server has no key for.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let message = Message::from_octets(bytes).map_err(|_| Refusal::Silence)?;
        let header = message.header();
        if header.qr() {
            return Err(Refusal::Silence);
        }
        // RFC 1035, section 4.1.1.
        if header.opcode() != Opcode::QUERY {
            return Err(Refusal::Unread(header, OptRcode::NOTIMP));
        }
        let malformed = || Refusal::Unread(header, OptRcode::FORMERR);
        // RFC 9619.
        if message.header_counts().qdcount() != 1 {
            return Err(malformed());
        }
        let question = message.question().next().and_then(Result::ok).ok_or_else(malformed)?;
        // There is nothing before it that a pointer could lead to.
        if question.qname().is_compressed() {
            return Err(malformed());
        }
        let name = question.qname().to_name();
        let mut query = Self { header, name, class: question.qclass(), rtype: question.qtype(), edns: None };
        match read_edns(&message) {
            Ok(edns) => query.edns = edns,
            Err(Wrong::Malformed) => return Err(Refusal::Refused(query, OptRcode::FORMERR)),
            Err(Wrong::Version(edns)) => {
                query.edns = Some(edns);
                return Err(Refusal::Refused(query, OptRcode::BADVERS));
            }
        }
        // Transfers are for other servers (RFC 5936, section 2.2.1); other classes have no zones here.
        if query.class != Class::IN || [Rtype::AXFR, Rtype::IXFR].contains(&query.rtype) {
            return Err(Refusal::Refused(query, OptRcode::REFUSED));
        }
        Ok(query)
    }

    /// How long an answer may be, in bytes: 512 in a datagram (RFC 1035, section 4.2.1), or what the asker takes, up to
    /// what no network has to cut into pieces (1232).
    pub fn limit(&self, transport: Transport) -> usize {
        match (transport, self.edns) {
            (Transport::Tcp, _) => usize::from(u16::MAX),
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.size.clamp(512, SIZE)),
        }
    }
}

/// How many bytes the server takes, and sends, in a datagram.
pub const SIZE: u16 = 1232;

enum Wrong {
    Malformed,
    Version(Edns),
}

/// Reads the records behind the question, which must be there as many as there are said to be, and nothing after them.
fn read_edns(message: &Message<&[u8]>) -> Result<Option<Edns>, Wrong> {
    let malformed = |_| Wrong::Malformed;
    let mut found = None;
    let mut section = message.additional().map_err(malformed)?;
    for record in &mut section {
        let record = record.map_err(malformed)?;
        if record.rtype() != Rtype::OPT {
            continue;
        }
        // RFC 6891, section 6.1.1.
        if found.is_some() || !record.owner().is_root() {
            return Err(Wrong::Malformed);
        }
        let [_, version, flags, _] = record.ttl().as_secs().to_be_bytes();
        let edns = Edns { size: record.class().to_int(), dnssec_ok: flags & 0x80 != 0 };
        found = Some((edns, version));
    }
    if section.pos() != message.as_slice().len() {
        return Err(Wrong::Malformed);
    }
    match found {
        Some((edns, 0)) => Ok(Some(edns)),
        Some((edns, _)) => Err(Wrong::Version(edns)),
        None => Ok(None),
    }
}
