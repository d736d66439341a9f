//! Attributes of nf_tables, written and read: numbers in the order of the network, texts with their zero, registers,
//! values.

use crate::kernel::netlink::{append, attributes};

const NFTA_DATA_VALUE: u16 = 1;
/// Of attributes with attributes in them (NLA_F_NESTED).
const NESTED: u16 = 1 << 15;
/// NFT_REG_1: 16 bytes from where the registers of 4 bytes begin.
pub(super) const REG_1: u32 = 1;
/// NFT_REG32_00, the first register of 4 bytes: where [`REG_1`] is.
pub(super) const REG32: u32 = 8;

/// A register, in units of 4 bytes from the first.
pub(super) type Register = u32;

/// Attributes one after the other.
#[derive(Default)]
pub(super) struct Attributes(pub(super) Vec<u8>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        append(&mut self.0, kind, value);
        self
    }

    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        self.bytes(kind, &value.bytes().chain([0]).collect::<Vec<u8>>())
    }

    pub(super) fn nested(self, kind: u16, inside: Self) -> Self {
        self.bytes(kind | NESTED, &inside.0)
    }

    pub(super) fn register(self, kind: u16, register: Register) -> Self {
        let number = if register.is_multiple_of(4) { REG_1 + register / 4 } else { REG32 + register };
        self.number(kind, number)
    }

    pub(super) fn value(self, kind: u16, value: &[u8]) -> Self {
        self.nested(kind, Self::default().bytes(NFTA_DATA_VALUE, value))
    }
}

/// What is read of some attributes; a kind that nobody has asked for, and that is not what it is by default, is too
/// much.
pub(super) struct Reader<'a> {
    all: Vec<(u16, &'a [u8])>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { all: attributes(bytes).collect::<Result<_, _>>().ok()? })
    }

    pub(super) fn take(&mut self, kind: u16) -> Option<&'a [u8]> {
        let at = self.all.iter().position(|(found, _)| *found == kind)?;
        Some(self.all.remove(at).1)
    }

    pub(super) fn number(&mut self, kind: u16) -> Option<u32> {
        self.take(kind).and_then(number)
    }

    pub(super) fn text(&mut self, kind: u16) -> Option<String> {
        text(self.take(kind)?)
    }

    pub(super) fn has(&self, kind: u16) -> bool {
        self.all.iter().any(|(found, _)| *found == kind)
    }

    /// The values of all attributes of a kind.
    pub(super) fn all_of(&self, kind: u16) -> impl Iterator<Item = &'a [u8]> {
        self.all.iter().filter(move |(found, _)| *found == kind).map(|(_, value)| *value)
    }

    /// Whether an attribute is absent, or zero.
    pub(super) fn is_zero(&mut self, kind: u16) -> bool {
        self.take(kind).is_none_or(|value| value.iter().all(|byte| *byte == 0))
    }

    pub(super) fn register(&mut self, kind: u16) -> Option<Register> {
        let number = self.number(kind)?;
        if number >= REG32 { Some(number - REG32) } else { Some((number.checked_sub(REG_1)?) * 4) }
    }

    /// Whether a register is the first.
    pub(super) fn is_first(&mut self, kind: u16) -> bool {
        self.register(kind) == Some(0)
    }

    pub(super) fn value(&mut self, kind: u16) -> Option<Vec<u8>> {
        let mut inside = Self::new(self.take(kind)?)?;
        let value = inside.take(NFTA_DATA_VALUE)?.to_vec();
        inside.end(value)
    }

    /// A thing, if nothing else is there.
    pub(super) fn end<T>(self, thing: T) -> Option<T> {
        self.all.is_empty().then_some(thing)
    }
}

pub(super) fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

pub(super) fn text(value: &[u8]) -> Option<String> {
    String::from_utf8(value.strip_suffix(&[0]).unwrap_or(value).to_vec()).ok()
}
