//! The expressions of which the kernel has rules made: to its attributes, and back. Facts from
//! linux/netfilter/nf_tables.h.

use super::attribute::{Attributes, REG_1, REG32, Reader, Register};
use super::message::{NFTA_EXPR_DATA, NFTA_EXPR_NAME};
use super::verdict;
use crate::kernel::netlink::attributes;
use crate::lab::NftVerdict;

const NFTA_LIST_ELEM: u16 = 1;
/// The name of the maps in rules, to which the kernel gives a number.
pub(super) const NAMELESS_MAP: &str = "__map%d";

/// What the names of sets begin with that belong to one rule.
const NAMELESS: &str = "__";

/// One expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    /// Bytes of the packet, from where a header begins.
    Payload { base: u32, offset: u32, length: u32, to: Register },
    /// What the kernel knows of the packet.
    Meta { key: u32, to: Register },
    /// The packet gets what is in the first register.
    SetMeta { key: u32 },
    /// Something of its connection.
    Ct { key: u32, to: Register },
    /// What the routing tables say of an address.
    Fib { result: u32, flags: u32 },
    /// A number by chance.
    Random { modulus: u32 },
    /// And, then exclusive or.
    Bitwise { mask: Vec<u8>, xor: Vec<u8> },
    /// The first register is like this, or the rule ends.
    Compare { how: u32, with: Vec<u8> },
    /// The first register is not within these.
    NotInRange { from: Vec<u8>, to: Vec<u8> },
    /// The registers from the first on are in a set; or of a map, there is a verdict for them.
    LookUp { set: String, inverted: bool, is_map: bool },
    /// The same in a map of the rule's own, from numbers.
    LookUpNumber(Vec<NftVerdict>),
    /// The registers from the first on are put into a set, or are there and stay longer.
    Update { set: String },
    /// Some bytes in a register.
    Load { value: Vec<u8>, to: Register },
    /// A verdict.
    Verdict(NftVerdict),
    /// A new destination from the first register, and a port from the fifth.
    Dnat { family: u32 },
    /// A new source.
    Masquerade { flags: u32 },
    /// Drops, and says so.
    Reject { kind: u32, code: u8 },
}

/// All expressions of a rule, as a list; `id_of` numbers its maps.
pub(super) fn encoded(expressions: &[Expression], mut id_of: impl FnMut(&[NftVerdict]) -> u32) -> Attributes {
    let mut list = Attributes::default();
    for expression in expressions {
        let (name, data) = expression.encoded(&mut id_of);
        let own = Attributes::default().text(NFTA_EXPR_NAME, name).nested(NFTA_EXPR_DATA, data);
        list = list.nested(NFTA_LIST_ELEM, own);
    }
    list
}

/// The expressions of a list; none where there is one that has no name here. `map_of` are the verdicts of a map that
/// belongs to a rule.
pub(super) fn decoded(list: &[u8], map_of: impl Fn(&str) -> Option<Vec<NftVerdict>>) -> Option<Vec<Expression>> {
    let mut expressions = Vec::new();
    for element in attributes(list) {
        let mut own = Reader::new(element.ok()?.1)?;
        let name = own.text(NFTA_EXPR_NAME)?;
        let mut data = Reader::new(own.take(NFTA_EXPR_DATA).unwrap_or_default())?;
        // `nft` turns the one byte of a protocol round before it looks a range up.
        if name == "byteorder" && data.number(BYTEORDER_LENGTH) == Some(1) {
            continue;
        }
        expressions.push(Expression::decoded(&name, data, &map_of)?);
    }
    Some(expressions)
}

impl Expression {
    fn encoded(&self, id_of: &mut impl FnMut(&[NftVerdict]) -> u32) -> (&'static str, Attributes) {
        let new = Attributes::default;
        match self {
            Self::Payload { base, offset, length, to } => {
                ("payload", new().register(1, *to).number(2, *base).number(3, *offset).number(4, *length))
            }
            Self::Meta { key, to } => ("meta", new().register(1, *to).number(2, *key)),
            Self::SetMeta { key } => ("meta", new().number(2, *key).register(3, 0)),
            Self::Ct { key, to } => ("ct", new().register(1, *to).number(2, *key)),
            Self::Fib { result, flags } => ("fib", new().register(1, 0).number(2, *result).number(3, *flags)),
            Self::Random { modulus } => {
                ("numgen", new().register(1, 0).number(2, *modulus).number(3, RANDOM).number(4, 0))
            }
            Self::Bitwise { mask, xor } => {
                let length = u32::try_from(mask.len()).unwrap_or_default();
                ("bitwise", new().register(1, 0).register(2, 0).number(3, length).value(4, mask).value(5, xor))
            }
            Self::Compare { how, with } => ("cmp", new().register(1, 0).number(2, *how).value(3, with)),
            Self::NotInRange { from, to } => {
                ("range", new().register(1, 0).number(2, NOT_EQUAL).value(3, from).value(4, to))
            }
            Self::LookUp { set, inverted, is_map } => {
                let lookup = new().text(1, set).register(2, 0);
                let lookup = if *is_map { lookup.number(3, VERDICT) } else { lookup };
                ("lookup", if *inverted { lookup.number(5, 1) } else { lookup })
            }
            Self::LookUpNumber(verdicts) => {
                let lookup = new().text(1, NAMELESS_MAP).register(2, 0).number(3, VERDICT);
                ("lookup", lookup.number(4, id_of(verdicts)))
            }
            Self::Update { set } => ("dynset", new().text(1, set).number(3, UPDATE).register(4, 0)),
            Self::Load { value, to } => ("immediate", new().register(1, *to).value(2, value)),
            Self::Verdict(verdict) => ("immediate", verdict::append(new().number(1, VERDICT), 2, verdict)),
            Self::Dnat { family } => {
                let nat = new().number(1, DNAT).number(2, *family).register(3, 0);
                ("nat", nat.register(5, 4).number(7, WITH_PORT))
            }
            Self::Masquerade { flags: 0 } => ("masq", new()),
            Self::Masquerade { flags } => ("masq", new().number(1, *flags)),
            Self::Reject { kind, code } => ("reject", new().number(1, *kind).bytes(2, &[*code])),
        }
    }

    fn decoded(name: &str, mut data: Reader<'_>, map_of: &impl Fn(&str) -> Option<Vec<NftVerdict>>) -> Option<Self> {
        let expression = match name {
            "payload" => {
                let to = data.register(1)?;
                Self::Payload { to, base: data.number(2)?, offset: data.number(3)?, length: data.number(4)? }
            }
            "meta" => match data.register(1) {
                Some(to) => Self::Meta { to, key: data.number(2)? },
                None if data.is_first(3) => Self::SetMeta { key: data.number(2)? },
                None => return None,
            },
            "ct" => Self::Ct { to: data.register(1)?, key: data.number(2)? },
            "fib" if data.is_first(1) => Self::Fib { result: data.number(2)?, flags: data.number(3)? },
            "numgen" if data.is_first(1) && data.number(3)? == RANDOM && data.is_zero(4) => {
                Self::Random { modulus: data.number(2)? }
            }
            "bitwise" if data.is_first(1) && data.is_first(2) && data.is_zero(6) => {
                let length = data.number(3)?;
                let mask = data.value(4).filter(|mask| u32::try_from(mask.len()) == Ok(length))?;
                Self::Bitwise { mask, xor: data.value(5)? }
            }
            "cmp" if data.is_first(1) => Self::Compare { how: data.number(2)?, with: data.value(3)? },
            "range" if data.is_first(1) && data.number(2)? == NOT_EQUAL => {
                Self::NotInRange { from: data.value(3)?, to: data.value(4)? }
            }
            "lookup" if data.is_first(2) => Self::decoded_lookup(&mut data, map_of)?,
            "dynset" if data.number(3)? == UPDATE && data.is_first(4) && data.is_zero(6) && data.is_zero(9) => {
                Self::Update { set: data.text(1)? }
            }
            "immediate" => match data.number(1)? {
                VERDICT => Self::Verdict(verdict::take(&mut data, 2)?),
                number => {
                    let to = if number >= REG32 { number - REG32 } else { (number - REG_1) * 4 };
                    Self::Load { to, value: data.value(2)? }
                }
            },
            "nat" if data.number(1)? == DNAT && data.is_first(3) && data.register(5)? == 4 => {
                let (family, last, last_port) = (data.number(2)?, data.register(4), data.register(6));
                let is_one = last.is_none_or(|last| last == 0) && last_port.is_none_or(|last| last == 4);
                // Before Linux 5.6, the kernel does not tell what follows from the registers.
                let flags = data.number(7).is_none_or(|flags| flags & !1 == WITH_PORT);
                if !is_one || !flags {
                    return None;
                }
                Self::Dnat { family }
            }
            "masq" => Self::Masquerade { flags: data.number(1).unwrap_or_default() },
            "reject" => {
                let code = data.take(2).and_then(<[u8]>::first).copied().unwrap_or_default();
                Self::Reject { kind: data.number(1)?, code }
            }
            _ => return None,
        };
        data.end(expression)
    }

    fn decoded_lookup(data: &mut Reader<'_>, map_of: &impl Fn(&str) -> Option<Vec<NftVerdict>>) -> Option<Self> {
        let set = data.text(1)?;
        let is_map = match data.number(3) {
            Some(VERDICT) => true,
            None => false,
            Some(_) => return None,
        };
        let inverted = match data.number(5) {
            Some(1) => true,
            Some(0) | None => false,
            Some(_) => return None,
        };
        match map_of(&set) {
            Some(verdicts) if is_map && !inverted => Some(Self::LookUpNumber(verdicts)),
            // Another one that belongs to the rule.
            Some(_) => None,
            None if set.starts_with(NAMELESS) => None,
            None => Some(Self::LookUp { set, inverted, is_map }),
        }
    }
}

/// NFT_REG_VERDICT.
const VERDICT: u32 = 0;
/// NFT_NG_RANDOM.
const RANDOM: u32 = 1;
/// NFTA_BYTEORDER_LEN.
const BYTEORDER_LENGTH: u16 = 4;
/// NFT_DYNSET_OP_UPDATE.
const UPDATE: u32 = 1;
/// NFT_NAT_DNAT.
const DNAT: u32 = 1;
/// NF_NAT_RANGE_PROTO_SPECIFIED.
const WITH_PORT: u32 = 2;
/// NFT_CMP_EQ, and NFT_RANGE_EQ.
pub(super) const EQUAL: u32 = 0;
/// NFT_CMP_NEQ, and NFT_RANGE_NEQ.
pub(super) const NOT_EQUAL: u32 = 1;
/// NFT_CMP_LTE.
pub(super) const AT_MOST: u32 = 3;
/// NFT_CMP_GTE.
pub(super) const AT_LEAST: u32 = 5;
