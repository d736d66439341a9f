//! The attributes behind a message's fixed header, read one by one.
//!
//! Observing decodes only the attributes that the lab speaks about, so an unknown kind of interface, or an attribute of
//! a newer kernel, can neither slow it down nor make it fail.

use netlink_packet_core::{DecodeError, NLA_HEADER_SIZE, NlasIterator};

/// Kind and value of every attribute in `bytes`, which begin behind the fixed header.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), DecodeError>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute = attribute?;
        let (kind, end) = (attribute.kind(), usize::from(attribute.length()));
        Ok((kind, attribute.into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default()))
    })
}

/// A name as the kernel sends it: bytes up to the first zero. None if they are no UTF-8, which no name of ours is.
pub fn name_text(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    std::str::from_utf8(value.get(..end)?).ok()
}
