//! Messages as text, much as `dig` prints them.

use std::fmt::Write as _;

use domain::base::iana::OptRcode;
use domain::base::{Message, ParsedRecord, Rtype};
use domain::rdata::AllRecordData;

/// An answer: its code, its flags, and its sections.
pub fn of(bytes: &[u8]) -> String {
    let message = Message::from_octets(bytes).expect("a message");
    let header = message.header();
    let opt = message.opt();
    let rcode = opt.as_ref().map_or_else(|| OptRcode::from(header.rcode()), |opt| opt.rcode(header));
    let flags =
        [(header.aa(), "aa"), (header.tc(), "tc"), (header.rd(), "rd"), (header.ra(), "ra"), (header.cd(), "cd")];
    let flags: Vec<&str> = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect();
    let mut text = format!("{rcode}, id {}, flags: {}\n", header.id(), flags.join(" "));
    if let Some(opt) = opt {
        let wish = if opt.dnssec_ok() { " do" } else { "" };
        let _ = writeln!(text, "EDNS: version {}, udp {}{wish}", opt.version(), opt.udp_payload_size());
    }
    for question in message.question() {
        let question = question.expect("a question");
        let _ = writeln!(text, "question: {} {} {}", question.qname(), question.qclass(), question.qtype());
    }
    let sections = [
        ("answer", message.answer().expect("answers")),
        ("authority", message.authority().expect("authorities")),
        ("additional", message.additional().expect("additional records")),
    ];
    for (name, section) in sections {
        for record in section.map(|record| record.expect("a record")).filter(|record| record.rtype() != Rtype::OPT) {
            let _ = writeln!(text, "{name}: {}", line(&record));
        }
    }
    let _ = writeln!(text, "{} bytes", bytes.len());
    text
}

fn line(record: &ParsedRecord<'_, &[u8]>) -> String {
    let whole = record.to_any_record::<AllRecordData<_, _>>().expect("its data");
    format!("{} {} {} {}", whole.owner(), whole.ttl().as_secs(), record.rtype(), whole.data())
}

/// The question of a message.
pub fn question(bytes: &[u8]) -> String {
    let message = Message::from_octets(bytes).expect("a message");
    let question = message.first_question().expect("a question");
    format!("{} {}", question.qname(), question.qtype())
}
