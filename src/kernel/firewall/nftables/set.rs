//! Sets and maps with their elements: to the kernel's attributes, and back. Facts from
//! linux/netfilter/nf_tables.h, and from libnftnl's udata.h for comments.

use std::collections::BTreeMap;

use super::attribute::{Attributes, Reader, number};
use super::message::{Message, NFTA_SET_ID, NFTA_SET_NAME, NFTA_TABLE_NAME};
use super::value::bounds;
use super::{userdata, verdict};
use crate::lab::{NftElement, NftKey, NftSet, NftSetDefinition, NftType, NftValue, NftVerdict};

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_TABLE: u16 = NFTA_TABLE_NAME;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_POLICY: u16 = 8;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_TIMEOUT: u16 = 11;
const NFTA_SET_USERDATA: u16 = 13;
/// GC_INTERVAL, OBJ_TYPE, EXPR, EXPRESSIONS: of kinds of sets that the model does not have.
const OTHERS: [u16; 4] = [12, 15, 17, 18];
const NFTA_SET_DESC_SIZE: u16 = 1;
const NFTA_SET_DESC_CONCAT: u16 = 2;
const NFTA_SET_FIELD_LEN: u16 = 1;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_LIST_SET_ID: u16 = 4;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_SET_ELEM_USERDATA: u16 = 6;
const NFTA_SET_ELEM_KEY_END: u16 = 10;
/// NFT_SET_ANONYMOUS.
const NAMELESS: u32 = 1;
/// NFT_SET_CONSTANT.
const CONSTANT: u32 = 2;
/// NFT_SET_INTERVAL.
const INTERVAL: u32 = 4;
/// NFT_SET_MAP.
const MAP: u32 = 8;
/// NFT_SET_TIMEOUT.
const TIMEOUT: u32 = 0x10;
/// NFT_SET_EVAL.
const DYNAMIC: u32 = 0x20;
/// NFT_SET_CONCAT.
const CONCATENATION: u32 = 0x80;
/// NFT_DATA_VERDICT.
const VERDICTS: u32 = 0xffff_ff00;
/// NFT_SET_ELEM_INTERVAL_END.
const END: u32 = 1;
/// The type of a number for `nft` (TYPE_INTEGER).
const INTEGER: u32 = 4;
/// How many bits `nft` gives each part of the type of a key (TYPE_BITS).
const TYPE_BITS: u32 = 6;

impl NftSetDefinition {
    /// Whether networks and ranges are in it as they are, not as their beginnings and ends.
    fn is_of_ranges(&self) -> bool {
        self.is_interval && self.key.len() > 1
    }

    fn flags(&self) -> u32 {
        let flag = |is: bool, bit: u32| if is { bit } else { 0 };
        flag(self.is_interval, INTERVAL)
            | flag(self.is_map, MAP)
            | flag(self.dynamic_for.is_some(), DYNAMIC | TIMEOUT)
            | flag(self.is_of_ranges(), CONCATENATION)
    }

    fn key_type(&self) -> u32 {
        self.key.iter().fold(0, |all, part| (all << TYPE_BITS) | part.number())
    }

    /// Parts of several begin at multiples of four bytes.
    fn key_length(&self) -> u32 {
        match self.key.as_slice() {
            [one] => one.length(),
            several => several.iter().map(|part| part.length().next_multiple_of(4)).sum(),
        }
    }
}

/// The message that makes a set, which has a number in its transaction.
pub(super) fn encoded(table: &str, name: &str, set: &NftSetDefinition, id: u32) -> Attributes {
    let attributes = begin(table, name, id).number(NFTA_SET_FLAGS, set.flags());
    let mut attributes =
        attributes.number(NFTA_SET_KEY_TYPE, set.key_type()).number(NFTA_SET_KEY_LEN, set.key_length());
    if set.is_map {
        attributes = attributes.number(NFTA_SET_DATA_TYPE, VERDICTS).number(NFTA_SET_DATA_LEN, 0);
    }
    if set.is_of_ranges() {
        let part = |part: &NftType| Attributes::default().number(NFTA_SET_FIELD_LEN, part.length());
        let parts = set.key.iter().fold(Attributes::default(), |all, own| all.nested(NFTA_LIST_ELEM, part(own)));
        attributes = attributes.nested(NFTA_SET_DESC, Attributes::default().nested(NFTA_SET_DESC_CONCAT, parts));
    }
    if let Some(seconds) = set.dynamic_for {
        attributes = attributes.bytes(NFTA_SET_TIMEOUT, &(u64::from(seconds) * 1000).to_be_bytes());
    }
    match &set.comment {
        Some(comment) => attributes.bytes(NFTA_SET_USERDATA, &userdata::of_set(comment)),
        None => attributes,
    }
}

fn begin(table: &str, name: &str, id: u32) -> Attributes {
    Attributes::default().text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, name).number(NFTA_SET_ID, id)
}

/// The message that makes a map for one rule, from numbers to verdicts.
pub(super) fn encoded_numbers(table: &str, name: &str, id: u32, count: usize) -> Attributes {
    let size = Attributes::default().number(NFTA_SET_DESC_SIZE, u32::try_from(count).unwrap_or(u32::MAX));
    begin(table, name, id)
        .number(NFTA_SET_FLAGS, NAMELESS | CONSTANT | MAP)
        .number(NFTA_SET_KEY_TYPE, INTEGER)
        .number(NFTA_SET_KEY_LEN, 4)
        .number(NFTA_SET_DATA_TYPE, VERDICTS)
        .number(NFTA_SET_DATA_LEN, 0)
        .nested(NFTA_SET_DESC, size)
        .bytes(NFTA_SET_USERDATA, &userdata::OWN_ORDER)
}

/// The message that fills it with some of its verdicts, from a number on.
pub(super) fn encoded_verdicts(
    table: &str,
    name: &str,
    id: u32,
    (first, verdicts): (usize, &[NftVerdict]),
) -> Attributes {
    let mut elements = Attributes::default();
    for (number, verdict) in (first..).zip(verdicts) {
        let key = u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes();
        let one = verdict::append(Attributes::default().value(NFTA_SET_ELEM_KEY, &key), NFTA_SET_ELEM_DATA, verdict);
        elements = elements.nested(NFTA_LIST_ELEM, one);
    }
    let of_set = Attributes::default().text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, name);
    of_set.nested(NFTA_SET_ELEM_LIST_ELEMENTS, elements).number(NFTA_SET_ELEM_LIST_SET_ID, id)
}

/// The message about some elements.
pub(super) fn encoded_elements<'e>(
    table: &str,
    (name, set): (&str, &NftSetDefinition),
    some: impl IntoIterator<Item = (&'e NftKey, &'e NftElement)>,
) -> Attributes {
    let elements = some.into_iter().fold(Attributes::default(), |all, (key, own)| with_element(all, set, key, own));
    let of_set = Attributes::default().text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, name);
    of_set.nested(NFTA_SET_ELEM_LIST_ELEMENTS, elements)
}

fn with_element(elements: Attributes, set: &NftSetDefinition, key: &NftKey, element: &NftElement) -> Attributes {
    let (first, last) = key_bounds(key);
    let mut one = Attributes::default().value(NFTA_SET_ELEM_KEY, &first);
    if set.is_of_ranges() {
        one = one.value(NFTA_SET_ELEM_KEY_END, &last);
    }
    if let Some(verdict) = &element.verdict {
        one = verdict::append(one, NFTA_SET_ELEM_DATA, verdict);
    }
    if let Some(comment) = &element.comment {
        one = one.bytes(NFTA_SET_ELEM_USERDATA, &userdata::comment(comment));
    }
    let elements = elements.nested(NFTA_LIST_ELEM, one);
    // What ends with the last of all has no end.
    match next(&last).filter(|_| set.is_interval && !set.is_of_ranges()) {
        Some(end) => {
            let end = Attributes::default().value(NFTA_SET_ELEM_KEY, &end).number(NFTA_SET_ELEM_FLAGS, END);
            elements.nested(NFTA_LIST_ELEM, end)
        }
        None => elements,
    }
}

/// The first and the last key of a key.
fn key_bounds(key: &NftKey) -> (Vec<u8>, Vec<u8>) {
    match key.as_slice() {
        [one] => bounds(one),
        several => {
            let (mut first, mut last) = (Vec::new(), Vec::new());
            for (from, to) in several.iter().map(bounds) {
                first.extend(from);
                first.resize(first.len().next_multiple_of(4), 0);
                last.extend(to);
                last.resize(last.len().next_multiple_of(4), 0);
            }
            (first, last)
        }
    }
}

/// The number after one of many bytes.
fn next(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(bytes);
        }
    }
    None
}

/// The number before one of many bytes.
fn before(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for byte in bytes.iter_mut().rev() {
        *byte = byte.wrapping_sub(1);
        if *byte != u8::MAX {
            break;
        }
    }
    bytes
}

/// Whether a set belongs to one rule.
pub(super) fn is_nameless(set: &Message) -> bool {
    set.value(NFTA_SET_FLAGS).and_then(number).is_some_and(|flags| flags & NAMELESS != 0)
}

/// What a listed set is; none where the model has no such sets.
pub(super) fn decoded(set: &Message) -> Option<NftSetDefinition> {
    let attribute = |kind: u16| set.value(kind).and_then(number);
    let key = key_types(attribute(NFTA_SET_KEY_TYPE)?)?;
    let flags = attribute(NFTA_SET_FLAGS).unwrap_or_default();
    let timeout = match set.value(NFTA_SET_TIMEOUT) {
        Some(value) => Some(u64::from_be_bytes(value.try_into().ok()?)),
        None => None,
    };
    let dynamic_for = match timeout {
        Some(milliseconds) if milliseconds.is_multiple_of(1000) => Some(u32::try_from(milliseconds / 1000).ok()?),
        Some(_) => return None,
        None => None,
    };
    let definition = NftSetDefinition {
        key,
        is_map: flags & MAP != 0,
        is_interval: flags & INTERVAL != 0,
        dynamic_for,
        comment: set.value(NFTA_SET_USERDATA).and_then(userdata::set_comment),
    };
    let is_all = !OTHERS.iter().any(|kind| set.value(*kind).is_some_and(|value| value.iter().any(|byte| *byte != 0)))
        && attribute(NFTA_SET_POLICY).unwrap_or_default() == 0
        && attribute(NFTA_SET_DATA_TYPE) == definition.is_map.then_some(VERDICTS)
        && attribute(NFTA_SET_KEY_LEN)? == definition.key_length()
        && flags == definition.flags()
        && (dynamic_for.is_some() || !has_size(set));
    is_all.then_some(definition)
}

/// Whether only so many elements may be in a set. Of dynamic sets, the kernel itself says how many.
fn has_size(set: &Message) -> bool {
    let description = set.value(NFTA_SET_DESC).and_then(Reader::new);
    description.is_some_and(|mut description| !description.is_zero(NFTA_SET_DESC_SIZE))
}

fn key_types(mut number: u32) -> Option<Vec<NftType>> {
    use crate::lab::Family::{Ipv4, Ipv6};

    let all = [NftType::Address(Ipv4), NftType::Address(Ipv6), NftType::Protocol, NftType::Port];
    let mut key = Vec::new();
    while number > 0 {
        let part = number & ((1 << TYPE_BITS) - 1);
        key.insert(0, *all.iter().find(|known| known.number() == part)?);
        number >>= TYPE_BITS;
    }
    (!key.is_empty()).then_some(key)
}

/// A listed element.
struct Listed {
    key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    is_end: bool,
    element: NftElement,
}

fn listed(answers: &[Message]) -> Option<Vec<Listed>> {
    let mut all = Vec::new();
    for answer in answers {
        let elements = Reader::new(answer.value(NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default())?;
        for element in elements.all_of(NFTA_LIST_ELEM) {
            let mut own = Reader::new(element)?;
            let key = own.value(NFTA_SET_ELEM_KEY)?;
            let key_end = match own.has(NFTA_SET_ELEM_KEY_END) {
                true => Some(own.value(NFTA_SET_ELEM_KEY_END)?),
                false => None,
            };
            let verdict = match own.has(NFTA_SET_ELEM_DATA) {
                true => Some(verdict::take(&mut own, NFTA_SET_ELEM_DATA)?),
                false => None,
            };
            let is_end = match own.number(NFTA_SET_ELEM_FLAGS).unwrap_or_default() {
                0 => false,
                END => true,
                _ => return None,
            };
            let comment = own.take(NFTA_SET_ELEM_USERDATA).and_then(userdata::commented);
            all.push(own.end(Listed { key, key_end, is_end, element: NftElement { verdict, comment } })?);
        }
    }
    Some(all)
}

/// The verdicts of a map for one rule, in the order of their numbers; none where these are not those from 0 on.
pub(super) fn decoded_verdicts(answers: &[Message]) -> Option<Vec<NftVerdict>> {
    let mut numbers = BTreeMap::new();
    for own in listed(answers)? {
        numbers.insert(u32::from_ne_bytes(own.key.as_slice().try_into().ok()?), own.element.verdict?);
    }
    let is_whole = numbers.keys().copied().eq(0..u32::try_from(numbers.len()).ok()?);
    is_whole.then(|| numbers.into_values().collect())
}

/// A set with the elements that were listed; none where the model has no such elements. Those of a dynamic set are
/// passed over.
pub(super) fn with_elements(definition: NftSetDefinition, answers: &[Message]) -> Option<NftSet> {
    let mut set = NftSet { definition, elements: BTreeMap::new() };
    if set.definition.dynamic_for.is_some() {
        return Some(set);
    }
    let mut all = listed(answers)?;
    if set.definition.is_interval && !set.definition.is_of_ranges() {
        all = joined(all);
    }
    for Listed { key: first, key_end, element, .. } in all {
        let last = key_end.unwrap_or_else(|| first.clone());
        set.elements.insert(key_of(&set.definition.key, &first, &last)?, element);
    }
    Some(set)
}

/// Beginnings with their ends.
fn joined(mut all: Vec<Listed>) -> Vec<Listed> {
    all.sort_by(|a, b| (&a.key, !a.is_end).cmp(&(&b.key, !b.is_end)));
    let mut whole: Vec<Listed> = Vec::new();
    for one in all {
        let open = whole.last_mut().filter(|open| open.key_end.is_none());
        match (open, one.is_end) {
            (Some(open), true) => open.key_end = Some(before(&one.key)),
            // The end of nothing, before the first.
            (None, true) => {}
            // One that ends where the next begins.
            (Some(open), false) => {
                open.key_end = Some(before(&one.key));
                whole.push(one);
            }
            (None, false) => whole.push(one),
        }
    }
    if let Some(open) = whole.last_mut().filter(|open| open.key_end.is_none()) {
        open.key_end = Some(vec![u8::MAX; open.key.len()]);
    }
    whole
}

fn key_of(types: &[NftType], first: &[u8], last: &[u8]) -> Option<NftKey> {
    let mut at = 0;
    let part = |part: &NftType| -> Option<NftValue> {
        let length = usize::try_from(part.length()).ok()?;
        let value = part.value(first.get(at..at + length)?, last.get(at..at + length)?);
        at += length.next_multiple_of(4);
        value
    };
    types.iter().map(part).collect()
}
