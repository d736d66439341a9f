//! What addresses may have beside what a lab can say, and how it differs from what nslab gives them.

use libc::{
    IFA_BROADCAST, IFA_CACHEINFO, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR,
    IFA_F_MCAUTOJOIN, IFA_F_NOPREFIXROUTE, IFA_LABEL,
};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_u32};
use netlink_packet_route::address::{AddressHeader, AddressScope};

use crate::kernel::netlink::{attributes, name_text, printable};
use crate::lab::{Address, AlteredAddress, IfName};

/// All flags, of which the header has room for the first eight (`IFA_FLAGS` of linux/if_addr.h).
const IFA_FLAGS: u16 = 8;
/// The metric of the route to its prefix (`IFA_RT_PRIORITY` of linux/if_addr.h).
const IFA_RT_PRIORITY: u16 = 9;

/// A lifetime without an end (`INFINITY_LIFE_TIME` of net/addrconf.h).
const FOREVER: u32 = u32::MAX;

/// The flags that a person can set, with the words of `ip addr`; and whether, of an IPv4 and of an IPv6 address, the
/// kernel takes them back in place.
const FLAGS: [(u32, &str, bool, bool); 6] = [
    (IFA_F_DEPRECATED, "deprecated", true, true),
    (IFA_F_NOPREFIXROUTE, "noprefixroute", false, true),
    (IFA_F_HOMEADDRESS, "home", false, true),
    (IFA_F_MANAGETEMPADDR, "mngtmpaddr", false, true),
    (IFA_F_MCAUTOJOIN, "autojoin", false, false),
    (IFA_F_DADFAILED, "dadfailed", false, false),
];

/// How an address differs from what nslab makes; none where it does not.
pub fn altered(
    header: &AddressHeader,
    item: &[u8],
    name: &IfName,
    address: Address,
) -> Result<Option<AlteredAddress>, DecodeError> {
    let mut altered = AlteredAddress { words: Vec::new(), in_place: true };
    let mut add = |word: String, in_place: bool| {
        altered.words.push(word);
        altered.in_place &= in_place;
    };
    let is_ipv6 = address.is_ipv6();
    let scope = if address.ip().is_loopback() { AddressScope::Host } else { AddressScope::Universe };
    // Of an IPv6 address, the kernel itself says what its scope is.
    if !is_ipv6 && header.scope != scope {
        add(format!("scope {}", scope_word(header.scope)), false);
    }
    let mut ends = false;
    let mut flags = u32::from(header.flags.bits());
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (IFA_FLAGS, value) => flags = parse_u32(value)?,
            (IFA_BROADCAST, value) => add(format!("broadcast {}", parse_ip(value)?), false),
            (IFA_LABEL, value) if name_text(value) != Some(name.as_str()) => {
                add(format!("label {}", printable(value.strip_suffix(&[0]).unwrap_or(value))), false);
            }
            (IFA_RT_PRIORITY, value) => match parse_u32(value)? {
                0 => {}
                metric => add(format!("metric {metric}"), !is_ipv6),
            },
            (IFA_CACHEINFO, value) => ends |= lifetimes(value)?.any(|lifetime| ![0, FOREVER].contains(&lifetime)),
            _ => {}
        }
    }
    if ends {
        add("dynamic".to_owned(), true);
    }
    for (_, word, ipv4, ipv6) in FLAGS.iter().filter(|(flag, ..)| flags & flag != 0) {
        add((*word).to_owned(), if is_ipv6 { *ipv6 } else { *ipv4 });
    }
    Ok((!altered.words.is_empty()).then_some(altered))
}

/// For how long, in seconds, an address is preferred, and valid (`struct ifa_cacheinfo`).
fn lifetimes(value: &[u8]) -> Result<impl Iterator<Item = u32>, DecodeError> {
    let at = |place: std::ops::Range<usize>| value.get(place).map(parse_u32).transpose();
    Ok(at(0..4)?.into_iter().chain(at(4..8)?))
}

fn scope_word(scope: AddressScope) -> String {
    match scope {
        AddressScope::Universe => "global".to_owned(),
        AddressScope::Site => "site".to_owned(),
        AddressScope::Link => "link".to_owned(),
        AddressScope::Host => "host".to_owned(),
        other => u8::from(other).to_string(),
    }
}
