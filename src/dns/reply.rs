//! Answers, written.

use domain::base::iana::OptRcode;
use domain::base::message_builder::{AdditionalBuilder, PushError};
use domain::base::{HashCompressor, Header, MessageBuilder};

use super::lookup::Sections;
use super::query::{Edns, Query, SIZE};

/// How many bytes an empty record OPT has.
const OPT: usize = 11;

/// What is written, before it is a message.
type Builder = AdditionalBuilder<HashCompressor<Vec<u8>>>;

/// An answer that repeats no question.
pub fn unread(asked: Header, rcode: OptRcode) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    *message.header_mut() = header(asked);
    message.header_mut().set_rcode(rcode.rcode());
    message.finish()
}

/// An answer that says nothing but its code.
pub fn code(query: &Query, rcode: OptRcode, recursive: bool) -> Vec<u8> {
    write(query, &Sections::empty(rcode.rcode()), rcode, (usize::from(u16::MAX), recursive))
}

/// An answer. What does not fit within the limit is left out, record by record: additional ones silently, others are
/// told to be missing (TC), so that the asker comes again over TCP (RFC 2181, section 9).
pub fn whole(query: &Query, sections: &Sections, limit: usize, recursive: bool) -> Vec<u8> {
    write(query, sections, sections.rcode.into(), (limit, recursive))
}

fn write(query: &Query, sections: &Sections, rcode: OptRcode, (limit, recursive): (usize, bool)) -> Vec<u8> {
    let room = limit - if query.edns.is_some() { OPT } else { 0 };
    let written = sections_of(query, sections, room).and_then(|mut message| {
        message.clear_push_limit();
        let header = message.header_mut();
        header.set_aa(sections.authoritative);
        header.set_ra(recursive);
        header.set_rcode(rcode.rcode());
        if let Some(edns) = query.edns {
            message.opt(|opt| {
                opt.set_udp_payload_size(SIZE);
                opt.set_rcode(rcode);
                opt.set_dnssec_ok(edns.dnssec_ok);
                Ok(())
            })?;
        }
        Ok(message.finish().into_target())
    });
    // A question of 271 bytes at most fits anywhere.
    written.unwrap_or_else(|_| unread(query.header, OptRcode::SERVFAIL))
}

/// All sections, as far as they fit.
fn sections_of(query: &Query, sections: &Sections, room: usize) -> Result<Builder, PushError> {
    let mut message = MessageBuilder::from_target(HashCompressor::new(Vec::new())).map_err(|_| PushError::ShortBuf)?;
    message.set_push_limit(room);
    *message.header_mut() = header(query.header);
    let mut message = message.question();
    message.push((&query.name, query.rtype, query.class))?;
    let mut message = message.answer();
    let mut is_cut = sections.answer.iter().any(|record| message.push(record).is_err());
    let mut message = message.authority();
    is_cut = is_cut || sections.authority.iter().any(|record| message.push(record).is_err());
    let mut message = message.additional();
    if !is_cut {
        // The first that does not fit is the last.
        let _ = sections.additional.iter().any(|record| message.push(record).is_err());
    }
    message.header_mut().set_tc(is_cut);
    Ok(message)
}

/// The header of an answer to another: its number, and what is repeated (RFC 1035, section 4.1.1; RFC 4035, section
/// 3.2.2).
fn header(asked: Header) -> Header {
    let mut header = Header::new();
    header.set_id(asked.id());
    header.set_qr(true);
    header.set_opcode(asked.opcode());
    header.set_rd(asked.rd());
    header.set_cd(asked.cd());
    header
}

/// A question of the server's own, for somebody else.
pub fn question(query: &Query, name: &super::zones::Name) -> Option<Vec<u8>> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(query.header.id());
    message.header_mut().set_rd(true);
    let mut message = message.question();
    message.push((name, query.rtype)).ok()?;
    let mut message = message.additional();
    if let Some(Edns { size, dnssec_ok }) = query.edns {
        let opt = message.opt(|opt| {
            opt.set_udp_payload_size(size);
            opt.set_dnssec_ok(dnssec_ok);
            Ok(())
        });
        opt.ok()?;
    }
    Some(message.finish())
}
