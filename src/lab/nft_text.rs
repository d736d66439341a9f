//! The words of `nft` for tables and all that is in them: the only place that spells them.

use std::fmt::{self, Display, Formatter};

use ipnet::IpNet;

use super::chain::{Family, Policy};
use super::dnat::PortRange;
use super::firewall_extensions::MarkBits;
use super::firewall_rule::{Condition, ConnectionState};
use super::nft_chain::NftBase;
use super::nft_rule::{NftCondition, NftField, NftRule, NftSide, NftStatement, NftVerdict};
use super::nft_set::{NftElement, NftKey, NftSetDefinition, NftType, NftValue};
use super::nft_table::{NftFamily, NftTableId};

impl NftFamily {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
        }
    }
}

/// `ip kube-proxy`.
impl Display for NftTableId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family.name(), self.name)
    }
}

/// `type nat hook prerouting priority -100; policy accept;`.
impl Display for NftBase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (kind, hook) = (self.kind.name(), self.hook.name().to_ascii_lowercase());
        let policy = match self.policy {
            Policy::Accept => "accept",
            Policy::Drop => "drop",
        };
        write!(f, "type {kind} hook {hook} priority {}; policy {policy};", self.priority)
    }
}

/// A rule, as it stands behind `add rule TABLE CHAIN`.
impl Display for NftRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        let mut conditions = self.conditions.iter().peekable();
        while let Some(condition) = conditions.next() {
            // A port of a protocol: the kernel has the same two expressions for the short form.
            if let NftCondition::Protocol(Condition::Is(protocol)) = condition
                && protocol.has_ports()
                && let Some(NftCondition::Port(side, ports)) = conditions.peek()
            {
                words.push(format!("{protocol} {}port {}", side.letter(), is(ports, ports_text)));
                conditions.next();
                continue;
            }
            words.push(condition.to_string());
        }
        words.extend(self.statements.iter().map(NftStatement::to_string));
        words.extend(self.comment.as_ref().map(|comment| comment_text(comment)));
        f.write_str(&words.join(" "))
    }
}

impl Display for NftCondition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(side, net) => {
                let field = NftField::address(net.value().addr(), *side);
                write!(f, "{field} {}", is(net, addresses_text))
            }
            Self::Protocol(protocol) => write!(f, "meta l4proto {}", is(protocol, ToString::to_string)),
            Self::Port(side, ports) => write!(f, "{} {}", NftField::Port(*side), is(ports, ports_text)),
            Self::InSet(fields, set) => write!(f, "{} {}", fields_text(fields), is(set, |set| format!("@{set}"))),
            Self::States(states) => {
                let words: Vec<&str> = states.iter().map(|state| state_text(*state)).collect();
                write!(f, "ct state {}", words.join(","))
            }
            Self::Mark(bits) => {
                let (sign, MarkBits { value, mask }) = match bits {
                    Condition::Is(bits) => ("==", bits),
                    Condition::IsNot(bits) => ("!=", bits),
                };
                write!(f, "meta mark & {mask:#x} {sign} {value:#x}")
            }
            Self::Local(side) => write!(f, "fib {}addr type local", side.letter()),
            Self::Input(name) => write!(f, "iifname {}", is(name, |name| format!("\"{name}\""))),
            Self::Output(name) => write!(f, "oifname {}", is(name, |name| format!("\"{name}\""))),
        }
    }
}

impl Display for NftStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetMark(MarkBits { value, mask: 0 }) => write!(f, "meta mark set meta mark xor {value:#x}"),
            Self::SetMark(MarkBits { value, mask }) if value == mask => {
                write!(f, "meta mark set meta mark or {value:#x}")
            }
            Self::SetMark(MarkBits { value, mask }) => {
                write!(f, "meta mark set meta mark and {:#x} xor {value:#x}", !mask)
            }
            Self::Update(set, fields) => write!(f, "update @{set} {{ {} }}", fields_text(fields)),
            Self::Dnat(to) => write!(f, "dnat to {to}"),
            Self::Masquerade { fully_random: true } => f.write_str("masquerade fully-random"),
            Self::Masquerade { fully_random: false } => f.write_str("masquerade"),
            Self::Reject => f.write_str("reject"),
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::LookUp(fields, map) => write!(f, "{} vmap @{map}", fields_text(fields)),
            Self::Spread(verdicts) => {
                let each = verdicts.iter().enumerate().map(|(number, verdict)| format!("{number} : {verdict}"));
                let each: Vec<String> = each.collect();
                write!(f, "numgen random mod {} vmap {{ {} }}", verdicts.len(), each.join(", "))
            }
        }
    }
}

impl Display for NftVerdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Continue => f.write_str("continue"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl Display for NftField {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(Family::Ipv4, side) => write!(f, "ip {}addr", side.letter()),
            Self::Address(Family::Ipv6, side) => write!(f, "ip6 {}addr", side.letter()),
            Self::Protocol => f.write_str("meta l4proto"),
            Self::Port(side) => write!(f, "th {}port", side.letter()),
        }
    }
}

impl NftSide {
    fn letter(self) -> char {
        match self {
            Self::Source => 's',
            Self::Destination => 'd',
        }
    }
}

/// What stands between the braces of `add set`: `type ipv4_addr . inet_service; flags interval;`.
impl Display for NftSetDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let types: Vec<String> = self.key.iter().map(NftType::to_string).collect();
        write!(f, "type {}{};", types.join(" . "), if self.is_map { " : verdict" } else { "" })?;
        if self.is_interval {
            f.write_str(" flags interval;")?;
        }
        if let Some(seconds) = self.dynamic_for {
            write!(f, " flags dynamic,timeout; timeout {seconds}s;")?;
        }
        self.comment.iter().try_for_each(|comment| write!(f, " {};", comment_text(comment)))
    }
}

impl NftSetDefinition {
    /// The word of `nft` for it: `set` or `map`.
    pub fn word(&self) -> &'static str {
        if self.is_map { "map" } else { "set" }
    }
}

impl Display for NftType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address(Family::Ipv4) => "ipv4_addr",
            Self::Address(Family::Ipv6) => "ipv6_addr",
            Self::Protocol => "inet_proto",
            Self::Port => "inet_service",
        })
    }
}

impl Display for NftValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(net) => f.write_str(&addresses_text(net)),
            Self::Protocol(protocol) => protocol.fmt(f),
            Self::Ports(ports) => f.write_str(&ports_text(ports)),
        }
    }
}

impl NftElement {
    /// It with its key, as it stands between the braces of `add element`: `10.96.0.1 . tcp . 80 : drop`.
    pub fn text(&self, key: &NftKey) -> String {
        let mut text = key_text(key);
        self.comment.iter().for_each(|comment| text.push_str(&format!(" {}", comment_text(comment))));
        self.verdict.iter().for_each(|verdict| text.push_str(&format!(" : {verdict}")));
        text
    }
}

/// A key, as it stands between the braces of `delete element`: `10.96.0.1 . tcp . 80`.
pub fn key_text(key: &NftKey) -> String {
    key.iter().map(NftValue::to_string).collect::<Vec<_>>().join(" . ")
}

/// `comment "…"`. A quote would end it, whatever stands before it.
pub fn comment_text(comment: &str) -> String {
    format!("comment \"{}\"", comment.replace('"', "'"))
}

fn fields_text(fields: &[NftField]) -> String {
    fields.iter().map(NftField::to_string).collect::<Vec<_>>().join(" . ")
}

fn is<T>(condition: &Condition<T>, text: impl Fn(&T) -> String) -> String {
    match condition {
        Condition::Is(value) => text(value),
        Condition::IsNot(value) => format!("!= {}", text(value)),
    }
}

fn addresses_text(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn ports_text(PortRange { first, last }: &PortRange) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn state_text(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Invalid => "invalid",
        ConnectionState::New => "new",
        ConnectionState::Related => "related",
        ConnectionState::Established => "established",
        ConnectionState::Untracked => "untracked",
        ConnectionState::Snat => "snat",
        ConnectionState::Dnat => "dnat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{IpProtocol, NftSet};

    #[test]
    fn rules_are_spelled_as_nft_spells_them() {
        use NftSide::{Destination, Source};

        let net = |text: &str| text.parse().expect("a network");
        let rule = NftRule::always()
            .when(NftCondition::Address(Destination, Condition::Is(net("10.96.0.20/32"))))
            .when(NftCondition::Protocol(Condition::Is(IpProtocol::Tcp)))
            .when(NftCondition::Port(Destination, Condition::Is(PortRange::one(80))))
            .when(NftCondition::Address(Source, Condition::IsNot(net("10.244.0.0/16"))))
            .verdict(NftVerdict::Jump("mark-for-masquerade".to_owned()));
        let text = "ip daddr 10.96.0.20 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade";
        assert_eq!(rule.to_string(), text);
        let fields =
            vec![NftField::Address(Family::Ipv6, Destination), NftField::Protocol, NftField::Port(Destination)];
        let rule = NftRule::always().then(NftStatement::LookUp(fields, "service-ips".to_owned()));
        assert_eq!(rule.to_string(), "ip6 daddr . meta l4proto . th dport vmap @service-ips");
        let states = [ConnectionState::Established, ConnectionState::Related].into();
        let rule = NftRule::always().when(NftCondition::States(states)).verdict(NftVerdict::Accept).saying("a \"b\"");
        assert_eq!(rule.to_string(), "ct state related,established accept comment \"a 'b'\"");
        let mark = |value, mask| NftStatement::SetMark(MarkBits { value, mask }).to_string();
        assert_eq!(mark(0x4000, 0x4000), "meta mark set meta mark or 0x4000");
        assert_eq!(mark(0x4000, 0), "meta mark set meta mark xor 0x4000");
        assert_eq!(mark(1, 0xff), "meta mark set meta mark and 0xffffff00 xor 0x1");
    }

    #[test]
    fn sets_are_spelled_as_nft_spells_them() {
        let mut set = NftSet::map([NftType::Address(Family::Ipv4), NftType::Port]).of_intervals();
        assert_eq!(set.definition.to_string(), "type ipv4_addr . inet_service : verdict; flags interval;");
        let ports = PortRange { first: 80, last: 90 };
        let key = [NftValue::Addresses("10.0.0.0/8".parse().expect("a network")), NftValue::Ports(ports)];
        set.insert(key, Some(NftVerdict::Drop));
        let (key, element) = set.elements.first_key_value().expect("the element");
        assert_eq!(element.text(key), "10.0.0.0/8 . 80-90 : drop");
        let set = NftSet::set([NftType::Address(Family::Ipv4)]).dynamic(10_800);
        assert_eq!(set.definition.to_string(), "type ipv4_addr; flags dynamic,timeout; timeout 10800s;");
    }
}
