//! Options of interfaces that decide what becomes of packets, and that no file can ask for: they stay as the kernel
//! begins with them. Numbers from linux/if_link.h, first values from br_dev_setup, new_nbp and vxlan_nl2conf, words
//! from ip-link(8).

use OptionOf::{Bridge, Interface, Port, Vxlan};
use OptionShape::{Bit, Index, Mac, OnOff, U8, U16, U32, Vlan, Words};

use super::Mac as MacAddress;

/// An option.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkOption {
    /// Which group of options it is in.
    pub of: OptionOf,
    /// Its number there.
    pub number: u16,
    /// The word of `ip`.
    pub word: &'static str,
    /// How its values look.
    shape: OptionShape,
    /// The value that the kernel begins with.
    pub default: u64,
}

/// What an option is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionOf {
    /// An interface of any kind.
    Interface,
    /// A bridge.
    Bridge,
    /// A port of a bridge.
    Port,
    /// A VXLAN interface.
    Vxlan,
}

/// How the values of an option look, to the kernel and to `ip`.
#[derive(Debug, PartialEq, Eq)]
enum OptionShape {
    U8,
    U16,
    U32,
    /// One byte; `on` or `off`.
    OnOff,
    /// One byte, the place of a word.
    Words(&'static [&'static str]),
    /// A MAC address, its first byte the highest.
    Mac,
    /// The protocol of VLANs, in network byte order.
    Vlan,
    /// One bit of IFLA_BR_MULTI_BOOLOPT (`struct br_boolopt_multi`: values, and which of them are meant).
    Bit(u32),
    /// The index of an interface; 0 is none.
    Index,
}

const fn option(of: OptionOf, number: u16, word: &'static str, shape: OptionShape, default: u64) -> LinkOption {
    LinkOption { of, number, word, shape, default }
}

/// All of them. Times of a bridge's querier are not here: the kernel rounds them, and they decide nothing by
/// themselves.
pub static LINK_OPTIONS: [LinkOption; 28] = [
    option(Interface, 39, "protodown", OnOff, 0),
    option(Bridge, 6, "priority", U16, 0x8000),
    option(Bridge, 8, "vlan_protocol", Vlan, 0x8100),
    option(Bridge, 20, "group_address", Mac, 0x0180_c200_0000),
    option(Bridge, 22, "mcast_router", U8, 1),
    option(Bridge, 24, "mcast_query_use_ifaddr", U8, 0),
    option(Bridge, 25, "mcast_querier", U8, 0),
    option(Bridge, 37, "nf_call_ip6tables", U8, 0),
    option(Bridge, 38, "nf_call_arptables", U8, 0),
    option(Bridge, 39, "vlan_default_pvid", U16, 1),
    option(Bridge, 46, "no_linklocal_learn", Bit(0), 0),
    option(Bridge, 46, "mcast_vlan_snooping", Bit(1), 0),
    option(Bridge, 46, "mst_enabled", Bit(2), 0),
    option(Bridge, 49, "fdb_max_learned", U32, 0),
    option(Port, 2, "priority", U16, 32),
    option(Port, 25, "mcast_router", U8, 1),
    option(Port, 31, "group_fwd_mask", U16, 0),
    option(Port, 34, "backup_port", Index, 0),
    option(Port, 40, "mab", OnOff, 0),
    option(Port, 42, "mcast_max_groups", U32, 0),
    option(Port, 43, "neigh_vlan_suppress", OnOff, 0),
    option(Port, 44, "backup_nhid", U32, 0),
    option(Vxlan, 5, "ttl", U8, 0),
    option(Vxlan, 6, "tos", U8, 0),
    option(Vxlan, 8, "ageing", U32, 300),
    option(Vxlan, 26, "flowlabel", U32, 0),
    option(Vxlan, 29, "df", Words(&["unset", "set", "inherit"]), 0),
    option(Vxlan, 31, "localbypass", OnOff, 1),
];

impl LinkOption {
    /// The value of an attribute; none where it is not as long as it has to be.
    pub fn value(&self, bytes: &[u8]) -> Option<u64> {
        Some(match self.shape {
            U8 | OnOff | Words(_) => u64::from(u8::from_ne_bytes(bytes.try_into().ok()?)),
            U16 => u64::from(u16::from_ne_bytes(bytes.try_into().ok()?)),
            U32 | Index => u64::from(u32::from_ne_bytes(bytes.try_into().ok()?)),
            Mac => bytes.iter().filter(|_| bytes.len() == 6).fold(0, |all, byte| all << 8 | u64::from(*byte)),
            Vlan => u64::from(u16::from_be_bytes(bytes.try_into().ok()?)),
            Bit(bit) => u64::from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) >> bit & 1),
        })
    }

    /// The attribute that sets it to a value.
    pub fn bytes(&self, value: u64) -> Vec<u8> {
        // Every value is one that was read, or the default.
        let low = value.to_be_bytes();
        let [.., c, d] = low;
        let number = u32::try_from(value).unwrap_or(u32::MAX);
        match self.shape {
            U8 | OnOff | Words(_) => vec![d],
            U16 => u16::from_be_bytes([c, d]).to_ne_bytes().to_vec(),
            U32 | Index => number.to_ne_bytes().to_vec(),
            Mac => low.get(2..).unwrap_or_default().to_vec(),
            Vlan => vec![c, d],
            Bit(bit) => [number << bit, 1 << bit].iter().flat_map(|word| word.to_ne_bytes()).collect(),
        }
    }

    /// The option with a value, as after `type KIND` in `ip link set`.
    pub fn words(&self, value: u64) -> String {
        let word = self.word;
        let index = |list: &[&'static str]| usize::try_from(value).ok().and_then(|at| list.get(at).copied());
        match self.shape {
            Index if value == 0 => format!("no{word}"),
            U8 | U16 | U32 | Bit(_) | Index => format!("{word} {value}"),
            OnOff => format!("{word} {}", if value == 0 { "off" } else { "on" }),
            Words(list) => index(list).map_or_else(|| format!("{word} {value}"), |name| format!("{word} {name}")),
            Mac => {
                let [_, _, bytes @ ..] = value.to_be_bytes();
                format!("{word} {}", MacAddress(bytes))
            }
            Vlan if value == 0x8100 => format!("{word} 802.1Q"),
            Vlan if value == 0x88a8 => format!("{word} 802.1ad"),
            Vlan => format!("{word} {value:#06x}"),
        }
    }
}

impl OptionOf {
    /// What `ip link set` wants before the options.
    pub fn words(self) -> &'static str {
        match self {
            Interface => "",
            Bridge => " type bridge",
            Port => " type bridge_slave",
            Vxlan => " type vxlan",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for option in &LINK_OPTIONS {
            for value in [option.default, 1, 0] {
                assert_eq!(option.value(&option.bytes(value)), Some(value), "{}", option.word);
            }
            assert_eq!(option.value(&[1, 2, 3]).filter(|value| *value != 0), None, "{}", option.word);
        }
    }

    #[test]
    fn values_are_told_as_ip_tells_them() {
        let told = |word: &str, value| {
            LINK_OPTIONS.iter().find(|option| option.word == word).map(|option| option.words(value)).unwrap()
        };
        assert_eq!(told("group_address", 0x0180_c200_0000), "group_address 01:80:c2:00:00:00");
        assert_eq!(told("vlan_protocol", 0x88a8), "vlan_protocol 802.1ad");
        assert_eq!(told("backup_port", 0), "nobackup_port");
        assert_eq!(told("df", 2), "df inherit");
        assert_eq!(told("protodown", 0), "protodown off");
    }
}
