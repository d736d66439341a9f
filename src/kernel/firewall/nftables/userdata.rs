//! Comments, in the notes that `nft` has the kernel keep with an object: each a type, a length, and so many bytes.
//! Facts from libnftnl's udata.h.

use super::message::c_string;

/// NFTNL_UDATA_TABLE_COMMENT, NFTNL_UDATA_CHAIN_COMMENT, NFTNL_UDATA_RULE_COMMENT, NFTNL_UDATA_SET_ELEM_COMMENT.
const COMMENT: u8 = 0;
/// NFTNL_UDATA_SET_COMMENT.
const SET_COMMENT: u8 = 7;
/// What says of a set that its keys are in the machine's own order: NFTNL_UDATA_SET_KEYBYTEORDER,
/// BYTEORDER_HOST_ENDIAN.
pub(super) const OWN_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};

/// A comment of anything but a set.
pub(super) fn comment(text: &str) -> Vec<u8> {
    note(COMMENT, text)
}

/// A comment of a set.
pub(super) fn of_set(text: &str) -> Vec<u8> {
    note(SET_COMMENT, text)
}

fn note(kind: u8, text: &str) -> Vec<u8> {
    let text = c_string(text);
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    [kind, length].into_iter().chain(text.into_iter().take(length.into())).collect()
}

/// The comment of anything but a set.
pub(super) fn commented(notes: &[u8]) -> Option<String> {
    find(notes, COMMENT)
}

/// The comment of a set.
pub(super) fn set_comment(notes: &[u8]) -> Option<String> {
    find(notes, SET_COMMENT)
}

fn find(mut notes: &[u8], wanted: u8) -> Option<String> {
    while let [kind, length, rest @ ..] = notes {
        let (value, after) = rest.split_at_checked((*length).into())?;
        if *kind == wanted {
            return super::attribute::text(value);
        }
        notes = after;
    }
    None
}
