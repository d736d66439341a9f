//! One marked packet: sent in a namespace, and looked for at every interface of others.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::EngineError;
use crate::kernel::packet_size::{Fragments, set_fragments};
use crate::kernel::sockets::{self, Protocol as Speaks};
use crate::kernel::taps::{self, Tap};
use crate::kernel::{KernelError, netns};
use crate::lab::{Family, IfName, NsName, PacketSize, Probe, Protocol};
use crate::trace::{Heard, Kind, Mark, ProbeEnd, Sighting, read};

/// After the answer has come, so long is waited for what was seen of it elsewhere.
const GRACE: Duration = Duration::from_millis(5);

/// How long the kernel usually takes until it notes when packets come.
const UNTIL_TIMES_ARE_NOTED: Duration = Duration::from_millis(2);

/// So many frames are read from a namespace at once.
const MOST_FRAMES: usize = 4096;

/// How long it is at most until the sender's socket is asked again.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// The bytes of headers between that of IP and the payload.
const HEADER: u16 = 8;

/// What was seen.
pub(super) struct Watched {
    pub sightings: Vec<Sighting>,
    /// Who asked for which address, and got no answer.
    pub unanswered: Vec<(NsName, IfName, IpAddr)>,
    pub end: ProbeEnd,
}

/// What to send, and for how long to wait.
pub(super) struct Sending<'a> {
    pub probe: &'a Probe,
    pub protocol: Protocol,
    pub size: Option<PacketSize>,
    /// Whether nslab answers where the check has it listen; or else only the lab's programs do.
    pub answers: bool,
    pub timeout: Duration,
}

/// Sends a packet, and watches it at the interfaces of some namespaces.
///
/// # Errors
/// A socket cannot be opened.
pub(super) fn send_and_watch(sending: &Sending<'_>, at: &[&NsName]) -> Result<Watched, EngineError> {
    let mut taps = Vec::new();
    for ns in at {
        match netns::open(ns) {
            Ok(fd) => taps.push(((*ns).clone(), Tap::open(fd.as_fd())?)),
            // Where it is gone, nothing can be seen.
            Err(error) if error.errno() == Some(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The kernel begins to note times a moment after the first socket has asked for them (netstamp_work).
    std::thread::sleep(UNTIL_TIMES_ARE_NOTED);
    let servers = if sending.answers { servers(sending)? } else { Vec::new() };
    let mark = random_mark()?;
    let mut watch = Watch { taps, servers, mark, seen: Vec::new(), asked: Vec::new(), told: Vec::new() };
    let end = match start(sending, &mark)? {
        Err(why) => {
            watch.wait(None, Duration::ZERO);
            ProbeEnd::NotSent(why)
        }
        Ok(socket) => watch.wait(Some((&socket, sending)), sending.timeout),
    };
    let answered =
        |asked: &(NsName, IfName, IpAddr)| watch.told.iter().any(|(ns, target)| *ns == asked.0 && *target == asked.2);
    taps::close(std::mem::take(&mut watch.taps).into_iter().map(|(_, tap)| tap).collect());
    let mut unanswered = watch.asked.clone();
    unanswered.retain(|asked| !answered(asked));
    unanswered.dedup();
    Ok(Watched { sightings: watch.seen, unanswered, end })
}

fn random_mark() -> Result<Mark, EngineError> {
    let mut bytes = [0; 20];
    let refused = |error: std::io::Error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
        KernelError::new("read random numbers".to_owned()).with_errno(errno)
    };
    let file = std::fs::File::open("/dev/urandom").map_err(refused)?;
    std::io::Read::read_exact(&mut &file, &mut bytes).map_err(refused)?;
    let (first, last) = bytes.split_at(16);
    let sequence = u32::from_be_bytes(last.try_into().unwrap_or_default());
    // Zero would leave the sequence number to the kernel.
    Ok(Mark { bytes: first.try_into().unwrap_or_default(), sequence: sequence.max(1) })
}

/// The sockets that answer, one for each place where the probe may arrive; none where a program has the port.
fn servers(sending: &Sending<'_>) -> Result<Vec<(Speaks, OwnedFd)>, EngineError> {
    let family = Family::of(sending.probe.to.address);
    let speaks = match sending.protocol {
        Protocol::Icmp => return Ok(Vec::new()),
        Protocol::Tcp(_) => Speaks::Tcp,
        Protocol::Udp(_) => Speaks::Udp,
    };
    let mut open = Vec::new();
    for (ns, port) in &sending.probe.listen {
        let Ok(fd) = netns::open(ns) else { continue };
        let [socket] = <[OwnedFd; 1]>::try_from(sockets::open_in(fd.as_fd(), &[(speaks, family, 1)])?)
            .map_err(|_| KernelError::new(format!("open a socket in {ns}")))?;
        if let (Speaks::Udp, Some(size)) = (speaks, sending.size) {
            let fragments = if size.dont_fragment { Fragments::Never } else { Fragments::Allowed };
            // Where that is refused, answers go as the kernel sends them.
            let _ = set_fragments(&socket, family, fragments);
        }
        if sockets::serve(&socket, speaks, SocketAddr::new(sockets::any_address(family), *port)).is_ok() {
            open.push((speaks, socket));
        }
    }
    Ok(open)
}

/// Lets the packet go; the socket that its answer comes to, or what the kernel said.
fn start(sending: &Sending<'_>, mark: &Mark) -> Result<Result<OwnedFd, String>, EngineError> {
    let probe = sending.probe;
    let (family, ns) = (Family::of(probe.to.address), netns::open(&probe.from)?);
    let (speaks, port) = match sending.protocol {
        Protocol::Icmp => (Speaks::Icmp, 0),
        Protocol::Tcp(port) => (Speaks::Tcp, port),
        Protocol::Udp(port) => (Speaks::Udp, port),
    };
    let opened = sockets::open_in(ns.as_fd(), &[(speaks, family, 1)])?;
    let Some(socket) = opened.into_iter().next() else {
        return Err(KernelError::new(format!("open a socket in {}", probe.from)).into());
    };
    let to = match (probe.to.address, &probe.to.scope) {
        (IpAddr::V6(address), Some(dev)) => {
            let index = netns::run_in(ns.as_fd(), || nix::net::if_::if_nametoindex(dev.as_str()))?;
            std::net::SocketAddrV6::new(address, port, 0, index.unwrap_or_default()).into()
        }
        (address, _) => SocketAddr::new(address, port),
    };
    Ok(depart(sending, mark, &socket, to).map(|()| socket).map_err(|errno| errno.desc().to_owned()))
}

fn depart(sending: &Sending<'_>, mark: &Mark, socket: &OwnedFd, to: SocketAddr) -> nix::Result<()> {
    let family = Family::of(to.ip());
    if let Some(size) = sending.size {
        set_fragments(socket, family, if size.dont_fragment { Fragments::Never } else { Fragments::Allowed })?;
    }
    let payload = sending.size.map_or(0, |size| size.payload(family, HEADER));
    match sending.protocol {
        Protocol::Icmp => {
            let packet = echo_request(family, mark, payload);
            sockets::send(socket, &packet, Some(to), sending.probe.source)
        }
        Protocol::Tcp(_) => {
            if let Some(source) = sending.probe.source {
                sockets::bind_to(socket, SocketAddr::new(source, 0))?;
            }
            sockets::begin_at(socket, mark.sequence)?;
            sockets::connect_to(socket, to)
        }
        Protocol::Udp(_) => {
            if let Some(source) = sending.probe.source {
                sockets::bind_to(socket, SocketAddr::new(source, 0))?;
            }
            sockets::connect_to(socket, to)?;
            let mut bytes = mark.bytes.to_vec();
            bytes.resize(payload.max(bytes.len()), 0);
            sockets::send(socket, &bytes, None, None)
        }
    }
}

/// An echo request that carries the mark; its checksum covers itself (RFC 792), that of ICMPv6 the kernel fills in.
fn echo_request(family: Family, mark: &Mark, payload: usize) -> Vec<u8> {
    let kind = if family == Family::Ipv4 { 8 } else { 128 };
    let [high, low, ..] = mark.sequence.to_be_bytes();
    let mut packet = vec![kind, 0, 0, 0, high, low, 0, 1];
    packet.extend(mark.bytes);
    packet.resize((payload + usize::from(HEADER)).max(packet.len()), 0);
    if family == Family::Ipv4 {
        let sum = sockets::internet_checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
    }
    packet
}

/// The interfaces of some namespaces, and what was seen there.
struct Watch {
    taps: Vec<(NsName, Tap)>,
    servers: Vec<(Speaks, OwnedFd)>,
    mark: Mark,
    seen: Vec<Sighting>,
    asked: Vec<(NsName, IfName, IpAddr)>,
    told: Vec<(NsName, IpAddr)>,
}

impl Watch {
    /// Watches until the answer is there, or the time is over.
    fn wait(&mut self, sent: Option<(&OwnedFd, &Sending<'_>)>, timeout: Duration) -> ProbeEnd {
        let (mut deadline, mut end) = (Instant::now() + timeout, ProbeEnd::Silence);
        loop {
            self.look();
            if let Some((socket, sending)) = sent
                && end == ProbeEnd::Silence
                && self.is_answered(socket, sending)
            {
                end = ProbeEnd::Answered;
                deadline = deadline.min(Instant::now() + GRACE);
            }
            if self.is_refused() {
                deadline = deadline.min(Instant::now() + GRACE);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.look();
                return end;
            }
            let mut all: Vec<PollFd<'_>> =
                self.taps.iter().map(|(_, tap)| PollFd::new(tap.as_fd(), PollFlags::POLLIN)).collect();
            // Connections are accepted by the kernel.
            let servers = self.servers.iter().filter(|(speaks, _)| *speaks == Speaks::Udp);
            all.extend(servers.map(|(_, fd)| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
            // A socket may get the answer a moment after a tap has seen it.
            let wait =
                PollTimeout::try_from(left.min(LONGEST_WAIT) + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            // A signal ends nslab, or is none of ours.
            let _ = poll(&mut all, wait);
        }
    }

    /// Takes in what there is.
    fn look(&mut self) {
        for (ns, tap) in &self.taps {
            // More than this at once is other traffic, and leaves no time for the clock.
            for frame in std::iter::from_fn(|| tap.read()).take(MOST_FRAMES) {
                match read(&frame.bytes, frame.has_ethernet, frame.vlan, &self.mark) {
                    Some(Heard::Packet(seen)) => self.seen.push(Sighting {
                        ns: ns.clone(),
                        interface: frame.interface,
                        leaves: frame.leaves,
                        time: frame.time,
                        seen,
                    }),
                    Some(Heard::Question { target }) if frame.leaves => {
                        self.asked.push((ns.clone(), frame.interface, target));
                    }
                    Some(Heard::Reply { target }) if !frame.leaves => self.told.push((ns.clone(), target)),
                    Some(Heard::Question { .. } | Heard::Reply { .. }) | None => {}
                }
            }
        }
        for (speaks, fd) in &self.servers {
            let mut buffer = vec![0; usize::from(PacketSize::MOST)];
            if *speaks == Speaks::Udp
                && let Ok(got) = sockets::receive(fd, &mut buffer)
            {
                // An answer that cannot leave is not seen, which is what is to be found out.
                let _ = sockets::send(fd, buffer.get(..got.length).unwrap_or_default(), Some(got.from), got.to);
            }
        }
    }

    /// Whether the sender's own socket has the answer: then no rule there has kept it.
    fn is_answered(&self, socket: &OwnedFd, sending: &Sending<'_>) -> bool {
        let mut buffer = [0; 2048];
        match sending.protocol {
            Protocol::Tcp(_) => self.came_back(Kind::Answer) && sockets::is_connected(socket),
            Protocol::Udp(_) => sockets::receive(socket, &mut buffer).is_ok(),
            Protocol::Icmp => loop {
                let Ok(got) = sockets::receive(socket, &mut buffer) else { return false };
                let bytes = buffer.get(..got.length).unwrap_or_default();
                let header = if sending.probe.to.address.is_ipv4() { 20 } else { 0 };
                let message = bytes.get(header..).unwrap_or_default();
                if matches!(message.first(), Some(0 | 129)) && message.get(8..24) == Some(&self.mark.bytes) {
                    return true;
                }
            },
        }
    }

    fn came_back(&self, kind: Kind) -> bool {
        self.seen.iter().any(|sighting| !sighting.leaves && sighting.seen.kind == kind)
    }

    /// Whether an error or a refusal was seen: nothing else will come.
    fn is_refused(&self) -> bool {
        self.seen.iter().any(|sighting| !sighting.leaves && matches!(sighting.seen.kind, Kind::Reset | Kind::Error(_)))
    }
}
