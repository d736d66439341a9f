//! A part of what is observed of a namespace, taken from elsewhere: where it could not be read.

use super::{Interface, InterfaceKind, NsName, Observed, ObservedNamespace, Part, VirtualInterface};

impl Observed {
    /// Whether a part of a namespace could not be read.
    pub fn lacks(&self, ns: &NsName, part: &Part) -> bool {
        self.unread.iter().any(|unread| unread.ns == *ns && unread.part == *part)
    }
}

impl ObservedNamespace {
    /// Makes a part what it is elsewhere.
    pub fn take(&mut self, part: &Part, from: &Self) {
        match part {
            Part::Everything => {
                let (owner, claims) = (self.is.owner.take(), std::mem::take(&mut self.claims));
                *self = from.clone();
                (self.is.owner, self.claims) = (owner, claims);
                return;
            }
            Part::Addresses => {
                self.take_of_interfaces(from, |own, other| own.addresses.clone_from(&other.addresses));
                self.altered_addresses.clone_from(&from.altered_addresses);
                self.address_protocols.clone_from(&from.address_protocols);
                self.take_routes(from);
            }
            Part::Vlans => self.take_of_interfaces(from, |own, other| own.vlans.clone_from(&other.vlans)),
            Part::Routes => self.take_routes(from),
            Part::PolicyRules => {
                self.is.rules.clone_from(&from.is.rules);
                self.nslab_routing.rules.clone_from(&from.nslab_routing.rules);
                self.lost_rules.clone_from(&from.lost_rules);
                self.foreign.rules.clone_from(&from.foreign.rules);
            }
            Part::Neighbours => self.is.neighbours.clone_from(&from.is.neighbours),
            Part::FdbEntries => {
                self.is.fdb.clone_from(&from.is.fdb);
                self.foreign.fdb.clone_from(&from.foreign.fdb);
            }
            Part::Wireguard => self.take_of_interfaces(from, |own, other| {
                let is_one =
                    |kind: &InterfaceKind| matches!(kind, InterfaceKind::Virtual(VirtualInterface::Wireguard(_)));
                if is_one(&own.kind) && is_one(&other.kind) {
                    own.kind.clone_from(&other.kind);
                }
            }),
            Part::Proxies | Part::Qdiscs | Part::NextHops | Part::Xfrm => {}
            Part::Sysctl(key) => {
                self.is.sysctls.remove(key);
                self.is.sysctls.extend(from.is.sysctls.get(key).map(|value| (key.clone(), value.clone())));
            }
            Part::Firewall => {
                self.is.firewall.clone_from(&from.is.firewall);
                self.is.nft.clone_from(&from.is.nft);
                self.firewall.clone_from(&from.firewall);
            }
        }
        self.foreign.others.retain(|other| !part.has(other.object.kind));
        self.foreign.others.extend(from.foreign.others.iter().filter(|other| part.has(other.object.kind)).cloned());
    }

    fn take_of_interfaces(&mut self, from: &Self, take: impl Fn(&mut Interface, &Interface)) {
        for (name, own) in &mut self.is.interfaces {
            if let Some(other) = from.is.interfaces.get(name) {
                take(own, other);
            }
        }
    }

    fn take_routes(&mut self, from: &Self) {
        self.is.routes.clone_from(&from.is.routes);
        self.connected.clone_from(&from.connected);
        self.nslab_routing.routes.clone_from(&from.nslab_routing.routes);
        self.route_protocols.clone_from(&from.route_protocols);
        self.foreign.routes.clone_from(&from.foreign.routes);
    }
}
