//! What a frame holds, as far as it concerns one marked packet.
//!
//! Formats: RFC 791 and RFC 8200 (IP), RFC 792 and RFC 4443 (ICMP), RFC 9293 (TCP), RFC 768 (UDP), RFC 826 (ARP), RFC
//! 4861 (neighbour discovery), RFC 7348 (VXLAN), RFC 2003 (IP in IP). What others send is passed over; nothing that it
//! holds is believed but that it was there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::lab::{Family, Mac};

/// By what a packet is known wherever it is: NAT and tunnels keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What an echo request or a datagram begins with.
    pub bytes: [u8; 16],
    /// The sequence number with which a TCP connection begins.
    pub sequence: u32,
}

/// What a frame is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The packet, its answer, or an error about it.
    Packet(Seen),
    /// A question who has an address (ARP, neighbour solicitation).
    Question {
        /// The address.
        target: IpAddr,
    },
    /// The answer to such a question.
    Reply {
        /// The address.
        target: IpAddr,
    },
}

/// What a packet is to the one that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The packet itself; of UDP, also its answer, which may hold the same.
    Sent,
    /// The answer.
    Answer,
    /// A refusal: the answer of nobody who listens.
    Reset,
    /// An ICMP error about it, in words.
    Error(String),
}

/// What an ICMP error says that refuses a port.
const PORT_UNREACHABLE: &str = "port unreachable";

impl Kind {
    /// Whether it refuses a connection, or a datagram.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Reset => true,
            Self::Error(what) => what == PORT_UNREACHABLE,
            Self::Sent | Self::Answer => false,
        }
    }
}

/// A packet in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Its source address and port.
    pub source: (IpAddr, Option<u16>),
    /// Its destination.
    pub destination: (IpAddr, Option<u16>),
    /// Its time to live.
    pub ttl: u8,
    /// The MAC addresses that the frame comes from and goes to; none where the link has none.
    pub macs: Option<(Mac, Mac)>,
    /// The VLAN of the frame.
    pub vlan: Option<u16>,
    /// What it is inside of, in words.
    pub inside: Option<String>,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const VLAN_TAG: u16 = 0x8100;

/// How deep packets are looked for in each other.
const DEPTH: usize = 4;

/// Reads a frame; `has_ethernet` is false where the link has no headers of its own.
pub fn read(frame: &[u8], has_ethernet: bool, vlan: Option<u16>, mark: &Mark) -> Option<Heard> {
    if !has_ethernet {
        return ip(frame, mark, DEPTH).map(Heard::Packet);
    }
    ethernet(frame, vlan, mark, DEPTH)
}

fn ethernet(frame: &[u8], vlan: Option<u16>, mark: &Mark, depth: usize) -> Option<Heard> {
    let (to, from) = (mac(frame, 0)?, mac(frame, 6)?);
    let (mut kind, mut rest, mut vlan) = (word(frame, 12)?, frame.get(14..)?, vlan);
    if kind == VLAN_TAG {
        vlan = Some(word(rest, 0)? & 0x0fff);
        (kind, rest) = (word(rest, 2)?, rest.get(4..)?);
    }
    match kind {
        IPV4 | IPV6 => {
            if let Some(question) = neighbour_discovery(kind, rest) {
                return Some(question);
            }
            let seen = ip(rest, mark, depth)?;
            Some(Heard::Packet(match seen.inside {
                // The MAC addresses of what is inside are told there.
                Some(_) => Seen { vlan, ..seen },
                None => Seen { macs: Some((from, to)), vlan, ..seen },
            }))
        }
        ARP => arp(rest),
        _ => None,
    }
}

fn arp(body: &[u8]) -> Option<Heard> {
    match word(body, 6)? {
        1 => Some(Heard::Question { target: ipv4(body, 24)? }),
        2 => Some(Heard::Reply { target: ipv4(body, 14)? }),
        _ => None,
    }
}

/// Neighbour solicitations and advertisements.
fn neighbour_discovery(kind: u16, packet: &[u8]) -> Option<Heard> {
    const ICMPV6: u8 = 58;
    if kind != IPV6 || packet.get(6) != Some(&ICMPV6) {
        return None;
    }
    let target = ipv6(packet, 48)?;
    match packet.get(40)? {
        135 => Some(Heard::Question { target }),
        136 => Some(Heard::Reply { target }),
        _ => None,
    }
}

/// A packet, or what is in it.
fn ip(packet: &[u8], mark: &Mark, depth: usize) -> Option<Seen> {
    let header = Header::read(packet)?;
    let body = packet.get(header.length..)?;
    let own = |kind, source_port, destination_port| Seen {
        kind,
        source: (header.source, source_port),
        destination: (header.destination, destination_port),
        ttl: header.ttl,
        macs: None,
        vlan: None,
        inside: None,
    };
    match header.protocol {
        1 | 58 => icmp(header.family, body, mark, depth).map(|kind| own(kind, None, None)),
        6 => tcp(body, mark).and_then(|kind| Some(own(kind, Some(word(body, 0)?), Some(word(body, 2)?)))),
        17 if body.get(8..24) == Some(&mark.bytes) => Some(own(Kind::Sent, Some(word(body, 0)?), Some(word(body, 2)?))),
        17 => vxlan(&header, body, mark, depth),
        4 | 41 => {
            let inner = ip(body, mark, depth.checked_sub(1)?)?;
            let around = format!("IP in IP, {} → {}", header.source, header.destination);
            Some(Seen { inside: Some(around), ..inner })
        }
        _ => None,
    }
}

fn vxlan(header: &Header, body: &[u8], mark: &Mark, depth: usize) -> Option<Seen> {
    // The flag that says that there is a number, RFC 7348, section 5.
    let has_number = body.get(8).is_some_and(|flags| flags & 0x08 != 0);
    let vni = u32::from_be_bytes(*body.get(12..16)?.first_chunk()?) >> 8;
    let inner = body.get(16..).filter(|_| has_number)?;
    let Heard::Packet(inner) = ethernet(inner, None, mark, depth.checked_sub(1)?)? else { return None };
    let around = format!("VXLAN {vni}, {} → {}", header.source, header.destination);
    Some(Seen { inside: Some(around), ..inner })
}

fn tcp(segment: &[u8], mark: &Mark) -> Option<Kind> {
    let number = |at| Some(u32::from_be_bytes(*segment.get(at..)?.first_chunk()?));
    let flags = *segment.get(13)?;
    let (syn, reset, ack) = (flags & 0x02 != 0, flags & 0x04 != 0, flags & 0x10 != 0);
    let answers = ack && number(8)? == mark.sequence.wrapping_add(1);
    match (syn, reset) {
        (true, false) if !ack && number(4)? == mark.sequence => Some(Kind::Sent),
        (_, true) if answers => Some(Kind::Reset),
        (true, _) if answers => Some(Kind::Answer),
        (_, _) => None,
    }
}

fn icmp(family: Family, message: &[u8], mark: &Mark, depth: usize) -> Option<Kind> {
    let (kind, code) = (*message.first()?, *message.get(1)?);
    let holds_mark = message.get(8..24) == Some(&mark.bytes);
    match (family, kind) {
        (Family::Ipv4, 8) | (Family::Ipv6, 128) if holds_mark => Some(Kind::Sent),
        (Family::Ipv4, 0) | (Family::Ipv6, 129) if holds_mark => Some(Kind::Answer),
        (Family::Ipv4, 3 | 11) | (Family::Ipv6, 1..=3) => {
            quoted(message.get(8..)?, mark, depth)?;
            let word = u32::from_be_bytes(*message.get(4..8)?.first_chunk()?);
            Some(Kind::Error(error(family, kind, code, word)))
        }
        _ => None,
    }
}

/// Whether an error is about the packet: of TCP, it may quote no more than eight bytes behind the IP header.
fn quoted(quote: &[u8], mark: &Mark, depth: usize) -> Option<()> {
    let header = Header::read(quote)?;
    let body = quote.get(header.length..)?;
    let sequence = || Some(u32::from_be_bytes(*body.get(4..8)?.first_chunk()?));
    if header.protocol == 6 && sequence()? == mark.sequence {
        return Some(());
    }
    ip(quote, mark, depth.checked_sub(1)?).map(drop)
}

fn error(family: Family, kind: u8, code: u8, word: u32) -> String {
    let text = match (family, kind, code) {
        (Family::Ipv4, 3, 0) => "network unreachable",
        (Family::Ipv4, 3, 1) => "host unreachable",
        (Family::Ipv4, 3, 2) => "protocol unreachable",
        (Family::Ipv4, 3, 3) | (Family::Ipv6, 1, 4) => "port unreachable",
        (Family::Ipv4, 3, 4) => return format!("fragmentation needed, MTU {}", word & 0xffff),
        (Family::Ipv6, 2, _) => return format!("packet too big, MTU {word}"),
        (Family::Ipv4, 3, 9 | 10 | 13) | (Family::Ipv6, 1, 1) => "administratively prohibited",
        (Family::Ipv4, 11, _) | (Family::Ipv6, 3, _) => "time to live exceeded",
        (Family::Ipv6, 1, 0) => "no route to the destination",
        (Family::Ipv6, 1, 3) => "address unreachable",
        (Family::Ipv6, 1, 5) => "source address refused by policy",
        (Family::Ipv6, 1, 6) => "route rejected",
        _ => "destination unreachable",
    };
    text.to_owned()
}

/// What the header of a packet says.
struct Header {
    family: Family,
    length: usize,
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
}

impl Header {
    fn read(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Some(Self {
                family: Family::Ipv4,
                length: usize::from(packet.first()? & 0x0f) * 4,
                protocol: *packet.get(9)?,
                source: ipv4(packet, 12)?,
                destination: ipv4(packet, 16)?,
                ttl: *packet.get(8)?,
            }),
            6 => {
                // A fragment has one header more (RFC 8200, section 4.5).
                const FRAGMENT: u8 = 44;
                let next = *packet.get(6)?;
                let (length, protocol) = if next == FRAGMENT { (48, *packet.get(40)?) } else { (40, next) };
                let (source, destination) = (ipv6(packet, 8)?, ipv6(packet, 24)?);
                Some(Self { family: Family::Ipv6, length, protocol, source, destination, ttl: *packet.get(7)? })
            }
            _ => None,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    Some(Mac(*bytes.get(at..)?.first_chunk()?))
}

fn ipv4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?).into())
}

fn ipv6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    Some(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: Mark = Mark { bytes: *b"sixteen bytes, 1", sequence: 0x0102_0304 };

    fn echo() -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 44, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([8, 0, 0, 0, 0, 1, 0, 1]);
        packet.extend(MARK.bytes);
        packet
    }

    fn framed(kind: u16, packet: &[u8]) -> Vec<u8> {
        [&[2; 6][..], &[4; 6], &kind.to_be_bytes(), packet].concat()
    }

    fn seen(frame: &[u8]) -> Option<Seen> {
        match read(frame, true, None, &MARK)? {
            Heard::Packet(seen) => Some(seen),
            Heard::Question { .. } | Heard::Reply { .. } => None,
        }
    }

    #[test]
    fn a_packet_is_known_again_inside_of_a_tunnel_and_in_an_error() {
        let plain = seen(&framed(IPV4, &echo())).unwrap();
        assert_eq!((plain.kind, plain.ttl, plain.inside), (Kind::Sent, 64, None));
        assert_eq!(plain.macs, Some((Mac([4; 6]), Mac([2; 6]))));

        let mut vxlan = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 168, 1, 1, 192, 168, 1, 2];
        vxlan.extend([0, 9, 0x12, 0xb5, 0, 0, 0, 0, 0x08, 0, 0, 0, 0, 0, 42, 0]);
        vxlan.extend(framed(IPV4, &echo()));
        let inner = seen(&framed(IPV4, &vxlan)).unwrap();
        assert_eq!(inner.inside.as_deref(), Some("VXLAN 42, 192.168.1.1 → 192.168.1.2"));
        assert_eq!(inner.destination.0, "10.0.0.2".parse::<IpAddr>().unwrap());

        let mut error = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1];
        error.extend([3, 4, 0, 0, 0, 0, 0x03, 0xe8]);
        error.extend(echo());
        assert_eq!(seen(&framed(IPV4, &error)).unwrap().kind, Kind::Error("fragmentation needed, MTU 1000".into()));
    }

    #[test]
    fn what_others_send_is_passed_over() {
        let mut other = echo();
        other[30] ^= 1;
        assert_eq!(seen(&framed(IPV4, &other)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200), ethernet: bool) {
            let _ = read(&bytes, ethernet, None, &MARK);
        }

        #[test]
        fn a_frame_that_is_cut_off_is_no_other_packet(end in 0_usize..58) {
            prop_assert_eq!(seen(&framed(IPV4, &echo())[..end]), None);
        }
    }
}
