//! Options of virtual interfaces that no file can ask for and that the kernel does not change on one that is there.
//! Numbers from linux/if_link.h and linux/if_tunnel.h, words from ip-link(8).

use netlink_packet_core::DecodeError;

use super::interface::option;
use crate::lab::VirtualKind::{self, Gre, Ipip, Ipvlan, Macvlan, Vlan, Vxlan};

/// An option with the bytes that its value begins with where nobody has set it; without any, the kernel names it only
/// where it is set.
const OPTIONS: [(VirtualKind, u16, &str, &[u8]); 26] = [
    (Vxlan, 9, "maxaddress", &[0; 4]),
    (Vxlan, 11, "proxy", &[0]),
    (Vxlan, 12, "rsc", &[0]),
    (Vxlan, 13, "l2miss", &[0]),
    (Vxlan, 14, "l3miss", &[0]),
    (Vxlan, 23, "gbp", &[]),
    (Vxlan, 25, "external", &[0]),
    (Vxlan, 27, "gpe", &[]),
    (Vxlan, 28, "ttl inherit", &[0]),
    (Vxlan, 30, "vnifilter", &[0]),
    (Macvlan, 2, "flags", &[0; 2]),
    (Ipvlan, 2, "flags", &[0; 2]),
    (Vlan, 2, "flags", &1_u32.to_ne_bytes()),
    (Ipip, 4, "ttl", &[0]),
    (Ipip, 5, "tos", &[0]),
    (Ipip, 10, "nopmtudisc", &[1]),
    (Ipip, 15, "encap", &[0; 2]),
    (Ipip, 19, "external", &[]),
    (Ipip, 20, "fwmark", &[0; 4]),
    (Gre, 1, "dev", &[0; 4]),
    (Gre, 9, "tos", &[0]),
    (Gre, 10, "nopmtudisc", &[1]),
    (Gre, 14, "encap", &[0; 2]),
    (Gre, 18, "external", &[]),
    (Gre, 19, "ignore-df", &[0]),
    (Gre, 20, "fwmark", &[0; 4]),
];

/// The word of the first such option that is set, among the options of a kind.
pub(super) fn odd_option(kind: VirtualKind, data: &[u8]) -> Result<Option<&'static str>, DecodeError> {
    for (_, number, word, unset) in OPTIONS.iter().filter(|(of, ..)| *of == kind) {
        if option(data, *number)?.is_some_and(|value| unset.is_empty() || !value.starts_with(unset)) {
            return Ok(Some(word));
        }
    }
    Ok(None)
}
