//! Interfaces that one message makes, by themselves or upon another interface: what each kind is, and what it is told.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::{End, IfName, Mac};

/// An interface that is neither a cable's end nor a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// One end of a tunnel that carries Ethernet frames in UDP packets (RFC 7348).
    Vxlan(Vxlan),
}

/// The kinds of [`Device`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceKind {
    /// [`Device::Vxlan`].
    Vxlan,
}

/// What a VXLAN end is told (`ip link … type vxlan`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vxlan {
    /// The number of the network (VNI), of 24 bits.
    pub id: u32,
    /// The address that its packets come from. Live: none, if somebody left it to the routing table.
    pub local: Option<IpAddr>,
    /// The UDP port that packets are sent to, and come in at.
    pub port: u16,
    /// The interface of the same namespace that its packets are bound to; none: the routing table decides.
    pub dev: Option<IfName>,
    /// Whether it learns from what comes in which hardware address is behind which other end.
    pub learning: bool,
    /// Live: the end or the multicast group that it was told to send everything to. The language has [`Fdb`] for that.
    pub remote: Option<IpAddr>,
}

/// An entry of a VXLAN end's forwarding database: where frames for a hardware address are sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fdb {
    /// The VXLAN end.
    pub dev: IfName,
    /// The hardware address; [`Mac::ANY`] for all that are not known, and for what is for everybody.
    pub mac: Mac,
    /// The address of the other end. Live `None`: somebody's entry that says more than that (another port, say).
    pub to: Option<IpAddr>,
}

/// The port of VXLAN (RFC 7348). Linux itself takes 8472 where none is given, which is older.
pub const VXLAN_PORT: u16 = 4789;

/// What VXLAN puts around a packet: Ethernet (14), VXLAN (8), UDP (8) and IP (20 or 40) headers.
pub fn vxlan_overhead(local: IpAddr) -> u32 {
    if local.is_ipv6() { 70 } else { 50 }
}

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Vxlan];

    /// The kernel's word for it, as after `type` in `ip link`; its module has the same name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
        }
    }
}

impl Device {
    /// Which kind it is.
    pub fn kind(&self) -> DeviceKind {
        match self {
            Self::Vxlan(_) => DeviceKind::Vxlan,
        }
    }

    /// The interface upon which it is, in the namespace `ns`: when that goes, the kernel takes this one along.
    pub fn parent(&self, ns: &super::NsName) -> Option<End> {
        match self {
            Self::Vxlan(vxlan) => vxlan.dev.as_ref().map(|dev| End { ns: ns.clone(), name: dev.clone() }),
        }
    }

    /// Whether it can be made into another without being made anew. The kernel changes neither the number nor the
    /// port of a VXLAN end (vxlan_nl2conf), and takes none of its addresses away.
    pub fn can_become(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Vxlan(is), Self::Vxlan(to)) => {
                let family = |vxlan: &Vxlan| vxlan.local.map(|local| local.is_ipv6());
                let (local, learning) = (to.local, to.learning);
                family(is) == family(to) && Vxlan { local, learning, ..is.clone() } == *to
            }
        }
    }
}

impl Device {
    /// The options of `ip link set … type` that make another one into this one.
    pub fn changes_from(&self, from: &Self) -> String {
        let mut options = String::new();
        match (from, self) {
            (Self::Vxlan(from), Self::Vxlan(to)) => {
                if let Some(local) = to.local.filter(|_| to.local != from.local) {
                    options += &format!(" local {local}");
                }
                if to.learning != from.learning {
                    options += if to.learning { " learning" } else { " nolearning" };
                }
            }
        }
        options
    }
}

impl Vxlan {
    /// Whether two ends cannot be in one namespace: packets for both would come in at the same port with the same number.
    pub fn collides(&self, other: &Self) -> bool {
        let is_ipv6 = |vxlan: &Self| vxlan.local.or(vxlan.remote).is_some_and(|address| address.is_ipv6());
        self.id == other.id && self.port == other.port && is_ipv6(self) == is_ipv6(other)
    }
}

/// What comes after `type` in `ip link`.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        match self {
            Self::Vxlan(vxlan) => {
                write!(f, " id {}", vxlan.id)?;
                if let Some(local) = vxlan.local {
                    write!(f, " local {local}")?;
                }
                if let Some(remote) = vxlan.remote {
                    write!(f, " {} {remote}", if remote.is_multicast() { "group" } else { "remote" })?;
                }
                if let Some(dev) = &vxlan.dev {
                    write!(f, " dev {dev}")?;
                }
                write!(f, " dstport {}", vxlan.port)?;
                f.write_str(if vxlan.learning { "" } else { " nolearning" })
            }
        }
    }
}

/// The entry as it comes after `bridge fdb append`.
impl fmt::Display for Fdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.mac, self.dev)?;
        match self.to {
            Some(to) => write!(f, " dst {to}"),
            None => Ok(()),
        }
    }
}
