//! What a name server of a lab answers: zones and questions in, answers out. No packet is sent.
//!
//! Cases are files, `tests/dns/cases/NAME.txt`: what the server knows, `---`, and one question a line, with the answers
//! in `NAME.expected`. `tests/dns/case.rs` says how they are written. Those of `records` have been compared with BIND
//! 9.18 and NSD 4.6 on the same zones, asked by `dig`: code, flag `aa` and records are the same, but that both add the
//! zone's own NS to answers; that BIND leaves a server outside the delegated zone out of the addresses, says SERVFAIL
//! of aliases in a circle, and gives all records for ANY.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod support;

#[path = "dns/case.rs"]
mod case;
#[path = "dns/question.rs"]
mod question;
#[path = "dns/text.rs"]
mod text;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use nslab::dns::{Answer, Transport, Zones, answer, complete};
use proptest::prelude::*;
use support::golden;

const FOLDER: &str = "tests/dns/cases";

fn answers(path: &Path) -> String {
    let written = fs::read_to_string(path).expect("the case");
    let (data, questions) = written.split_once("\n---\n").expect("a line `---`");
    let zones = Zones::new(&case::data(data));
    let mut all = String::new();
    for line in questions.lines().filter(|line| !line.is_empty()) {
        let asked = question::read(line);
        let text = match answer(&asked.bytes, &zones, asked.transport) {
            Answer::Nothing => "no answer\n".to_owned(),
            Answer::Reply(reply) => text::of(&reply),
            Answer::Ask(other) => {
                let said = asked.said.as_ref().map(|said| said.to(&other));
                let whole = complete(&asked.bytes, &zones, asked.transport, said.as_deref());
                let whole = whole.map_or_else(|| "no answer\n".to_owned(), |whole| text::of(&whole));
                format!("asks: {}\n{whole}", text::question(&other))
            }
        };
        let _ = write!(all, "? {line}\n{text}\n");
    }
    all
}

#[test]
fn questions_have_their_answers() {
    golden::run(FOLDER, &golden::files(FOLDER, "txt"), |_, path| {
        golden::expect(&path.with_extension("expected"), &answers(path))
    });
}

fn zones() -> Zones {
    let text = fs::read_to_string(Path::new(FOLDER).join("records.txt")).expect("the zones");
    Zones::new(&case::data(text.split_once("\n---\n").expect("a line `---`").0))
}

/// What holds for every answer: it is one, to that query, and no longer than the asker takes.
fn is_sound(query: &[u8], zones: &Zones) -> Result<(), TestCaseError> {
    for (transport, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        match answer(query, zones, transport) {
            Answer::Nothing => prop_assert!(query.len() < 12 || query[2] & 0x80 != 0),
            Answer::Reply(reply) => {
                prop_assert!(reply.len() >= 12 && reply.len() <= most);
                prop_assert!(reply[2] & 0x80 != 0, "not marked as an answer");
                prop_assert_eq!(&reply[..2], &query[..2]);
                prop_assert!(answer(&reply, zones, transport) == Answer::Nothing);
            }
            Answer::Ask(_) => prop_assert!(false, "this server asks nobody"),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_have_a_sound_answer(query in prop::collection::vec(any::<u8>(), 0..600)) {
        is_sound(&query, &zones())?;
    }

    /// Bytes that look more like a query: a header that asks, and pieces of names, pointers and records.
    #[test]
    fn anything_like_a_query_has_a_sound_answer(
        counts in prop::array::uniform4(0_u16..3),
        flags in prop::sample::select(vec![0_u8, 1, 0x28, 0x78]),
        pieces in prop::collection::vec(prop::sample::select(vec![
            &b"\x03www"[..], b"\x07example\x03org\0", b"\x07EXAMPLE\x03org\0", b"\x01*", b"\0", b"\xc0\x0c", b"\xc0\x00",
            b"\xc1\xff", b"\0\x01\0\x01", b"\0\xff\0\x01", b"\0\xfc\0\x01", b"\0\x29\x10\0\0\0\0\0\0\0", b"\x40",
            b"\0\x29\x10\0\0\x01\x80\0\0\0", b"\0\x01\0\x03", b"\0\x0f\0\x01",
        ]), 0..12),
    ) {
        let mut query = vec![0xab, 0xcd, flags, 0];
        query.extend(counts.into_iter().flat_map(u16::to_be_bytes));
        query.extend(pieces.concat());
        is_sound(&query, &zones())?;
    }
}
