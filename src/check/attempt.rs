//! The sender's side: one try of one probe, from its first packet to an answer, an error, or silence.
//!
//! Says what was seen, and does not know what was promised.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::harness::{Harness, Listeners, RawKey};
use super::observation::{Answer, Observation};
use super::registry::{Entry, Token};
use super::report::Outcome;
use super::respond::{read_arrivals, read_one};
use super::{dns, exchange, http, packet, verdict};
use crate::kernel::packet_size::{Fragments, limit_segments, set_fragments};
use crate::kernel::sockets;
use crate::lab::{Asks, Check, DnsQuery, Family, HttpRequest, Probe, Protocol};

/// How long to wait, after an answer, for the report of the destination's own socket: the packet was there before the
/// answer, but may be read after it.
const GRACE: Duration = Duration::from_millis(200);

/// If the process is this late after a deadline, it was not running when it passed.
const AWAY: Duration = Duration::from_millis(50);

/// How often a deadline is extended because nslab was not running: even one that is stopped again and again comes to an
/// end.
const EXTENSIONS: usize = 3;

/// How many ports are tried before the kernel may choose.
const PORTS_TRIED: usize = 8;

/// The TCP header without options, which count as a part of the segment.
const TCP_HEADER: u16 = 20;

/// How long to wait when the kernel's buffers are full.
const LATE_ANSWER_GRACE: Duration = Duration::from_millis(1);

/// One try of a probe.
pub(super) async fn attempt(harness: &Harness, check: &Check, probe: &Probe) -> Observation {
    attempt_with_token(harness, check, probe).await.0
}

/// The same, with the token that its packets held.
pub(super) async fn attempt_with_token(harness: &Harness, check: &Check, probe: &Probe) -> (Observation, Token) {
    let (token, entry) = harness.registry.open(&probe.from);
    let started = Instant::now();
    let deadline = started + check.timeout;
    let (left_as, answer, met) = (None, None, false);
    let mut attempt = Attempt { harness, check, probe, token, entry, left_as, answer, met, started, deadline };
    let outcome = match check.protocol {
        Protocol::Icmp => attempt.echo().await,
        Protocol::Tcp(port) => attempt.connection(port).await,
        Protocol::Udp(port) => match &check.asks {
            Some(Asks::Dns(query)) => attempt.query(port, query).await,
            Some(Asks::Http(_)) | None => attempt.datagram(port).await,
        },
    };
    if attempt.entry.arrival().is_none() {
        read_arrivals(harness, check, probe);
    }
    // What the sockets of others have got by now is read before this one goes on.
    yield_now().await;
    harness.registry.close(token);
    let arrived = attempt.entry.arrival().map(|arrival| &arrival.ns);
    let seen = Observation {
        // A packet that could not leave is an outcome like any other.
        outcome: outcome.unwrap_or_else(|not_sent| not_sent),
        arrival: attempt.entry.arrival().cloned(),
        also_at: attempt.entry.also_at().cloned(),
        left_as: attempt.left_as,
        taken: harness.listeners(check, probe, arrived).is_program,
        answer: attempt.answer,
        met: attempt.met,
        took: attempt.started.elapsed(),
    };
    (seen, token)
}

struct Attempt<'a> {
    harness: &'a Harness,
    check: &'a Check,
    probe: &'a Probe,
    token: Token,
    entry: Rc<Entry>,
    left_as: Option<IpAddr>,
    answer: Option<Answer>,
    met: bool,
    started: Instant,
    deadline: Instant,
}

impl Attempt<'_> {
    /// An echo request. `Err` holds the outcome of one that could not be sent, here and below.
    async fn echo(&mut self) -> Result<Outcome, Outcome> {
        let (target, family) = (self.destination(0)?, self.family());
        // A raw socket cannot say which source address the kernel takes; a connected one can, and sends nothing.
        match (self.probe.source, self.check.seen_as) {
            (Some(_), _) => drop(self.departing(sockets::Protocol::Udp, 1)?),
            // A rule for packets from that address may keep a connected socket, and not a raw one (ip_route_connect).
            (None, Some(_)) => drop(self.departing(sockets::Protocol::Udp, 1)),
            (None, None) => {}
        }
        let key = RawKey { protocol: sockets::Protocol::Icmp, family, ns: self.probe.from.clone() };
        let socket = self.harness.raw.get(&key);
        let socket = socket.ok_or_else(|| Outcome::NoProbe { what: "there is no raw socket".to_owned() })?;
        let request = packet::echo_request(family, self.token, self.check.size);
        self.send(socket.get_ref(), &request, Some(target), self.probe.source).await?;
        let entry = self.entry.clone();
        let outcome = async {
            loop {
                if let Some(outcome) = entry.outcome() {
                    return outcome.clone();
                }
                entry.news().await;
            }
        };
        let reported = self.in_time(outcome).await;
        if reported.is_none() {
            // What has come in time counts, even if it has not been read yet.
            read_one(self.harness, socket.get_ref(), &key);
        }
        let outcome = reported.or_else(|| self.entry.outcome().cloned()).unwrap_or(Outcome::Silence);
        self.await_arrival(&outcome).await;
        Ok(outcome)
    }

    /// What a future comes to before the deadline. Time in which nslab itself did not run (stopped, or without a
    /// processor) does not count: a process that runs again long after the deadline goes on waiting for as long as it
    /// was away.
    async fn in_time<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        for _ in 0..=EXTENSIONS {
            if let Ok(value) = timeout_at(self.deadline, &mut future).await {
                return Some(value);
            }
            let late = self.deadline.elapsed();
            if late < AWAY {
                return None;
            }
            self.deadline = Instant::now() + late.min(self.check.timeout);
        }
        None
    }

    /// Waits until the arrival of what was answered is seen: the packet was there before the answer, but may be read
    /// after it.
    async fn await_arrival(&self, outcome: &Outcome) {
        let probe = self.probe;
        let matters = probe.has_place() || self.check.seen_as.is_some() || self.check.answered_by.is_some();
        let is_seen_elsewhere = self.harness.is_for_others(self.check, probe);
        if *outcome != Outcome::Answered || !matters || is_seen_elsewhere || self.entry.arrival().is_some() {
            return;
        }
        read_arrivals(self.harness, self.check, probe);
        let arrival = async {
            while self.entry.arrival().is_none() {
                self.entry.news().await;
            }
        };
        let _ = timeout(GRACE, arrival).await;
    }

    /// A TCP connection, and the exchange of the token where nslab is at the other end, or what is asked of a program.
    async fn connection(&mut self, port: u16) -> Result<Outcome, Outcome> {
        let _two = self.harness.descriptors.acquire_many(2).await;
        self.start();
        let socket = self.departing(sockets::Protocol::Tcp, port)?;
        let outcome = self.established(socket, port).await;
        self.await_arrival(outcome.as_ref().unwrap_or(&Outcome::Silence)).await;
        outcome
    }

    async fn established(&mut self, socket: OwnedFd, port: u16) -> Result<Outcome, Outcome> {
        let stream = self.connected(socket).await?;
        match &self.check.asks {
            Some(Asks::Http(request)) => Ok(self.asked(stream, request, port).await),
            Some(Asks::Dns(_)) | None => Ok(self.conversed(stream).await),
        }
    }

    /// The connection, once it is there; else what came of it.
    async fn connected(&mut self, socket: OwnedFd) -> Result<TcpStream, Outcome> {
        let stream = TcpStream::from_std(socket.into()).map_err(no_probe)?;
        let connected = async {
            stream.writable().await?;
            stream.take_error()?.map_or(Ok(()), Err)
        };
        match self.in_time(connected).await {
            None => Err(Outcome::Silence),
            Some(Err(error)) => Err(self.reported(&error, None)),
            Some(Ok(())) => Ok(stream),
        }
    }

    /// What comes of a request over a connection that is there.
    async fn asked(&mut self, stream: TcpStream, request: &HttpRequest, port: u16) -> Outcome {
        self.deadline = Instant::now() + self.check.timeout;
        let host = http::host(request, self.probe, port);
        match self.in_time(http::ask(stream, request, &host)).await {
            None => Outcome::Stalled,
            Some(Err(what)) => Outcome::NoAnswer { what },
            Some(Ok(answer)) => {
                self.answer = Some(Answer::Http(answer));
                Outcome::Answered
            }
        }
    }

    /// What comes of a connection that is there. It then ends with a reset, so that neither side has to remember it for
    /// a minute (TIME_WAIT).
    async fn conversed(&mut self, mut stream: TcpStream) -> Outcome {
        let token = self.token;
        let is_ours = self.may_be_nslabs();
        match self.check.size {
            None if is_ours => {
                self.deadline = Instant::now() + self.check.timeout;
                let met = self.in_time(exchange::greet(&mut stream, token)).await;
                self.met = matches!(met, Some(Ok(())));
                // On a busy machine, the kernels have done it long before nslab does its part at the other end.
                let is_there = sockets::is_all_acknowledged(&stream);
                let _ = stream.set_zero_linger();
                match met {
                    Some(Ok(())) => Outcome::Answered,
                    // Somebody else is connected, who does not speak like nslab.
                    _ if !self.has_come_to_nslab() => Outcome::Answered,
                    None if is_there => Outcome::Answered,
                    // Also if one end gives the connection up.
                    Some(Err(_)) | None => Outcome::Stalled,
                }
            }
            None => Outcome::Answered,
            Some(_) if !is_ours => self.cannot_send_data(),
            Some(size) => {
                let data = async {
                    exchange::greet(&mut stream, token).await?;
                    exchange::send_data(&mut stream, size).await
                };
                let outcome = match self.in_time(data).await {
                    None => Outcome::Stalled,
                    Some(Err(error)) => self.reported(&error, None),
                    Some(Ok(())) => {
                        self.met = true;
                        Outcome::Answered
                    }
                };
                let _ = stream.set_zero_linger();
                outcome
            }
        }
    }

    /// That a program is at the other end, which does not return what it is sent.
    fn cannot_send_data(&self) -> Outcome {
        let at = self.entry.arrival().map_or(self.probe.to.label.as_str(), |arrival| arrival.ns.as_str());
        let port = self.check.protocol.named(None);
        Outcome::NoProbe { what: format!("a program has {port} of {at}, and nslab cannot send it data of a size") }
    }

    /// Whether nslab may be at the other end of a connection: where it has arrived, no program has the port; or where
    /// it may have arrived, if that is not known.
    fn may_be_nslabs(&self) -> bool {
        let Listeners { is_nslab, is_program } = self.listeners();
        is_nslab && !is_program
    }

    /// Whether the probe arrived where nslab answers.
    fn has_come_to_nslab(&self) -> bool {
        self.may_be_nslabs() && self.entry.arrival().is_some()
    }

    fn listeners(&self) -> Listeners {
        if self.entry.arrival().is_none() {
            read_arrivals(self.harness, self.check, self.probe);
        }
        let arrived = self.entry.arrival().map(|arrival| &arrival.ns);
        self.harness.listeners(self.check, self.probe, arrived)
    }

    /// A datagram, and its answer.
    async fn datagram(&mut self, port: u16) -> Result<Outcome, Outcome> {
        let _one = self.harness.descriptors.acquire().await;
        self.start();
        let socket = sockets::watched(self.departing(sockets::Protocol::Udp, port)?).map_err(no_probe)?;
        let datagram = packet::datagram(self.family(), self.token, self.check.size);
        self.send(socket.get_ref(), &datagram, None, None).await?;
        let mut buffer = [0; Token::LENGTH];
        let answer = socket.async_io(sockets::ANYTHING, |fd| Ok(sockets::receive(fd, &mut buffer)?));
        let outcome = match self.in_time(answer).await {
            None => Outcome::Silence,
            Some(Ok(_)) => Outcome::Answered,
            Some(Err(error)) => self.reported(&error, sockets::error_report(socket.get_ref())),
        };
        self.await_arrival(&outcome).await;
        Ok(outcome)
    }

    /// A DNS query, and its answer.
    async fn query(&mut self, port: u16, query: &DnsQuery) -> Result<Outcome, Outcome> {
        let _two = self.harness.descriptors.acquire_many(2).await;
        self.start();
        let asked = dns::query(query, self.token.identifier()).map_err(|what| Outcome::NoProbe { what })?;
        self.harness.registry.asks(self.token, &asked);
        let outcome = self.replied(port, query, &asked).await;
        self.await_arrival(outcome.as_ref().unwrap_or(&Outcome::Silence)).await;
        if self.entry.arrival().is_none() {
            read_arrivals(self.harness, self.check, self.probe);
        }
        self.harness.registry.has_asked(&asked);
        outcome
    }

    async fn replied(&mut self, port: u16, query: &DnsQuery, asked: &[u8]) -> Result<Outcome, Outcome> {
        let socket = sockets::watched(self.departing(sockets::Protocol::Udp, port)?).map_err(no_probe)?;
        self.send(socket.get_ref(), asked, None, None).await?;
        let mut buffer = vec![0; dns::LARGEST];
        let mut silence = Outcome::Silence;
        loop {
            let came = socket.async_io(sockets::ANYTHING, |fd| Ok(sockets::receive(fd, &mut buffer)?));
            let length = match self.in_time(came).await {
                None => return Ok(silence),
                Some(Err(error)) => return Ok(self.reported(&error, sockets::error_report(socket.get_ref()))),
                Some(Ok(received)) => received.length,
            };
            match dns::read(query, asked, buffer.get(..length).unwrap_or_default()) {
                dns::Reply::Answered(reply) => {
                    self.answer = Some(Answer::Dns(reply));
                    return Ok(Outcome::Answered);
                }
                dns::Reply::Truncated => return self.over_tcp(port, query, asked).await,
                dns::Reply::OfOthers => silence = no_answer("what came back is no answer to what was asked"),
            }
        }
    }

    /// The same over TCP, where the answer is too long for UDP.
    async fn over_tcp(&mut self, port: u16, query: &DnsQuery, asked: &[u8]) -> Result<Outcome, Outcome> {
        self.deadline = Instant::now() + self.check.timeout;
        let socket = self.departing(sockets::Protocol::Tcp, port)?;
        let Ok(mut stream) = self.connected(socket).await else {
            return Ok(no_answer("the answer over UDP is truncated, and TCP does not connect"));
        };
        let came = match self.in_time(dns::ask(&mut stream, asked)).await {
            None => return Ok(Outcome::Stalled),
            Some(came) => came.unwrap_or_default(),
        };
        Ok(match dns::read(query, asked, &came) {
            dns::Reply::Answered(reply) => {
                self.answer = Some(Answer::Dns(reply));
                Outcome::Answered
            }
            dns::Reply::Truncated | dns::Reply::OfOthers => {
                no_answer("the answer over UDP is truncated, and over TCP none came")
            }
        })
    }

    fn start(&mut self) {
        self.started = Instant::now();
        self.deadline = self.started + self.check.timeout;
    }

    /// A socket that is bound and connected as the probe wants it; for TCP, the connection is on its way.
    fn departing(&mut self, protocol: sockets::Protocol, port: u16) -> Result<OwnedFd, Outcome> {
        let probe = self.probe;
        let socket = self.harness.take(&probe.from, protocol, self.family());
        let socket = socket.map_err(|e| Outcome::NoProbe { what: e.to_string() })?;
        self.bind(&socket, protocol)?;
        if protocol == sockets::Protocol::Tcp {
            sockets::begin_at(&socket, self.token.sequence()).map_err(|e| no_probe(e.into()))?;
        }
        if let (sockets::Protocol::Tcp, Some(size)) = (protocol, self.check.size) {
            let segment = size.payload(self.family(), TCP_HEADER) as u32;
            limit_segments(&socket, segment).map_err(|e| no_probe(e.into()))?;
            if !size.dont_fragment {
                set_fragments(&socket, self.family(), Fragments::Allowed).map_err(|e| no_probe(e.into()))?;
            }
        }
        sockets::connect_to(&socket, self.destination(port)?).map_err(|e| self.not_sent(e))?;
        self.left_as = sockets::own_address(&socket).ok().map(|address| address.ip());
        Ok(socket)
    }

    /// Gives a socket the source that the file asks for; and a TCP socket a port of its own.
    fn bind(&self, socket: &OwnedFd, protocol: sockets::Protocol) -> Result<(), Outcome> {
        let source = self.probe.source;
        let any = sockets::any_address(self.family());
        let fresh = (0..PORTS_TRIED).filter(|_| protocol == sockets::Protocol::Tcp).map(|_| self.harness.fresh_port());
        // Where all of them are taken, the kernel chooses one.
        for port in fresh.chain((source.is_some()).then_some(0)) {
            match sockets::bind_to(socket, SocketAddr::new(source.unwrap_or(any), port)) {
                Ok(()) => return Ok(()),
                Err(Errno::EADDRINUSE) => {}
                Err(Errno::EADDRNOTAVAIL) => {
                    let source = self.harness.owners.shown(source.unwrap_or(any));
                    let what = format!("{} does not have the source address {source}", self.probe.from);
                    return Err(Outcome::NoProbe { what });
                }
                Err(errno) => return Err(no_probe(errno.into())),
            }
        }
        Ok(())
    }

    /// Sends, and waits while the kernel has no room for it.
    async fn send(
        &self,
        socket: &OwnedFd,
        bytes: &[u8],
        to: Option<SocketAddr>,
        from: Option<IpAddr>,
    ) -> Result<(), Outcome> {
        loop {
            match self.send_now(socket, bytes, to, from) {
                Ok(()) => return Ok(()),
                Err(Errno::EAGAIN | Errno::ENOBUFS) if Instant::now() < self.deadline => sleep(LATE_ANSWER_GRACE).await,
                Err(errno) => return Err(self.not_sent(errno)),
            }
        }
    }

    /// Sends a packet that may be fragmented or not, as the check says. Others share the socket, so this holds for this
    /// packet alone.
    fn send_now(
        &self,
        socket: &OwnedFd,
        bytes: &[u8],
        to: Option<SocketAddr>,
        from: Option<IpAddr>,
    ) -> nix::Result<()> {
        let Some(size) = self.check.size else { return sockets::send(socket, bytes, to, from) };
        let fragments = if size.dont_fragment { Fragments::Never } else { Fragments::Allowed };
        set_fragments(socket, self.family(), fragments)?;
        let sent = sockets::send(socket, bytes, to, from);
        set_fragments(socket, self.family(), Fragments::ByDefault)?;
        sent
    }

    fn not_sent(&self, errno: Errno) -> Outcome {
        let refusal = verdict::local_refusal(errno, self.probe, &self.harness.owners);
        refusal.unwrap_or_else(|| no_probe(errno.into()))
    }

    /// What the network has said about this probe, as its socket reports it.
    fn reported(&self, error: &io::Error, report: Option<(IpAddr, u32)>) -> Outcome {
        let (by, mtu) = report.unzip();
        match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::EMSGSIZE => packet::too_big(mtu.unwrap_or_default()),
            errno => verdict::network_refusal(errno),
        }
        .said_by(by)
    }

    /// The address that is probed; a link-local one with its link.
    fn destination(&self, port: u16) -> Result<SocketAddr, Outcome> {
        let to = &self.probe.to;
        match (to.address, &to.scope) {
            (IpAddr::V6(address), Some(dev)) => {
                let index = self.harness.index(&self.probe.from, dev);
                let index = index.map_err(|e| Outcome::NoProbe { what: e.to_string() })?;
                Ok(SocketAddrV6::new(address, port, 0, index).into())
            }
            (address, _) => Ok(SocketAddr::new(address, port)),
        }
    }

    fn family(&self) -> Family {
        Family::of(self.probe.to.address)
    }
}

fn no_probe(error: io::Error) -> Outcome {
    Outcome::NoProbe { what: format!("nslab cannot send it: {error}") }
}

fn no_answer(what: &str) -> Outcome {
    Outcome::NoAnswer { what: what.to_owned() }
}
