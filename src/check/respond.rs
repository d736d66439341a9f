//! The destination's side: the sockets that see probes arrive, write down under which source address, and answer.
//!
//! Echo requests are answered by the kernel itself; here they are only looked at. Knows nothing of what is promised.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::error::CheckError;
use super::exchange;
use super::harness::{Harness, RawKey, Responder, raw_protocol};
use super::packet::{self, Message};
use super::registry::{Arrival, Token};
use super::report::Outcome;
use crate::kernel::packet_size::{Fragments, set_fragments};
use crate::kernel::sockets::{self, Protocol};
use crate::lab::{Check, Family, Lab, NsName, PacketSize, Probe};

/// How long a connection may be silent before it is dropped: it is none of this run.
const SILENT_CONNECTION_LIMIT: Duration = Duration::from_secs(2);

/// How many packets may wait at one socket: more than its buffer holds.
const MOST_WAITING: usize = 20_000;

/// How many packets are read from one socket before the others are read.
const PACKETS_AT_ONCE: usize = 64;

/// Reads what the raw sockets see, until the runtime ends.
pub(super) fn watch(harness: &Rc<Harness>) {
    for key in harness.raw.keys().cloned() {
        let harness = harness.clone();
        spawn_local(async move { watch_raw(&harness, key).await });
    }
}

/// Answers on every port that the checks need, until the runtime ends.
///
/// # Errors
/// The kernel refuses a socket for another reason than that the port is taken.
pub(super) fn listen(harness: &Rc<Harness>, lab: &Lab) -> Result<(), CheckError> {
    for Responder { port, fd } in harness.listen(lab)? {
        let harness = harness.clone();
        if port.protocol == Protocol::Tcp {
            let listener = TcpListener::from_std(fd.into())?;
            spawn_local(async move { accept(&harness, port.ns, listener).await });
        } else {
            let socket = Rc::new(sockets::watched(fd)?);
            harness.listeners.borrow_mut().push(socket.clone());
            spawn_local(async move { return_datagrams(&harness, port.ns, &socket).await });
        }
    }
    Ok(())
}

async fn watch_raw(harness: &Harness, key: RawKey) {
    let Some(socket) = harness.raw.get(&key) else { return };
    while let Ok(mut ready) = socket.readable().await {
        let mut turn = PACKETS_AT_ONCE;
        while turn > 0 && look_at_raw(harness, socket.get_ref(), &key).is_ok() {
            turn -= 1;
        }
        if turn > 0 {
            ready.clear_ready();
        }
        tokio::task::yield_now().await;
    }
}

/// Takes one packet from a raw socket and writes down what it says.
///
/// # Errors
/// EAGAIN: none is waiting.
pub(super) fn look_at_raw(harness: &Harness, socket: &OwnedFd, key: &RawKey) -> nix::Result<()> {
    let mut buffer = [0; 1280];
    let received = sockets::receive(socket, &mut buffer)?;
    let source = received.from.ip();
    let arrival = Arrival { source, destination: received.to, ns: key.ns.clone() };
    let bytes = buffer.get(..received.length).unwrap_or_default();
    match key.protocol {
        Protocol::RawTcp => {
            if let Some(packet::Segment { port, sequence, .. }) = packet::segment(key.family, bytes) {
                harness.registry.saw_opening(port, sequence, arrival);
            }
        }
        Protocol::RawUdp => {
            let datagram = packet::segment(key.family, bytes).map(|segment| segment.rest);
            datagram.into_iter().for_each(|datagram| harness.registry.saw_datagram(datagram, arrival.clone()));
        }
        Protocol::Icmp | Protocol::Tcp | Protocol::Udp => match packet::read(key.family, bytes) {
            Some(Message::Request(token)) => harness.registry.saw(token, arrival),
            Some(Message::Reply(token)) => harness.registry.answered(token, &key.ns, Outcome::Answered),
            Some(Message::Error(token, outcome)) => {
                harness.registry.answered(token, &key.ns, outcome.said_by(Some(source)));
            }
            None => {}
        },
    }
    Ok(())
}

/// Reads all that has arrived and was not read yet.
pub(super) fn read_all(harness: &Harness) {
    for (key, socket) in &harness.raw {
        read_one(harness, socket.get_ref(), key);
    }
}

/// Reads what has arrived of a probe and was not read yet: where it must arrive, or, where an address is probed,
/// anywhere.
pub(super) fn read_arrivals(harness: &Harness, check: &Check, probe: &Probe) {
    let (protocol, family) = (raw_protocol(check.protocol), Family::of(probe.to.address));
    let is_of_it = |key: &RawKey| key.protocol == protocol && key.family == family && probe.arrives(&key.ns);
    for (key, socket) in harness.raw.iter().filter(|(key, _)| is_of_it(key)) {
        read_one(harness, socket.get_ref(), key);
    }
}

/// Reads what waits at a raw socket. One that gets more than it can read never comes to an end.
pub(super) fn read_one(harness: &Harness, socket: &OwnedFd, key: &RawKey) {
    for _ in 0..MOST_WAITING {
        if look_at_raw(harness, socket, key).is_err() {
            break;
        }
    }
}

async fn accept(harness: &Rc<Harness>, ns: NsName, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (harness, ns) = (harness.clone(), ns.clone());
                spawn_local(async move { timeout(SILENT_CONNECTION_LIMIT, converse(&harness, ns, stream)).await });
            }
            // No descriptor is free, or the connection was gone before it was taken: the next one may succeed.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// The client sends its token first and gets it back: then both know that they have met.
async fn converse(harness: &Harness, ns: NsName, mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; Token::LENGTH];
    stream.read_exact(&mut bytes).await?;
    if let Some(token) = Token::from_bytes(&bytes) {
        let source = stream.peer_addr()?.ip().to_canonical();
        let destination = Some(stream.local_addr()?.ip().to_canonical());
        harness.registry.saw(token, Arrival { source, destination, ns });
        stream.write_all(&bytes).await?;
    }
    exchange::return_data(&mut stream).await?;
    // The client ends the connection, with a reset, so that no side has to remember it.
    stream.read_exact(&mut bytes).await.map(drop)
}

async fn return_datagrams(harness: &Harness, ns: NsName, socket: &AsyncFd<OwnedFd>) {
    let mut buffer = vec![0; usize::from(PacketSize::MOST)];
    loop {
        // What the network says about an earlier answer comes as an error; there is nothing to do about it.
        let Ok(received) = socket.async_io(sockets::ANYTHING, |fd| Ok(sockets::receive(fd, &mut buffer)?)).await else {
            continue;
        };
        let datagram = buffer.get(..received.length).unwrap_or_default();
        // Another run's probes are answered, too; but what is longer may be anybody's.
        let is_probe = |token: &Token| {
            let is_of_others = match harness.registry.others() {
                // Whoever has made it up is answered nothing: two of us would answer each other for ever.
                Some(others) => others.is_tagged(token.to_bytes()),
                None => datagram.len() == Token::LENGTH,
            };
            is_of_others || harness.registry.knows(*token)
        };
        if let Some(token) = Token::from_bytes(datagram).filter(is_probe) {
            let arrival = Arrival { source: received.from.ip(), destination: received.to, ns: ns.clone() };
            harness.registry.saw(token, arrival);
            // From the address that was asked: from any other it would not count as an answer.
            let _ = answer(socket, datagram, received).await;
        }
    }
}

async fn answer(socket: &AsyncFd<OwnedFd>, bytes: &[u8], to: sockets::Received) -> nix::Result<()> {
    match answer_now(socket.get_ref(), bytes, to) {
        Err(Errno::EAGAIN | Errno::ENOBUFS) => {
            tokio::time::sleep(Duration::from_millis(1)).await;
            answer_now(socket.get_ref(), bytes, to)
        }
        result => result,
    }
}

fn answer_now(socket: &OwnedFd, bytes: &[u8], to: sockets::Received) -> nix::Result<()> {
    if let Some(whole) = packet::answers_whole(bytes) {
        let fragments = if whole { Fragments::Never } else { Fragments::Allowed };
        set_fragments(socket, Family::of(to.from.ip()), fragments)?;
    }
    sockets::send(socket, bytes, Some(to.from), to.to)
}
