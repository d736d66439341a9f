//! What can be done to an interface of any kind.

use super::command::{changed_options, ip, ip_link_set, on_or_off};
use super::operation::{Operation, Reach};
use super::{Change, Phase, Tier};
use crate::lab::{IfName, InterfaceFlags, InterfaceRef, LabName, Mac, NsName};

/// A step on an interface, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceStep {
    /// Remove it (of a veth pair: both interfaces).
    Remove {
        /// Which.
        interface: InterfaceRef,
        /// When it goes.
        tier: Tier,
    },
    /// Remove all interfaces of the lab from `host` at once: one by one, each costs the kernel some 20 ms.
    RemoveFromHost {
        /// The lab; its group is the one that goes.
        lab: LabName,
        /// The interfaces that are in it. If anything else is, they go one by one.
        interfaces: Vec<IfName>,
    },
    /// Bring all interfaces of the lab in `host` down at once.
    DownInHost {
        /// The lab; its group is the one that goes down.
        lab: LabName,
        /// The interfaces that are in it. If anything else is, they go down one by one.
        interfaces: Vec<IfName>,
    },
    /// Bring it up or down.
    Up {
        /// Which.
        interface: InterfaceRef,
        /// When it comes up.
        tier: Tier,
        /// Up, or down.
        up: bool,
    },
    /// Change its MTU.
    Mtu {
        /// Which.
        interface: InterfaceRef,
        /// When it changes.
        tier: Tier,
        /// In bytes.
        change: Change<u32>,
    },
    /// Change its MAC address.
    Mac {
        /// Which.
        interface: InterfaceRef,
        /// When it changes.
        tier: Tier,
        /// The addresses.
        change: Change<Mac>,
    },
    /// Change its flags.
    Flags {
        /// Which.
        interface: InterfaceRef,
        /// When they change.
        tier: Tier,
        /// The flags.
        change: Change<InterfaceFlags>,
    },
}

impl InterfaceStep {
    /// Which interface, if it is one.
    pub(super) fn interface(&self) -> Option<&InterfaceRef> {
        match self {
            Self::Remove { interface, .. }
            | Self::Up { interface, .. }
            | Self::Mtu { interface, .. }
            | Self::Mac { interface, .. }
            | Self::Flags { interface, .. } => Some(interface),
            Self::RemoveFromHost { .. } | Self::DownInHost { .. } => None,
        }
    }

    /// The way back; none where what was removed cannot be brought back as it was.
    pub(super) fn inverse(&self) -> Option<Self> {
        Some(match self {
            Self::Remove { .. } | Self::RemoveFromHost { .. } | Self::DownInHost { .. } => return None,
            Self::Up { interface, tier, up } => Self::Up { interface: interface.clone(), tier: *tier, up: !up },
            Self::Mtu { interface, tier, change } => {
                Self::Mtu { interface: interface.clone(), tier: *tier, change: change.inverse() }
            }
            Self::Mac { interface, tier, change } => {
                Self::Mac { interface: interface.clone(), tier: *tier, change: change.inverse() }
            }
            Self::Flags { interface, tier, change } => {
                Self::Flags { interface: interface.clone(), tier: *tier, change: change.inverse() }
            }
        })
    }
}

impl Operation for InterfaceStep {
    fn text(&self) -> String {
        match self {
            Self::Remove { interface, .. } => format!("remove interface {} from {}", interface.name, interface.ns),
            Self::RemoveFromHost { interfaces, .. } => format!("remove the interfaces {} from host", list(interfaces)),
            Self::DownInHost { interfaces, .. } => format!("bring the interfaces {} of host down", list(interfaces)),
            Self::Up { interface, up, .. } => format!("bring {interface} {}", up_or_down(*up)),
            Self::Mtu { interface, change: Change { from, to }, .. } => {
                format!("change the MTU of {interface} from {from} to {to}")
            }
            Self::Mac { interface, change: Change { from, to }, .. } => {
                format!("change the MAC address of {interface} from {from} to {to}")
            }
            Self::Flags { interface, change, .. } => format!("set{} on {interface}", flags(*change)),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Remove { interface, .. } => format!("{} link del dev {}", ip(&interface.ns), interface.name),
            Self::RemoveFromHost { lab, .. } => format!("ip link del group {}", lab.group()),
            Self::DownInHost { lab, .. } => format!("ip link set group {} down", lab.group()),
            Self::Up { interface, up, .. } => format!("{} {}", ip_link_set(interface), up_or_down(*up)),
            Self::Mtu { interface, change, .. } => format!("{} mtu {}", ip_link_set(interface), change.to),
            Self::Mac { interface, change, .. } => format!("{} address {}", ip_link_set(interface), change.to),
            Self::Flags { interface, change, .. } => format!("{}{}", ip_link_set(interface), flags(*change)),
        }
    }

    fn script(&self) -> Vec<String> {
        let command = self.command();
        match self {
            // The kernel may have taken them along already, with the namespaces of their peers.
            Self::RemoveFromHost { lab, .. } => {
                vec![format!("{command} || [ -z \"$(ip -o link show group {})\" ]", lab.group())]
            }
            Self::Remove { .. }
            | Self::DownInHost { .. }
            | Self::Up { .. }
            | Self::Mtu { .. }
            | Self::Mac { .. }
            | Self::Flags { .. } => vec![command],
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Remove { tier, .. } => tier.removal(),
            Self::RemoveFromHost { .. } | Self::DownInHost { .. } => Phase::RemoveInterfaces,
            Self::Up { tier, .. } => tier.up(),
            Self::Mtu { tier, .. } | Self::Mac { tier, .. } | Self::Flags { tier, .. } => tier.settings(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Remove { .. } | Self::RemoveFromHost { .. } => "remove interfaces",
            Self::DownInHost { .. } | Self::Up { .. } => "bring an interface up or down",
            Self::Mtu { .. } | Self::Mac { .. } | Self::Flags { .. } => "change an interface",
        }
    }

    fn namespace(&self) -> NsName {
        self.interface().map_or_else(NsName::host, |interface| interface.ns.clone())
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }

    fn brings_mac_address(&self) -> bool {
        match self {
            Self::Mac { .. } => true,
            Self::Remove { .. }
            | Self::RemoveFromHost { .. }
            | Self::DownInHost { .. }
            | Self::Up { .. }
            | Self::Mtu { .. }
            | Self::Flags { .. } => false,
        }
    }
}

fn up_or_down(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

/// The flags that change, as `ip link` spells them.
fn flags(Change { from, to }: Change<InterfaceFlags>) -> String {
    let words = |InterfaceFlags { arp, multicast, promisc, allmulticast }| {
        [("arp", arp), ("multicast", multicast), ("promisc", promisc), ("allmulticast", allmulticast)]
            .map(|(word, on)| (word, on_or_off(on).to_owned()))
    };
    changed_options(words(from), words(to))
}

/// "a, b, c and 4 more".
fn list(names: &[IfName]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(IfName::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
