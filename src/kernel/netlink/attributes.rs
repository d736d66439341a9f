//! The attributes behind a message's fixed header, read one by one.
//!
//! Observing decodes only the attributes that the lab speaks about, so an unknown kind of interface, or an attribute of
//! a newer kernel, can neither slow it down nor make it fail.

use netlink_packet_core::{DecodeError, Emitable, NLA_HEADER_SIZE, NlasIterator};

/// Kind and value of every attribute in `bytes`, which begin behind the fixed header.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), DecodeError>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute = attribute?;
        let (kind, end) = (attribute.kind(), usize::from(attribute.length()));
        Ok((kind, attribute.into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default()))
    })
}

/// A message with this header and what `kept` makes of each of the attributes in `bytes`; none: it is left out.
pub fn with_attributes(
    header: &impl Emitable,
    bytes: &[u8],
    kept: impl Fn(u16, &[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, DecodeError> {
    let mut message = vec![0; header.buffer_len()];
    header.emit(&mut message);
    for attribute in attributes(bytes) {
        let (kind, value) = attribute?;
        if let Some(value) = kept(kind, value) {
            append(&mut message, kind, &value);
        }
    }
    Ok(message)
}

/// Appends an attribute to a message.
pub fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + NLA_HEADER_SIZE).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// A name as the kernel sends it, whatever its bytes: what cannot be printed is escaped as C does it.
pub fn printable(value: &[u8]) -> String {
    let mut text = String::new();
    for chunk in until_zero(value).utf8_chunks() {
        for c in chunk.valid().chars() {
            let is_plain = c != '\\' && !c.is_control();
            if is_plain { text.push(c) } else { text.extend(c.escape_default()) }
        }
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

/// A name as the kernel sends it: bytes up to the first zero. None if they are no UTF-8, which no name in a lab is.
pub fn name_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(until_zero(value)).ok()
}

fn until_zero(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == 0).next().unwrap_or_default()
}
