//! Options of interfaces that somebody has changed and no file can ask for (see [`LINK_OPTIONS`]).

use libc::{IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINKINFO};
use netlink_packet_core::{DecodeError, Emitable};
use netlink_packet_route::link::LinkMessage;

use super::bridge;
use super::interface::{RawInterface, option};
use crate::kernel::netlink::append;
use crate::lab::{ForeignKind, ForeignObject, ForeignOther, IfName, LINK_OPTIONS, LinkOption, OptionOf, VirtualKind};

/// Where the index is in `struct ifinfomsg`.
const INDEX: std::ops::Range<usize> = 4..8;

/// The options of an interface that are not as the kernel begins with them.
pub(in crate::kernel) fn changed(raw: &RawInterface<'_>, name: &IfName) -> Result<Vec<ForeignOther>, DecodeError> {
    let mut changed = Vec::new();
    for known in &LINK_OPTIONS {
        let Some(attributes) = attributes_of(raw, known.of) else { continue };
        let value = option(attributes, known.number)?.and_then(|value| known.value(value));
        if let Some(value) = value.filter(|value| *value != known.default) {
            let message = message(raw.header.index, known, value);
            let object = ForeignObject {
                kind: ForeignKind::LinkOption(known),
                text: format!("{name} {}", known.words(value)),
                message,
            };
            changed.push(ForeignOther { object, dev: Some(name.clone()) });
        }
    }
    Ok(changed)
}

/// The attributes among which an option is; none where the interface has no such options.
fn attributes_of<'a>(raw: &RawInterface<'a>, of: OptionOf) -> Option<&'a [u8]> {
    match of {
        OptionOf::Interface => Some(raw.attributes),
        OptionOf::Bridge => (raw.kind == Some(bridge::KIND)).then_some(raw.data),
        OptionOf::Port => (raw.port_kind == Some(bridge::KIND)).then_some(raw.port_data),
        OptionOf::Vxlan => (raw.kind == Some(VirtualKind::Vxlan.name())).then_some(raw.data),
    }
}

/// The body of the message that sets an option.
fn message(index: u32, known: &LinkOption, value: u64) -> Vec<u8> {
    let mut header = LinkMessage::default();
    header.header.index = index;
    let mut message = vec![0; header.buffer_len()];
    header.emit(&mut message);
    let (kind, kind_number, data) = match known.of {
        OptionOf::Interface => {
            append(&mut message, known.number, &known.bytes(value));
            return message;
        }
        OptionOf::Bridge => (bridge::KIND, IFLA_INFO_KIND, IFLA_INFO_DATA),
        OptionOf::Port => (bridge::KIND, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA),
        OptionOf::Vxlan => (VirtualKind::Vxlan.name(), IFLA_INFO_KIND, IFLA_INFO_DATA),
    };
    let (mut options, mut info) = (Vec::new(), Vec::new());
    append(&mut options, known.number, &known.bytes(value));
    append(&mut info, kind_number, kind.as_bytes());
    append(&mut info, data, &options);
    append(&mut message, IFLA_LINKINFO, &info);
    message
}

/// The body of the message that sets it back to what the kernel begins with, from that of the changed one.
pub(super) fn back(known: &LinkOption, changed: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let index = changed.get(INDEX).and_then(|index| index.try_into().ok());
    let index = index.ok_or_else(|| DecodeError::buffer_too_small(changed.len(), INDEX.end))?;
    Ok(message(u32::from_ne_bytes(index), known, known.default))
}
