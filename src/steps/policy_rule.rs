//! Policy rules, added and removed.

use super::command::ip_family;
use super::operation::{Operation, Reach};
use super::{Phase, Presence};
use crate::lab::{NsName, PolicyRule, ROUTE_PROTOCOL};

/// A step on a policy rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRuleStep {
    /// The namespace.
    pub ns: NsName,
    /// Whether the rule is there for a moment only, so that the kernel finds the gateways of the routes that come
    /// meanwhile.
    pub is_temporary: bool,
    /// The rule.
    pub change: Presence<PolicyRule>,
}

impl PolicyRuleStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        Self { change: self.change.inverse(), ..self.clone() }
    }
}

impl Operation for PolicyRuleStep {
    fn text(&self) -> String {
        match &self.change {
            Presence::Add(rule) => format!("add policy rule {rule} in {}", self.ns),
            Presence::Remove(rule) => format!("remove policy rule {rule} from {}", self.ns),
        }
    }

    fn command(&self) -> String {
        let ip = ip_family(&self.ns, self.change.object().ipv6);
        match &self.change {
            Presence::Add(rule) => format!("{ip} rule add {rule} protocol {ROUTE_PROTOCOL}"),
            Presence::Remove(rule) => {
                // In `host`, it is nslab's, and others may be like it.
                let marked = if self.ns.is_host() { format!(" protocol {ROUTE_PROTOCOL}") } else { String::new() };
                format!("{ip} rule del {rule}{marked}")
            }
        }
    }

    fn phase(&self) -> Phase {
        match (&self.change, self.is_temporary) {
            (Presence::Add(_), false) => Phase::AddPolicyRules,
            (Presence::Remove(_), false) => Phase::RemoveRoutes,
            (Presence::Add(_), true) => Phase::OpenGatewayLookup,
            (Presence::Remove(_), true) => Phase::CloseGatewayLookup,
        }
    }

    fn kind(&self) -> &'static str {
        "change a policy rule"
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}
