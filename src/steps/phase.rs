//! The order of a plan: what is wrong goes first, from the firewall down to the interfaces; then what is missing comes,
//! the other way round.

use crate::lab::InterfaceKind;

/// When a step comes. Steps of one phase stay in the order in which they were planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// First of all: while they end, programs use the network that they were given.
    EndPrograms,
    /// Before what the rules guard changes.
    RemoveFirewall,
    /// Routes, policy rules, peers, neighbour and forwarding entries: before the addresses and interfaces that take
    /// them along.
    RemoveRoutes,
    /// Before the interfaces that have them.
    RemoveAddresses,
    /// What is stacked on an interface goes before it, so that the plan names both.
    RemoveVirtualInterfaces,
    /// Last of what goes: all else is on them.
    RemoveInterfaces,
    /// Everything else is in them.
    AddNamespaces,
    /// Before the veth pairs, which are attached to them as they are made.
    AddBridges,
    /// Both interfaces of a pair, in their namespaces.
    AddVeths,
    /// Masters, MTUs, MAC addresses and options of what is there by now.
    SetInterfaces,
    /// After what they are stacked on and its MTU: an interface's is no larger than that of its parent.
    AddVirtualInterfaces,
    /// The same settings, where a virtual interface has to be there.
    SetVirtualInterfaces,
    /// VLANs and options of ports: before the ports come up, so that no frame goes where it should not.
    SetVlans,
    /// Interfaces that are neither bridges nor virtual ones.
    BringUpInterfaces,
    /// After the interfaces are up: IPv4 routes to their own subnets come with the addresses.
    AddAddresses,
    /// After their ports, so that nothing is flooded to half-built ones.
    BringUpBridges,
    /// After the addresses that their VXLAN interfaces send from.
    AddFdbEntries,
    /// After the bridges that they may be stacked on.
    BringUpVirtualInterfaces,
    /// After all interfaces are up, since bringing one up resets some of its settings.
    SetSysctls,
    /// After the interfaces that they are on are up.
    SetNeighbours,
    /// Those that reach the gateways of others.
    AddRoutes,
    /// Temporary policy rules that let the kernel find the gateways of the next routes.
    OpenGatewayLookup,
    /// Routes through gateways, after those that reach the gateways.
    AddGatewayRoutes,
    /// The temporary policy rules go.
    CloseGatewayLookup,
    /// After the routes: the kernel looks gateways up by the policy rules, and one that drops everything would refuse
    /// them.
    AddPolicyRules,
    /// After all that the rules guard.
    SetFirewall,
    /// Peers of WireGuard interfaces: once packets find their way, and are let through.
    AddPeers,
    /// Those that are spoken to at once, and if they do not answer then, only five seconds later (REKEY_TIMEOUT).
    AddPeersKeptAlive,
    /// After the namespaces that they are for.
    SetEtcFiles,
    /// Once the network is as it is to be.
    StartPrograms,
    /// What cannot be brought back: namespaces that go, with all that is in them, and settings of `host`.
    Forget,
}

/// Which interfaces have to be there before a step on one of them: its own kind, or a later one that it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Interfaces that depend on no other.
    Base,
    /// Bridges, which come up after their ports.
    Bridge,
    /// Virtual interfaces, which come after what they are stacked on.
    Virtual,
}

impl Tier {
    /// The tier of an interface.
    pub fn of(kind: &InterfaceKind) -> Self {
        match kind {
            InterfaceKind::Loopback | InterfaceKind::Veth { .. } | InterfaceKind::Other(_) => Self::Base,
            InterfaceKind::Bridge(_) => Self::Bridge,
            InterfaceKind::Virtual(_) => Self::Virtual,
        }
    }

    /// When an interface of this tier goes.
    pub(super) fn removal(self) -> Phase {
        match self {
            Self::Base | Self::Bridge => Phase::RemoveInterfaces,
            Self::Virtual => Phase::RemoveVirtualInterfaces,
        }
    }

    /// When its settings change.
    pub(super) fn settings(self) -> Phase {
        match self {
            Self::Base | Self::Bridge => Phase::SetInterfaces,
            Self::Virtual => Phase::SetVirtualInterfaces,
        }
    }

    /// When it comes up, or goes down.
    pub(super) fn up(self) -> Phase {
        match self {
            Self::Base => Phase::BringUpInterfaces,
            Self::Bridge => Phase::BringUpBridges,
            Self::Virtual => Phase::BringUpVirtualInterfaces,
        }
    }
}
