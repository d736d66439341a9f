//! Rules: to expressions, as `nft` writes them, and back.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::expression::{AT_LEAST, AT_MOST, EQUAL, Expression, NOT_EQUAL};
use super::value;
use crate::lab::{
    Condition, ConnectionState, Family, IfName, MarkBits, NftCondition, NftFamily, NftField, NftRule, NftSide,
    NftStatement, PortRange,
};

/// NFT_PAYLOAD_NETWORK_HEADER.
const NETWORK: u32 = 1;
/// NFT_PAYLOAD_TRANSPORT_HEADER.
const TRANSPORT: u32 = 2;
/// NFT_META_MARK.
const MARK: u32 = 3;
/// NFT_META_IIFNAME.
const INPUT: u32 = 6;
/// NFT_META_OIFNAME.
const OUTPUT: u32 = 7;
/// NFT_META_NFPROTO.
const FAMILY: u32 = 15;
/// NFT_META_L4PROTO.
const PROTOCOL: u32 = 16;
/// NFT_CT_STATE.
const STATE: u32 = 0;
/// NFT_FIB_RESULT_ADDRTYPE.
const ADDRESS_TYPE: u32 = 3;
/// RTN_LOCAL.
const LOCAL: u32 = 2;
/// NF_NAT_RANGE_PROTO_RANDOM_FULLY.
const FULLY_RANDOM: u32 = 1 << 4;
/// NFT_REJECT_ICMP_UNREACH.
const REJECT_ICMP: u32 = 0;
/// NFT_REJECT_ICMPX_UNREACH.
const REJECT_ANY: u32 = 2;
/// Length of the name of an interface (IFNAMSIZ).
const NAME: usize = 16;

/// The bits of states of connections (NF_CT_STATE_BIT, IP_CT_…).
const STATES: [(ConnectionState, u32); 5] = [
    (ConnectionState::Invalid, 1),
    (ConnectionState::Established, 1 << 1),
    (ConnectionState::Related, 1 << 2),
    (ConnectionState::New, 1 << 3),
    (ConnectionState::Untracked, 1 << 6),
];

/// A rule that is turned into expressions.
struct Writer {
    table: NftFamily,
    /// Of what family packets are known to be, where a table has both.
    known: Option<Family>,
    out: Vec<Expression>,
}

/// The expressions of a rule in a table of a family.
pub(super) fn encoded(rule: &NftRule, table: NftFamily) -> Vec<Expression> {
    let mut writer = Writer { table, known: None, out: Vec::new() };
    rule.conditions.iter().for_each(|condition| writer.condition(condition));
    rule.statements.iter().for_each(|statement| writer.statement(statement));
    writer.out
}

/// NFPROTO_IPV4, NFPROTO_IPV6.
fn number_of(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

impl Writer {
    fn compare(&mut self, how: u32, with: impl Into<Vec<u8>>) {
        self.out.push(Expression::Compare { how, with: with.into() });
    }

    fn condition(&mut self, condition: &NftCondition) {
        match condition {
            NftCondition::Address(side, net) => self.address(*side, net),
            NftCondition::Protocol(protocol) => {
                self.out.push(Expression::Meta { key: PROTOCOL, to: 0 });
                self.compare(sign(protocol), [value::protocol_number(*protocol.value())]);
            }
            NftCondition::Port(side, ports) => {
                self.fields(&[NftField::Port(*side)]);
                self.ports(ports);
            }
            NftCondition::InSet(fields, set) => {
                self.fields(fields);
                let inverted = sign(set) == NOT_EQUAL;
                self.out.push(Expression::LookUp { set: set.value().clone(), inverted, is_map: false });
            }
            NftCondition::States(states) => {
                let of = STATES.iter().filter(|(state, _)| states.contains(state));
                let mask = of.fold(0, |bits, (_, bit)| bits | bit);
                self.out.push(Expression::Ct { key: STATE, to: 0 });
                self.bits(mask, 0);
                self.compare(NOT_EQUAL, 0_u32.to_ne_bytes());
            }
            NftCondition::Mark(bits) => {
                let MarkBits { value, mask } = *bits.value();
                self.out.push(Expression::Meta { key: MARK, to: 0 });
                self.bits(mask, 0);
                self.compare(sign(bits), value.to_ne_bytes());
            }
            NftCondition::Local(side) => {
                let flags = if *side == NftSide::Source { 1 } else { 2 };
                self.out.push(Expression::Fib { result: ADDRESS_TYPE, flags });
                self.compare(EQUAL, LOCAL.to_ne_bytes());
            }
            NftCondition::Input(name) => self.interface(INPUT, name),
            NftCondition::Output(name) => self.interface(OUTPUT, name),
        }
    }

    fn statement(&mut self, statement: &NftStatement) {
        match statement {
            NftStatement::SetMark(MarkBits { value, mask }) => {
                self.out.push(Expression::Meta { key: MARK, to: 0 });
                self.bits(!mask, *value);
                self.out.push(Expression::SetMeta { key: MARK });
            }
            NftStatement::Update(set, fields) => {
                self.fields(fields);
                self.out.push(Expression::Update { set: set.clone() });
            }
            NftStatement::Dnat(to) => {
                let family = Family::of(to.ip());
                self.out.push(Expression::Load { value: value::octets(to.ip()), to: 0 });
                self.out.push(Expression::Load { value: to.port().to_be_bytes().to_vec(), to: 4 });
                self.out.push(Expression::Dnat { family: number_of(family).into() });
            }
            NftStatement::Masquerade { fully_random } => {
                self.out.push(Expression::Masquerade { flags: if *fully_random { FULLY_RANDOM } else { 0 } });
            }
            NftStatement::Reject => {
                let (kind, code) = self.refusal();
                self.out.push(Expression::Reject { kind, code });
            }
            NftStatement::Verdict(verdict) => self.out.push(Expression::Verdict(verdict.clone())),
            NftStatement::LookUp(fields, map) => {
                self.fields(fields);
                self.out.push(Expression::LookUp { set: map.clone(), inverted: false, is_map: true });
            }
            NftStatement::Spread(verdicts) => {
                self.out.push(Expression::Random { modulus: u32::try_from(verdicts.len()).unwrap_or(u32::MAX) });
                self.out.push(Expression::LookUpNumber(verdicts.clone()));
            }
        }
    }

    /// "Port unreachable" of the family that packets are of (ICMP_PORT_UNREACH, ICMPV6_PORT_UNREACH), or of either
    /// (NFT_REJECT_ICMPX_PORT_UNREACH).
    fn refusal(&self) -> (u32, u8) {
        let family = match self.table {
            NftFamily::Ip => Some(Family::Ipv4),
            NftFamily::Ip6 => Some(Family::Ipv6),
            NftFamily::Inet => self.known,
        };
        match family {
            Some(Family::Ipv4) => (REJECT_ICMP, 3),
            Some(Family::Ipv6) => (REJECT_ICMP, 4),
            None => (REJECT_ANY, 1),
        }
    }

    fn bits(&mut self, mask: u32, xor: u32) {
        self.out.push(Expression::Bitwise { mask: mask.to_ne_bytes().to_vec(), xor: xor.to_ne_bytes().to_vec() });
    }

    fn interface(&mut self, key: u32, name: &Condition<IfName>) {
        let mut bytes = name.value().as_str().as_bytes().to_vec();
        bytes.resize(NAME, 0);
        self.out.push(Expression::Meta { key, to: 0 });
        self.compare(sign(name), bytes);
    }

    fn ports(&mut self, ports: &Condition<PortRange>) {
        let PortRange { first, last } = *ports.value();
        let (first_bytes, last_bytes) = (first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec());
        match ports {
            _ if first == last => self.compare(sign(ports), first_bytes),
            Condition::Is(_) => {
                self.compare(AT_LEAST, first_bytes);
                self.compare(AT_MOST, last_bytes);
            }
            Condition::IsNot(_) => self.out.push(Expression::NotInRange { from: first_bytes, to: last_bytes }),
        }
    }

    /// Of a network with a whole number of bytes, only those are looked at.
    fn address(&mut self, side: NftSide, net: &Condition<IpNet>) {
        let (address, length) = (value::octets(net.value().addr()), usize::from(net.value().prefix_len()));
        let family = Family::of(net.value().addr());
        self.is_of(family);
        let is_whole = length > 0 && length.is_multiple_of(8);
        let bytes = if is_whole { length / 8 } else { address.len() };
        let length_of = u32::try_from(bytes).unwrap_or_default();
        self.out.push(Expression::Payload { base: NETWORK, offset: offset(family, side), length: length_of, to: 0 });
        if !is_whole {
            let mask = value::octets(net.value().netmask());
            let xor = vec![0; mask.len()];
            self.out.push(Expression::Bitwise { mask, xor });
        }
        self.compare(sign(net), address.get(..bytes).unwrap_or_default());
    }

    /// Where a table has both families, packets of the other do not have such a field.
    fn is_of(&mut self, family: Family) {
        if self.table == NftFamily::Inet && self.known != Some(family) {
            self.out.push(Expression::Meta { key: FAMILY, to: 0 });
            self.compare(EQUAL, [number_of(family)]);
            self.known = Some(family);
        }
    }

    /// Fields behind one another, from the first register on.
    fn fields(&mut self, fields: &[NftField]) {
        for field in fields {
            if let NftField::Address(family, _) = field {
                self.is_of(*family);
            }
        }
        let mut to = 0;
        for field in fields {
            to += self.field(*field, to);
        }
    }

    /// How many registers it takes.
    fn field(&mut self, field: NftField, to: u32) -> u32 {
        let (base, offset, length) = match field {
            NftField::Address(family, side) => (NETWORK, offset(family, side), value::length(family)),
            NftField::Protocol => {
                self.out.push(Expression::Meta { key: PROTOCOL, to });
                return 1;
            }
            NftField::Port(side) => (TRANSPORT, if side == NftSide::Source { 0 } else { 2 }, 2),
        };
        self.out.push(Expression::Payload { base, offset, length, to });
        length.div_ceil(4)
    }
}

/// Where in its header an address is.
fn offset(family: Family, side: NftSide) -> u32 {
    match (family, side) {
        (Family::Ipv4, NftSide::Source) => 12,
        (Family::Ipv4, NftSide::Destination) => 16,
        (Family::Ipv6, NftSide::Source) => 8,
        (Family::Ipv6, NftSide::Destination) => 24,
    }
}

fn sign<T>(condition: &Condition<T>) -> u32 {
    match condition {
        Condition::Is(_) => EQUAL,
        Condition::IsNot(_) => NOT_EQUAL,
    }
}

/// What a comparison says of a value.
fn condition<T>(how: u32, value: T) -> Option<Condition<T>> {
    match how {
        EQUAL => Some(Condition::Is(value)),
        NOT_EQUAL => Some(Condition::IsNot(value)),
        _ => None,
    }
}

/// The rule that has these expressions, and no others.
pub(super) fn decoded(expressions: &[Expression], table: NftFamily) -> Option<NftRule> {
    let mut rule = NftRule::always();
    let mut rest = expressions;
    while !rest.is_empty() {
        // Which family packets are of is a part of the next condition.
        if let [Expression::Meta { key: FAMILY, .. }, Expression::Compare { .. }, after @ ..] = rest {
            rest = after;
            continue;
        }
        if let Some((condition, after)) = condition_of(rest).filter(|_| rule.statements.is_empty()) {
            rule.conditions.push(condition);
            rest = after;
        } else {
            let (statement, after) = statement_of(rest)?;
            rule.statements.push(statement);
            rest = after;
        }
    }
    // Whatever was passed over or taken for something else makes a difference here.
    (encoded(&rule, table) == expressions).then_some(rule)
}

type Found<'a, T> = Option<(T, &'a [Expression])>;

fn condition_of(expressions: &[Expression]) -> Found<'_, NftCondition> {
    use Expression::{Bitwise, Compare, Ct, Fib, Meta};

    Some(match expressions {
        [Meta { key: PROTOCOL, to: 0 }, Compare { how, with }, rest @ ..] => {
            let [number] = with[..] else { return None };
            (NftCondition::Protocol(condition(*how, value::protocol(number)?)?), rest)
        }
        [Meta { key: key @ (INPUT | OUTPUT), .. }, Compare { how, with }, rest @ ..] => {
            let name = std::str::from_utf8(with).ok()?.trim_end_matches('\0').parse().ok()?;
            let name = condition(*how, name)?;
            (if *key == INPUT { NftCondition::Input(name) } else { NftCondition::Output(name) }, rest)
        }
        [Meta { key: MARK, .. }, Bitwise { mask, .. }, Compare { how, with }, rest @ ..] => {
            let bits = MarkBits { value: own_number(with)?, mask: own_number(mask)? };
            (NftCondition::Mark(condition(*how, bits)?), rest)
        }
        [Ct { .. }, Bitwise { mask, .. }, Compare { .. }, rest @ ..] => {
            let mask = own_number(mask)?;
            let states = STATES.iter().filter(|(_, bit)| mask & bit != 0).map(|(state, _)| *state);
            (NftCondition::States(states.collect()), rest)
        }
        [Fib { flags, .. }, Compare { .. }, rest @ ..] => {
            let side = if *flags == 1 { NftSide::Source } else { NftSide::Destination };
            (NftCondition::Local(side), rest)
        }
        _ => return address_of(expressions).or_else(|| port_of(expressions)).or_else(|| membership_of(expressions)),
    })
}

fn address_of(expressions: &[Expression]) -> Found<'_, NftCondition> {
    let (Expression::Payload { base: NETWORK, offset, length, to: 0 }, rest) = expressions.split_first()? else {
        return None;
    };
    let (mask, rest) = match rest {
        [Expression::Bitwise { mask, .. }, rest @ ..] => (Some(mask), rest),
        _ => (None, rest),
    };
    let (Expression::Compare { how, with }, rest) = rest.split_first()? else { return None };
    let (family, side) = place(*offset)?;
    let mut octets = with.clone();
    octets.resize(usize::try_from(value::length(family)).ok()?, 0);
    let prefix_length = match mask {
        Some(mask) => mask.iter().map(|byte| byte.count_ones()).sum(),
        None => length.saturating_mul(8),
    };
    let net = IpNet::new(value::address(&octets)?, u8::try_from(prefix_length).ok()?).ok()?;
    Some((NftCondition::Address(side, condition(*how, net)?), rest))
}

fn port_of(expressions: &[Expression]) -> Found<'_, NftCondition> {
    use Expression::{Compare, NotInRange, Payload};

    let (Payload { base: TRANSPORT, offset, to: 0, .. }, rest) = expressions.split_first()? else { return None };
    let side = if *offset == 0 { NftSide::Source } else { NftSide::Destination };
    let port = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.try_into().ok()?));
    let range = |first: &[u8], last: &[u8]| Some(PortRange { first: port(first)?, last: port(last)? });
    let (ports, rest) = match rest {
        [Compare { how: AT_LEAST, with: first }, Compare { how: AT_MOST, with: last }, rest @ ..] => {
            (Condition::Is(range(first, last)?), rest)
        }
        [NotInRange { from, to }, rest @ ..] => (Condition::IsNot(range(from, to)?), rest),
        [Compare { how, with }, rest @ ..] => (condition(*how, range(with, with)?)?, rest),
        _ => return None,
    };
    Some((NftCondition::Port(side, ports), rest))
}

fn membership_of(expressions: &[Expression]) -> Found<'_, NftCondition> {
    let (fields, rest) = fields_of(expressions);
    let (Expression::LookUp { set, inverted, is_map: false }, rest) = rest.split_first()? else { return None };
    let set = set.clone();
    Some((NftCondition::InSet(fields, if *inverted { Condition::IsNot(set) } else { Condition::Is(set) }), rest))
}

fn statement_of(expressions: &[Expression]) -> Found<'_, NftStatement> {
    use Expression::{Bitwise, Dnat, Load, LookUp, LookUpNumber, Masquerade, Meta, Random, Reject, SetMeta, Update};

    Some(match expressions {
        [Meta { key: MARK, .. }, Bitwise { mask, xor }, SetMeta { .. }, rest @ ..] => {
            let bits = MarkBits { value: own_number(xor)?, mask: !own_number(mask)? };
            (NftStatement::SetMark(bits), rest)
        }
        [Load { value: address, .. }, Load { value: port, .. }, Dnat { .. }, rest @ ..] => {
            let port = u16::from_be_bytes(port.as_slice().try_into().ok()?);
            (NftStatement::Dnat(SocketAddr::new(value::address(address)?, port)), rest)
        }
        [Masquerade { flags }, rest @ ..] => (NftStatement::Masquerade { fully_random: *flags != 0 }, rest),
        [Reject { .. }, rest @ ..] => (NftStatement::Reject, rest),
        [Expression::Verdict(verdict), rest @ ..] => (NftStatement::Verdict(verdict.clone()), rest),
        [Random { .. }, LookUpNumber(verdicts), rest @ ..] => (NftStatement::Spread(verdicts.clone()), rest),
        _ => {
            let (fields, rest) = fields_of(expressions);
            match rest.split_first()? {
                (LookUp { set, is_map: true, .. }, rest) => (NftStatement::LookUp(fields, set.clone()), rest),
                (Update { set }, rest) => (NftStatement::Update(set.clone(), fields), rest),
                _ => return None,
            }
        }
    })
}

/// The fields that are loaded first.
fn fields_of(expressions: &[Expression]) -> (Vec<NftField>, &[Expression]) {
    let field = |expression: &Expression| match expression {
        Expression::Payload { base: NETWORK, offset, .. } => {
            place(*offset).map(|(family, side)| NftField::Address(family, side))
        }
        Expression::Payload { base: TRANSPORT, offset, .. } => {
            Some(NftField::Port(if *offset == 0 { NftSide::Source } else { NftSide::Destination }))
        }
        Expression::Meta { key: PROTOCOL, .. } => Some(NftField::Protocol),
        _ => None,
    };
    let fields: Vec<NftField> = expressions.iter().map_while(field).collect();
    let rest = expressions.get(fields.len()..).unwrap_or_default();
    (fields, rest)
}

/// Which address is at a place.
fn place(at: u32) -> Option<(Family, NftSide)> {
    let all = [Family::Ipv4, Family::Ipv6].into_iter();
    let mut all = all.flat_map(|family| [NftSide::Source, NftSide::Destination].map(|side| (family, side)));
    all.find(|(family, side)| offset(*family, *side) == at)
}

/// A number in the machine's own order.
fn own_number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}
