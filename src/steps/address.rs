//! Addresses of interfaces, added and removed.

use super::command::ip;
use super::operation::{Operation, Reach};
use super::{Phase, Presence};
use crate::lab::{Address, InterfaceRef, NsName};

/// A step on an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressStep {
    /// The interface that has it.
    pub interface: InterfaceRef,
    /// The address with its prefix length.
    pub change: Presence<Address>,
}

impl AddressStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        Self { change: self.change.inverse(), ..self.clone() }
    }
}

impl Operation for AddressStep {
    fn text(&self) -> String {
        match &self.change {
            Presence::Add(address) => format!("give {} the address {address}", self.interface),
            Presence::Remove(address) => format!("take the address {address} from {}", self.interface),
        }
    }

    fn command(&self) -> String {
        let InterfaceRef { ns, name } = &self.interface;
        match &self.change {
            Presence::Add(address) => {
                // Without nodad, an IPv6 address is "tentative" for a second, and cannot be used.
                let nodad = if address.is_ipv6() { " nodad" } else { "" };
                format!("{} addr add {address} dev {name}{nodad}", ip(ns))
            }
            Presence::Remove(address) => format!("{} addr del {address} dev {name}", ip(ns)),
        }
    }

    fn phase(&self) -> Phase {
        match self.change {
            Presence::Add(_) => Phase::AddAddresses,
            Presence::Remove(_) => Phase::RemoveAddresses,
        }
    }

    fn kind(&self) -> &'static str {
        match self.change {
            Presence::Add(_) => "give an address",
            Presence::Remove(_) => "take an address",
        }
    }

    fn namespace(&self) -> NsName {
        self.interface.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}
