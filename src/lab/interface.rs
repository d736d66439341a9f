//! Interfaces: what kind they are, what they carry, which switch they are plugged into.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexSet;
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::{IfName, LabName, NsName, VirtualInterface, Vlans, fnv1a};

/// MTU of an Ethernet interface that was not changed, in bytes (ETH_DATA_LEN).
pub const ETHERNET_MTU: u32 = 1500;

/// One interface of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The lab whose mark (alias, or interface group) it carries.
    pub owner: Option<LabName>,
    /// What it is.
    pub kind: InterfaceKind,
    /// Whether it is administratively up (IFF_UP).
    pub up: bool,
    /// Its hardware address; wanted `None`: whatever the kernel chose.
    pub mac: Option<Mac>,
    /// Its MTU in bytes; wanted `None`: the kernel's default.
    pub mtu: Option<u32>,
    /// The bridge, or the VRF, that it is a port of, in the same namespace.
    pub master: Option<IfName>,
    /// Of a port of a bridge and of a bridge's own interface: its VLANs. Wanted `None`: those of [`Vlans::default`]. Live
    /// `None`: not asked for, since no bridge of the namespace keeps VLANs apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vlans>,
    /// Its addresses with their prefix lengths. Live: without the link-local addresses that the kernel makes.
    /// In the order of the file, or of the kernel; the first IPv4 address of a subnet is the one that packets leave with.
    pub addresses: IndexSet<IpNet>,
}

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// The loopback that every namespace has.
    Loopback,
    /// One end of a veth pair.
    Veth {
        /// The other end. Live `None`: it is in a namespace that we do not look at.
        peer: Option<InterfaceRef>,
    },
    /// A bridge: a switch in the kernel.
    Bridge(BridgeOptions),
    /// Anything else, by the kernel's word for it (`tun`, or `device` for real hardware).
    Other(String),
    /// An interface that one message makes.
    #[serde(untagged)]
    Virtual(VirtualInterface),
}

impl InterfaceKind {
    /// Takes over the other end, or the interface that it stands upon, from one of the same kind.
    pub fn connect_like(&mut self, other: &Self) {
        match (self, other) {
            (Self::Veth { peer }, Self::Veth { peer: others }) => peer.clone_from(others),
            (Self::Virtual(device), Self::Virtual(other)) if device.kind() == other.kind() => {
                if let Some(upon) = device.lower_mut() {
                    *upon = other.lower().cloned();
                }
            }
            _ => {}
        }
    }
}

/// The options of a bridge that the language knows (`ip link … type bridge`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct BridgeOptions {
    /// Spanning tree protocol (`stp_state`); off in Linux unless asked for.
    pub stp: bool,
    /// Whether the bridge keeps VLANs apart (`vlan_filtering`).
    pub vlan_filtering: bool,
}

/// One end of a link: an interface in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct InterfaceRef {
    /// The namespace it is in.
    pub ns: NsName,
    /// Its name there.
    pub name: IfName,
}

impl InterfaceRef {
    /// A name for the moment until the interface gets its own: one that nothing else has.
    pub(crate) fn temporary_name(&self) -> IfName {
        IfName::trusted(format!("nslab{:08x}", fnv1a(&self.to_string())))
    }
}

impl fmt::Display for InterfaceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ns, self.name)
    }
}

/// A hardware (Ethernet) address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// In a forwarding database: every address of which nothing else is known.
    pub const ANY: Self = Self([0; 6]);

    /// A locally administered address that belongs to an interface of this name and place, the same every time.
    pub(crate) fn made_for(end: &InterfaceRef) -> Self {
        let [a, b, c, d] = fnv1a(&end.to_string()).to_be_bytes();
        Self([0x02, 0x6e, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "a hardware address is six pairs of hexadecimal digits with colons, such as 02:00:00:00:00:01";
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(FORM)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| FORM)?;
        }
        if parts.next().is_some() {
            return Err(FORM);
        }
        if bytes == [0; 6] {
            return Err("the kernel refuses a hardware address of zeros");
        }
        if bytes[0] & 1 == 1 {
            return Err("this is a multicast address (the first byte is odd): no interface can have it");
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Interface {
    /// The other end, where this is a veth whose peer is known.
    pub fn peer(&self) -> Option<&InterfaceRef> {
        match &self.kind {
            InterfaceKind::Veth { peer } => peer.as_ref(),
            _ => None,
        }
    }

    /// What it was told, where it is such a device.
    pub fn device(&self) -> Option<&VirtualInterface> {
        match &self.kind {
            InterfaceKind::Virtual(device) => Some(device),
            _ => None,
        }
    }

    /// The kernel's word for its kind, as after `type` in `ip link`.
    pub fn kind_name(&self) -> &str {
        match &self.kind {
            InterfaceKind::Loopback => "loopback",
            InterfaceKind::Veth { .. } => "veth",
            InterfaceKind::Bridge(_) => "bridge",
            InterfaceKind::Virtual(device) => device.kind().name(),
            InterfaceKind::Other(name) => name,
        }
    }
}
