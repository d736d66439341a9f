//! Queueing disciplines that somebody has added. Those that the kernel gives every interface have no number.

use std::collections::HashMap;

use netlink_packet_core::DecodeError;

use crate::kernel::netlink::{append, attributes, printable};
use crate::lab::{ForeignKind, ForeignObject, ForeignOther, IfName};

/// Length of `struct tcmsg` (linux/rtnetlink.h), and where its numbers are.
const HEADER: usize = 20;
/// The beginning of a request for all of them.
pub(in crate::kernel) const ALL: [u8; HEADER] = [0; HEADER];
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
/// The two places at an interface (linux/pkt_sched.h); others are inside another qdisc, and go with it.
const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;

/// The qdiscs of a listing that somebody has added; `names` are those of the namespace's interfaces.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
) -> Result<Vec<ForeignOther>, DecodeError> {
    let mut qdiscs = Vec::new();
    for item in items {
        let number = |at: usize| Some(u32::from_ne_bytes(item.get(at..at + 4)?.try_into().ok()?));
        let (Some(index), Some(handle), Some(parent)) = (number(4), number(8), number(12)) else {
            return Err(DecodeError::buffer_too_small(item.len(), HEADER));
        };
        let Some(dev) = names.get(&index) else { continue };
        if handle == 0 || !(parent == TC_H_ROOT || parent == TC_H_INGRESS) {
            continue;
        }
        let mut kind = String::new();
        let mut message = item.get(..HEADER - 4).unwrap_or_default().to_vec();
        message.extend([0; 4]);
        for attribute in attributes(item.get(HEADER..).unwrap_or_default()) {
            let (number, value) = attribute?;
            if number == TCA_KIND {
                kind = printable(value);
            }
            if number == TCA_KIND || number == TCA_OPTIONS {
                append(&mut message, number, value);
            }
        }
        let place = if parent == TC_H_ROOT { "root " } else { "" };
        let text = format!("dev {dev} {place}{kind}");
        let object = ForeignObject { kind: ForeignKind::Qdisc, text, message };
        qdiscs.push(ForeignOther { object, dev: Some(dev.clone()) });
    }
    Ok(qdiscs)
}
