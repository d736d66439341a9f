//! Flags of interfaces that decide which frames they take and send.

/// The flags of an interface that a person can set and a file cannot (see `netdevice(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceFlags {
    /// Whether it asks for MAC addresses, and answers who asks (no IFF_NOARP).
    pub arp: bool,
    /// Whether it sends to multicast groups (IFF_MULTICAST).
    pub multicast: bool,
    /// Whether it takes what is for other MAC addresses, because somebody wants it to: what a bridge needs of its
    /// ports does not count (IFF_PROMISC).
    pub promisc: bool,
    /// The same for all multicast groups (IFF_ALLMULTI).
    pub allmulticast: bool,
}

impl InterfaceFlags {
    /// Those of a plain Ethernet interface.
    pub const ETHERNET: Self = Self { arp: true, multicast: true, promisc: false, allmulticast: false };
}
