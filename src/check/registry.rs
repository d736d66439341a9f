//! What is known of every probe that is under way, whichever socket learned it.
//!
//! A probe carries its [`Token`] wherever it goes. The socket that sees the token at the destination writes down the
//! source address that it came under; the socket that sees the answer, or an error that quotes the probe, writes that
//! down. The probe itself waits at its entry. Packets without a token of this run belong to others.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::Notify;

use super::others::{Others, TOKEN_LENGTH};
use super::report::Outcome;
use super::side::Arrived;
use crate::lab::NsName;

/// What identifies a try of a probe in the network: the run's random number and the try's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    run: u64,
    number: u64,
}

impl Token {
    /// Its length in a packet, in bytes.
    pub(super) const LENGTH: usize = TOKEN_LENGTH;

    /// As it is in a packet.
    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        ((u128::from(self.run) << 64) | u128::from(self.number)).to_be_bytes()
    }

    /// From the beginning of what a packet carries.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u128::from_be_bytes(*bytes.first_chunk()?);
        Some(Self { run: (both >> 64) as u64, number: both as u64 })
    }

    /// The sequence number that a TCP connection begins with, whose first packet cannot hold the token.
    pub(super) fn sequence(self) -> u32 {
        (self.run as u32).wrapping_add(self.number as u32)
    }

    /// Sixteen bits that differ between tries that are close to each other, and between runs: the identifier of an
    /// echo request. A new one each time makes connection tracking ask the NAT rules anew.
    pub(super) fn identifier(self) -> u16 {
        (self.run as u16).wrapping_add(self.number as u16)
    }
}

/// The arrival of a probe at a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The source address that it had there.
    pub source: IpAddr,
    /// The destination address that it had there, where the kernel says so.
    pub destination: Option<IpAddr>,
    /// The namespace.
    pub ns: NsName,
}

impl Arrival {
    /// As one of several machines writes it down, where the mark does not matter.
    pub(super) fn written(&self) -> Arrived {
        let Self { source, destination, ns } = self.clone();
        Arrived { mark: String::new(), at: ns.to_string(), source, destination }
    }

    fn at(&self) -> (&NsName, IpAddr, Option<IpAddr>) {
        (&self.ns, self.source, self.destination)
    }
}

/// Whether an arrival after the first is one elsewhere; that of the sender is the answer.
pub(super) fn also(first: &Arrival, arrival: &Arrival, from: &NsName) -> bool {
    first.ns != arrival.ns && ![&first.ns, &arrival.ns].contains(&from)
}

/// What is known of one try.
#[derive(Debug)]
pub(super) struct Entry {
    /// The namespace that sends it.
    from: NsName,
    arrival: OnceCell<Arrival>,
    /// Its arrival at a second namespace, as where a bridge floods it to two that have one MAC address.
    also_at: OnceCell<Arrival>,
    outcome: OnceCell<Outcome>,
    news: Notify,
}

impl Entry {
    /// Where it arrived, if it did.
    pub(super) fn arrival(&self) -> Option<&Arrival> {
        self.arrival.get()
    }

    /// Where else it arrived.
    pub(super) fn also_at(&self) -> Option<&Arrival> {
        self.also_at.get()
    }

    /// The answer or the error that the sender got, if any.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Waits until something more is known. Only the probe itself waits here.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}

/// All tries that are under way.
#[derive(Debug)]
pub(super) struct Registry {
    run: u64,
    next: Cell<u64>,
    entries: RefCell<HashMap<u64, Rc<Entry>>>,
    /// Datagrams for programs, which hold no token: what is in them.
    queries: RefCell<HashMap<Vec<u8>, Token>>,
    /// What arrives of others, where that is written down.
    others: Option<Others>,
}

impl Registry {
    /// An empty one, with a random number for this run.
    pub(super) fn new() -> Self {
        // The standard library seeds its hash maps from the system's random numbers.
        Self {
            run: RandomState::new().hash_one("nslab"),
            next: Cell::new(0),
            entries: RefCell::default(),
            queries: RefCell::default(),
            others: None,
        }
    }

    /// The same, which also writes down what arrives that is of none of its tries.
    pub(super) fn with_others(others: Others) -> Self {
        let own = Self::new();
        let run = (u64::from(others.tag) << 32) | (own.run & u64::from(u32::MAX));
        Self { run, others: Some(others), ..own }
    }

    /// What arrives that is of none of its tries, where that is written down.
    pub(super) fn others(&self) -> Option<&Others> {
        self.others.as_ref()
    }

    /// Opens an entry for a try of a namespace; it is closed by [`Registry::close`].
    pub(super) fn open(&self, from: &NsName) -> (Token, Rc<Entry>) {
        let number = self.next.replace(self.next.get().wrapping_add(1));
        let (arrival, also_at, outcome, news) = Default::default();
        let entry = Rc::new(Entry { from: from.clone(), arrival, also_at, outcome, news });
        self.entries.borrow_mut().insert(number, entry.clone());
        (Token { run: self.run, number }, entry)
    }

    /// Forgets a try: what comes now comes too late.
    pub(super) fn close(&self, token: Token) {
        self.entries.borrow_mut().remove(&token.number);
    }

    /// Writes down that the opening of a TCP connection to a port arrived, if its sequence number is that of a try.
    pub(super) fn saw_opening(&self, port: u16, sequence: u32, arrival: Arrival) {
        let token = Token { run: self.run, number: u64::from(sequence.wrapping_sub(self.run as u32)) };
        match &self.others {
            Some(others) if token.number >= self.next.get() => others.saw_opening(port, sequence, arrival.at()),
            Some(_) | None => self.saw(token, arrival),
        }
    }

    /// Writes down what is in the datagram of a try that holds no token.
    pub(super) fn asks(&self, token: Token, query: &[u8]) {
        self.queries.borrow_mut().insert(query.to_vec(), token);
    }

    /// Forgets the datagram of a try.
    pub(super) fn has_asked(&self, query: &[u8]) {
        self.queries.borrow_mut().remove(query);
    }

    /// Writes down that a datagram arrived, if it is that of a try.
    pub(super) fn saw_datagram(&self, bytes: &[u8], arrival: Arrival) {
        let query = self.queries.borrow().get(bytes).copied();
        if let Some(token) = query.or_else(|| Token::from_bytes(bytes)) {
            self.saw(token, arrival);
        }
    }

    /// Writes down that a probe arrived: the first arrival, and the first one elsewhere. What the sender sees after
    /// that is the answer.
    pub(super) fn saw(&self, token: Token, arrival: Arrival) {
        let Some(entry) = self.find(token) else {
            // What is of its own run comes too late.
            let others = self.others.iter().filter(|_| token.run != self.run);
            return others.for_each(|others| others.saw(token.to_bytes(), arrival.at()));
        };
        match entry.arrival() {
            Some(first) if !also(first, &arrival, &entry.from) => return,
            Some(_) => drop(entry.also_at.set(arrival)),
            None => drop(entry.arrival.set(arrival)),
        }
        entry.news.notify_one();
    }

    /// Writes down the answer or the error that a namespace got, if it is the sender: another one may have its address.
    /// Only the first one counts.
    pub(super) fn answered(&self, token: Token, at: &NsName, outcome: Outcome) {
        if let Some(entry) = self.find(token).filter(|entry| entry.from == *at)
            && entry.outcome.set(outcome).is_ok()
        {
            entry.news.notify_one();
        }
    }

    /// Whether it is that of a try that is under way.
    pub(super) fn knows(&self, token: Token) -> bool {
        self.find(token).is_some()
    }

    fn find(&self, token: Token) -> Option<Rc<Entry>> {
        if token.run != self.run {
            return None;
        }
        self.entries.borrow().get(&token.number).cloned()
    }
}
