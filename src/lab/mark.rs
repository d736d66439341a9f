//! Marks: what the kernel keeps with an object of a lab, so that nothing else is needed to know whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{LabName, SysctlKey};

/// The number in `proto` and `protocol` of routes and policy rules that says "nslab made this": one of those that
/// rtnetlink(7) leaves to users and that no routing daemon has taken.
pub const ROUTE_PROTOCOL: u8 = 213;

/// What every mark of nslab begins with.
const PREFIX: &str = "nslab:";
const WAS: &str = " was ";
const BETWEEN: &str = "; ";
const LISTS: &str = " lists ";

/// The longest alias that the kernel takes, in bytes (IFALIASZ less the closing zero).
const LONGEST: usize = 255;

/// The alias of a lab's link in `host`, or of the loopback of one of its namespaces: `nslab:LAB`, and what host
/// settings were before the lab: `nslab:LAB was net.ipv4.ip_forward=0; net.ipv6.conf.all.forwarding=0`. Before that,
/// the routes and policy rules of `host` that no interface takes along, as hashes: `nslab:LAB lists 0a1b2c3d,11111111`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The lab.
    pub lab: LabName,
    /// Host settings that the lab needs, with their former values.
    pub settings: BTreeMap<SysctlKey, String>,
    /// Hashes of the lab's routes and policy rules in `host` that no interface belongs to.
    pub routes: BTreeSet<u32>,
}

/// What the marks of one lab say besides whose they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Host settings that the lab needs, with their former values.
    pub settings: BTreeMap<SysctlKey, String>,
    /// Hashes of the lab's routes and policy rules in `host` that no interface belongs to.
    pub routes: BTreeSet<u32>,
}

impl Remembered {
    /// Adds what a mark says.
    pub fn add(&mut self, mark: Mark) {
        self.settings.extend(mark.settings);
        self.routes.extend(mark.routes);
    }
}

impl Mark {
    /// Whether it says more than whose it is.
    pub fn says_more(&self) -> bool {
        !self.settings.is_empty() || !self.routes.is_empty()
    }

    /// The mark that an alias is, if it is one of nslab's. What follows the lab's name without sense is passed over.
    pub fn parse(alias: &str) -> Option<Self> {
        let text = alias.strip_prefix(PREFIX)?;
        let (text, settings) = text.split_once(WAS).unwrap_or((text, ""));
        let (lab, routes) = text.split_once(LISTS).unwrap_or((text, ""));
        let setting = |text: &str| {
            let (key, was) = text.split_once('=')?;
            Some((key.parse().ok()?, was.to_owned()))
        };
        let settings = settings.split(BETWEEN).filter_map(setting).collect();
        let routes = routes.split(',').filter_map(|hash| u32::from_str_radix(hash, 16).ok()).collect();
        Some(Self { lab: lab.parse().ok()?, settings, routes })
    }
}

/// The alias. A setting or route for which there is no more room, or whose value could not be read back, is left out.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut text, mut settings) = (self.lab.mark(), String::new());
        let mut before = WAS;
        for (key, was) in &self.settings {
            let setting = format!("{before}{key}={was}");
            if text.len() + settings.len() + setting.len() <= LONGEST && !was.contains([';', '\n']) {
                settings.push_str(&setting);
                before = BETWEEN;
            }
        }
        let mut before = LISTS;
        for hash in &self.routes {
            let route = format!("{before}{hash:08x}");
            if text.len() + settings.len() + route.len() <= LONGEST {
                text.push_str(&route);
                before = ",";
            }
        }
        write!(f, "{text}{settings}")
    }
}

/// The 32-bit FNV-1a hash of a text (RFC 9923): the same in every version of nslab.
pub(crate) fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl LabName {
    /// The interface group (`IFLA_GROUP`) of the lab's links in `host`: a mark that a link can carry from its very
    /// first moment, before its alias is set. 0x6e______, with 24 bits of an FNV-1a hash of the name.
    pub fn group(&self) -> u32 {
        0x6e00_0000 | (fnv1a(self.as_str()) >> 8)
    }

    /// The shortest mark: `nslab:NAME`.
    pub fn mark(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// The lab that an alias names, if it is one of nslab's.
    pub fn from_mark(alias: &str) -> Option<Self> {
        Mark::parse(alias).map(|mark| mark.lab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(settings: &[(&str, &str)]) -> Mark {
        let settings = settings.iter().map(|(key, was)| (key.parse().unwrap(), (*was).to_owned())).collect();
        Mark { lab: "a-b".parse().unwrap(), settings, routes: BTreeSet::new() }
    }

    #[test]
    fn routes_come_before_settings() {
        let mut both = Mark { routes: BTreeSet::from([1, 0xfedc_ba98]), ..mark(&[("net.ipv4.ip_forward", "0")]) };
        assert_eq!(both.to_string(), "nslab:a-b lists 00000001,fedcba98 was net.ipv4.ip_forward=0");
        assert_eq!(Mark::parse(&both.to_string()), Some(both.clone()));
        both.routes = (0..100).collect();
        let text = both.to_string();
        assert!(text.len() <= 255 && text.ends_with(" was net.ipv4.ip_forward=0"), "{text}");
        assert!((20..25).contains(&Mark::parse(&text).unwrap().routes.len()), "{text}");
    }

    #[test]
    fn marks_are_read_as_they_are_written() {
        for (settings, text) in [
            (&[][..], "nslab:a-b"),
            (&[("net.ipv4.ip_forward", "0")], "nslab:a-b was net.ipv4.ip_forward=0"),
            (
                &[("net.ipv4.ip_forward", "0"), ("net.ipv4.ip_local_port_range", "1 2"), ("net.x", "")],
                "nslab:a-b was net.ipv4.ip_forward=0; net.ipv4.ip_local_port_range=1 2; net.x=",
            ),
        ] {
            assert_eq!(mark(settings).to_string(), text);
            assert_eq!(Mark::parse(text), Some(mark(settings)));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = "1".repeat(240);
        let text = mark(&[("net.a", &long), ("net.b", "a; b"), ("net.c", "2")]).to_string();
        assert_eq!(text, "nslab:a-b was net.c=2");
    }

    #[test]
    fn other_aliases_are_no_marks() {
        for alias in ["", "nslab", "nslab:", "nslab:../x", "nslab:a b", "uplink", "xnslab:a", "nslab:host"] {
            assert_eq!(LabName::from_mark(alias), None, "{alias}");
        }
        assert_eq!(Mark::parse("nslab:a was x; =1; net.ipv4.ip_forward=0").unwrap().settings.len(), 1);
    }
}
