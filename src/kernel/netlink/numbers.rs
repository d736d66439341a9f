//! Numbers of attributes that the crate `libc` has for glibc alone, from linux/rtnetlink.h and linux/neighbour.h. They
//! are the kernel's, whatever the C library.

/// A neighbour's bridge.
pub const NDA_MASTER: u16 = 9;
/// A next hop of another family.
pub const RTA_VIA: u16 = 18;
/// Another destination, of MPLS.
pub const RTA_NEWDST: u16 = 19;
/// The kind of a light-weight tunnel.
pub const RTA_ENCAP_TYPE: u16 = 21;
/// What a light-weight tunnel adds.
pub const RTA_ENCAP: u16 = 22;
