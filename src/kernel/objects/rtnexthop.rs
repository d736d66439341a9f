//! The fixed part of a next hop in RTA_MULTIPATH (struct rtnexthop in linux/rtnetlink.h).

/// A next hop is taken to be on the link (RTNH_F_ONLINK).
pub(super) const ONLINK: u8 = 4;

/// How long a next hop is without its attributes, in bytes.
pub(super) const HEADER: usize = 8;

/// The next hops as the kernel takes them back: without flags about the state of their interfaces.
pub(super) fn without_state(value: &[u8]) -> Vec<u8> {
    let (mut bytes, mut at) = (value.to_vec(), 0);
    while let Some([a, b, flags]) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *flags &= ONLINK;
        at += usize::from(u16::from_ne_bytes([*a, *b])).max(HEADER).next_multiple_of(4);
    }
    bytes
}
