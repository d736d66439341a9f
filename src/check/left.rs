//! What one of several machines has sent and cannot judge, since it arrives at others: left to them, with the marks by
//! which they know it.

use super::harness::Harness;
use super::others::{mark_of_sequence, mark_of_token};
use super::registry::{Arrival, Token};
use super::report::Outcome;
use super::side::Sent;
use super::verdict::Try;
use crate::lab::{Check, Expect, Protocol};

/// Notes what has been sent that other machines have to see; whether it may be as promised.
///
/// # Errors
/// It cannot be.
pub(super) fn to_others(
    harness: &Harness,
    place: (usize, usize),
    (tried, token): (Try<'_>, Token),
    tries: u32,
) -> Result<(), String> {
    let Try { check, seen, .. } = tried;
    let mut sent = Sent {
        check: place.0,
        probe: place.1,
        marks: marks(check, token),
        arrived: seen.arrival.iter().chain(&seen.also_at).map(Arrival::written).collect(),
        saw: seen.outcome.clone(),
        met: seen.met,
        answer: tried.answer().err(),
        left_as: seen.left_as,
        took: seen.took.as_secs_f64(),
        tries,
    };
    let mut all = harness.sent.borrow_mut();
    // Routers send few errors in a second: an earlier one counts where the next ones are not sent.
    let says_less = seen.outcome == Outcome::Silence && all.get(&place).is_some_and(Sent::is_of_error);
    // Where it is to arrive nowhere, no try that has arrived is forgotten.
    if let Some(before) = all.get(&place).filter(|_| check.expect == Expect::Unreachable) {
        sent.marks.extend_from_slice(&before.marks);
        sent.arrived.extend_from_slice(&before.arrived);
    }
    if !says_less {
        all.insert(place, sent);
    }
    if may_be(check.expect, &seen.outcome) { Ok(()) } else { Err("other machines have to say".to_owned()) }
}

/// Whether what a sender saw may turn out to be as promised.
fn may_be(expect: Expect, saw: &Outcome) -> bool {
    match (expect, saw) {
        (_, Outcome::NoProbe { .. }) => false,
        (Expect::Reachable, Outcome::Answered) | (Expect::Refused, Outcome::Refused { .. }) => true,
        (Expect::Reachable | Expect::Refused, _) => false,
        (Expect::Unreachable, _) => !matches!(saw, Outcome::Answered),
        (Expect::Unanswered, _) => matches!(saw, Outcome::Silence | Outcome::Unreachable { .. }),
    }
}

/// What the packets of a try hold.
fn marks(check: &Check, token: Token) -> Vec<String> {
    let opening = || mark_of_sequence(token.sequence());
    let whole = mark_of_token(token.to_bytes());
    match check.protocol {
        Protocol::Tcp(_) => vec![opening(), whole],
        Protocol::Icmp | Protocol::Udp(_) => vec![whole],
    }
}
