//! ICMP and ICMPv6 messages as bytes: echo requests are built, and what raw sockets receive is read.
//!
//! Formats: RFC 792 (ICMP), RFC 4443 (ICMPv6), RFC 791 and RFC 8200 for the headers of a quoted packet.

use super::registry::Token;
use super::report::{ADDRESS_UNREACHABLE, HOST_UNREACHABLE, Outcome};
use crate::kernel::sockets::internet_checksum;
use crate::lab::{Family, PacketSize};

/// What a raw socket received, as far as it concerns a probe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// An echo request arrived.
    Request(Token),
    /// An echo reply came back.
    Reply(Token),
    /// A router or host could not deliver a request and sent (a part of) it back. The outcome does not name it
    /// yet.
    Error(Token, Outcome),
}

/// A TCP segment or a UDP datagram that a raw socket received.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// The port that it is for.
    pub port: u16,
    /// Of TCP, its sequence number.
    pub sequence: u32,
    /// What follows the eight bytes with which both headers begin: the whole payload of a datagram.
    pub rest: &'a [u8],
}

/// Reads what a raw TCP or UDP socket received: with its IP header for IPv4, without for IPv6 (raw(7)).
pub(super) fn segment(family: Family, bytes: &[u8]) -> Option<Segment<'_>> {
    let header = match family {
        Family::Ipv4 => usize::from(bytes.first()? & 0x0f) * 4,
        Family::Ipv6 => 0,
    };
    let segment = bytes.get(header..)?;
    let port = u16::from_be_bytes(*segment.get(2..)?.first_chunk()?);
    let sequence = u32::from_be_bytes(*segment.get(4..)?.first_chunk()?);
    Some(Segment { port, sequence, rest: segment.get(8..)? })
}

const ECHO_HEADER: usize = 8;

/// An echo request that carries a token; with a size, zeros follow.
pub(super) fn echo_request(family: Family, token: Token, size: Option<PacketSize>) -> Vec<u8> {
    let kind = if family == Family::Ipv4 { 8 } else { 128 };
    let [high, low] = token.identifier().to_be_bytes();
    let mut packet = vec![kind, 0, 0, 0, high, low, 0, 1];
    packet.extend(token.to_bytes());
    packet.resize(size.map_or(0, |size| size.payload(family, 0)).max(packet.len()), 0);
    // The kernel fills in the checksum of ICMPv6, which covers addresses that it has yet to choose (RFC 3542).
    if family == Family::Ipv4 {
        let sum = internet_checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
    }
    packet
}

/// What a datagram of a size carries behind the token: whether the answer must not be fragmented, then zeros.
pub(super) fn datagram(family: Family, token: Token, size: Option<PacketSize>) -> Vec<u8> {
    let mut payload = token.to_bytes().to_vec();
    if let Some(size) = size {
        payload.push(size.dont_fragment.into());
        payload.resize(size.payload(family, UDP_HEADER), 0);
    }
    payload
}

/// Whether the answer to a datagram must not be fragmented; none: its size does not matter.
pub(super) fn answers_whole(payload: &[u8]) -> Option<bool> {
    payload.get(Token::LENGTH).map(|dont_fragment| *dont_fragment != 0)
}

const UDP_HEADER: u16 = 8;

/// Reads what a raw socket received: with its IP header for IPv4, without for IPv6 (raw(7)).
pub(super) fn read(family: Family, bytes: &[u8]) -> Option<Message> {
    let icmp = match family {
        Family::Ipv4 => bytes.get(ipv4_header(bytes)?..)?,
        Family::Ipv6 => bytes,
    };
    let (&kind, &code) = (icmp.first()?, icmp.get(1)?);
    let body = icmp.get(ECHO_HEADER..)?;
    match (family, kind) {
        (Family::Ipv4, 8) | (Family::Ipv6, 128) => Some(Message::Request(Token::from_bytes(body)?)),
        (Family::Ipv4, 0) | (Family::Ipv6, 129) => Some(Message::Reply(Token::from_bytes(body)?)),
        (Family::Ipv4, 3 | 11) | (Family::Ipv6, 1 | 3) => {
            Some(Message::Error(quoted(family, body)?, error(family, kind, code, mtu(family, icmp))))
        }
        (Family::Ipv6, PACKET_TOO_BIG) => Some(Message::Error(quoted(family, body)?, too_big(mtu(family, icmp)))),
        _ => None,
    }
}

/// The token of an echo request that an error quotes.
fn quoted(family: Family, quote: &[u8]) -> Option<Token> {
    const ICMPV6: u8 = 58;
    let (header, kind) = match family {
        Family::Ipv4 => (ipv4_header(quote)?, 8),
        Family::Ipv6 => (Some(40).filter(|_| quote.get(6) == Some(&ICMPV6))?, 128),
    };
    let echo = quote.get(header..)?;
    (echo.first() == Some(&kind)).then(|| Token::from_bytes(echo.get(ECHO_HEADER..)?))?
}

/// The length of an IPv4 header that is followed by ICMP.
fn ipv4_header(bytes: &[u8]) -> Option<usize> {
    const ICMP: u8 = 1;
    (bytes.get(9) == Some(&ICMP)).then_some(usize::from(bytes.first()? & 0x0f) * 4)
}

const PACKET_TOO_BIG: u8 = 2;

/// The MTU of the next link that an error says (RFC 1191, section 4; RFC 4443, section 3.2). Zero: none.
fn mtu(family: Family, icmp: &[u8]) -> u32 {
    let word = icmp.get(4..8).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes));
    match family {
        Family::Ipv4 => word & 0xffff,
        Family::Ipv6 => word,
    }
}

/// A packet that was too big for the next link, and must not be fragmented.
pub(super) fn too_big(mtu: u32) -> Outcome {
    let what = if mtu == 0 { "too big for the path".to_owned() } else { format!("too big for the path: MTU {mtu}") };
    Outcome::Unreachable { what, by: None }
}

/// The names of the errors are those of the RFCs, as ping(8) prints them.
fn error(family: Family, kind: u8, code: u8, mtu: u32) -> Outcome {
    let what = match (family, kind, code) {
        (Family::Ipv4, 3, 3) | (Family::Ipv6, 1, 4) => return Outcome::Refused { by: None },
        (Family::Ipv4, 3, 0 | 6) => "network unreachable",
        (Family::Ipv4, 3, 1 | 7) => HOST_UNREACHABLE,
        (Family::Ipv4, 3, 2) => "protocol unreachable",
        (Family::Ipv4, 3, 4) => return too_big(mtu),
        (Family::Ipv4, 3, 9 | 10 | 13) | (Family::Ipv6, 1, 1) => "administratively prohibited",
        (Family::Ipv6, 1, 0) => "no route to the destination",
        (Family::Ipv6, 1, 3) => ADDRESS_UNREACHABLE,
        (Family::Ipv6, 1, 5) => "source address refused by policy",
        (Family::Ipv6, 1, 6) => "route rejected",
        (Family::Ipv4, 11, _) | (Family::Ipv6, 3, _) => "time to live exceeded (a routing loop?)",
        _ => "destination unreachable",
    };
    Outcome::Unreachable { what: what.to_owned(), by: None }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;
    use crate::lab::NsName;

    fn with_ipv4_header(protocol: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45; 1];
        packet.resize(20, 0);
        packet[9] = protocol;
        packet.extend(body);
        packet
    }

    #[test]
    fn a_request_is_known_again_in_a_reply_and_in_a_quote() {
        let (token, _) = Registry::new().open(&NsName::host());
        let request = echo_request(Family::Ipv4, token, None);
        assert_eq!(internet_checksum(&request), 0, "a packet with its checksum sums up to zero");
        assert_eq!(read(Family::Ipv4, &with_ipv4_header(1, &request)), Some(Message::Request(token)));

        let mut reply = request.clone();
        reply[0] = 0;
        assert_eq!(read(Family::Ipv4, &with_ipv4_header(1, &reply)), Some(Message::Reply(token)));

        let error = [&[3, 1, 0, 0, 0, 0, 0, 0], with_ipv4_header(1, &request).as_slice()].concat();
        let host_unreachable = Outcome::Unreachable { what: "host unreachable".into(), by: None };
        assert_eq!(read(Family::Ipv4, &with_ipv4_header(1, &error)), Some(Message::Error(token, host_unreachable)));
    }

    #[test]
    fn segments_are_read_with_and_without_an_ip_header() {
        let udp = [&[0x12, 0x34, 0, 80, 0, 24, 0, 0][..], &[7; 16]].concat();
        for (family, bytes) in [(Family::Ipv6, udp.clone()), (Family::Ipv4, with_ipv4_header(17, &udp))] {
            assert_eq!(segment(family, &bytes), Some(Segment { port: 80, sequence: 0x0018_0000, rest: &[7; 16] }));
            let cut = bytes.len() - udp.len() + 7;
            (0..=cut).for_each(|end| assert_eq!(segment(family, &bytes[..end]), None, "{family:?} {end}"));
        }
    }

    #[test]
    fn an_error_about_something_else_is_not_ours() {
        let tcp = with_ipv4_header(6, &[8; 40]);
        let error = [&[3, 1, 0, 0, 0, 0, 0, 0], tcp.as_slice()].concat();
        assert_eq!(read(Family::Ipv4, &with_ipv4_header(1, &error)), None);
    }

    #[test]
    fn packets_that_are_cut_off_anywhere_are_no_message() {
        let (token, _) = Registry::new().open(&NsName::host());
        for family in [Family::Ipv4, Family::Ipv6] {
            let request = echo_request(family, token, None);
            let error =
                [&[if family == Family::Ipv4 { 3 } else { 1 }, 0, 0, 0, 0, 0, 0, 0], &[0; 40][..], &request].concat();
            let whole = if family == Family::Ipv4 { with_ipv4_header(1, &request) } else { request.clone() };
            for packet in [whole, error] {
                (0..packet.len()).for_each(|end| assert_eq!(read(family, &packet[..end]), None, "{family:?} {end}"));
            }
        }
    }
}
