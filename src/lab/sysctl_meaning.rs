//! What a sysctl's value means to the kernel, which takes more spellings than the one that it prints.
//!
//! Numbers may be octal and hexadecimal (`proc_dointvec` and its kin), bitmaps are merged and sorted
//! (`proc_do_large_bitmap`), addresses and keys are filled up with zeros, times are rounded to the ticks of the clock.
//! What none of this fits is a word.

use std::net::Ipv6Addr;

use super::{SysctlKey, SysctlValue, sysctl_time};

/// What a value stands for.
#[derive(Debug, PartialEq, Eq)]
enum Meaning<'a> {
    /// Numbers and words, one after the other.
    List(Vec<Entry<'a>>),
    /// The bits that are set, as ranges with first and last, in order, apart from each other.
    Bits(Vec<(u64, u64)>),
    /// The processors of a mask: hexadecimal digits without commas and leading zeros.
    Mask(String),
    /// An IPv6 address.
    Address(Ipv6Addr),
    /// Keys, of four parts each.
    Keys(Vec<Vec<u32>>),
}

/// One entry of a list.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    Number { is_negative: bool, of: u64 },
    Word(&'a str),
}

impl SysctlValue {
    /// Whether the kernel does what was asked for with this value, if it prints `is`. Of several numbers, the kernel
    /// leaves those alone that a value does not come to.
    pub fn is_kept_as(&self, key: &SysctlKey, is: &Self) -> bool {
        match (meaning(key, self.as_str()), meaning(key, is.as_str())) {
            (Meaning::List(asked), Meaning::List(is)) => is.starts_with(&asked) || is_rounded(key, &asked, &is),
            (asked, is) => asked == is,
        }
    }

    /// Whether one namespace can have a setting as both values say.
    pub fn agrees_with(&self, key: &SysctlKey, other: &Self) -> bool {
        self.is_kept_as(key, other) || other.is_kept_as(key, self)
    }

    /// Whether it switches something on: any number but zero does.
    pub fn is_on(&self) -> bool {
        self.as_str().split(' ').next().and_then(number).is_some_and(|(_, number)| number != 0)
    }
}

fn meaning<'a>(key: &SysctlKey, value: &'a str) -> Meaning<'a> {
    let special = match key.as_str() {
        "net.ipv4.ip_local_reserved_ports" | "net.ipv6.icmp.ratemask" => bits(value).map(Meaning::Bits),
        "net.core.rps_default_mask" | "net.core.flow_limit_cpu_bitmap" => mask(value).map(Meaning::Mask),
        "net.ipv4.tcp_fastopen_key" => keys(value).map(Meaning::Keys),
        secret if secret.ends_with(".stable_secret") => value.parse().ok().map(Meaning::Address),
        _ => None,
    };
    special.unwrap_or_else(|| Meaning::List(value.split(' ').map(entry).collect()))
}

/// Whether the kernel keeps a time in ticks, and prints what is left of it.
fn is_rounded(key: &SysctlKey, asked: &[Entry<'_>], is: &[Entry<'_>]) -> bool {
    match (sysctl_time::unit(key), asked, is) {
        (
            Some(unit),
            [Entry::Number { is_negative: false, of: asked }],
            [Entry::Number { is_negative: false, of: is }],
        ) => unit.is_rounded(*asked, *is),
        _ => false,
    }
}

fn entry(word: &str) -> Entry<'_> {
    number(word).map_or(Entry::Word(word), |(is_negative, of)| Entry::Number { is_negative, of })
}

/// A number as the kernel reads it (`proc_get_long`): whether it is negative, and how much it is without the sign.
fn number(word: &str) -> Option<(bool, u64)> {
    let (is_negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    // Of what Rust takes, the kernel does not take a second sign.
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let of = match digits.strip_prefix('0') {
        None | Some("") => digits.parse().ok()?,
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(hex) => u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'))?,
            None => u64::from_str_radix(rest, 8).ok().filter(|_| !rest.starts_with('+'))?,
        },
    };
    Some((is_negative && of != 0, of))
}

/// The bits of a list of numbers and ranges; a comma may come after the last.
fn bits(value: &str) -> Option<Vec<(u64, u64)>> {
    let bit = |word: &str| number(word).filter(|(is_negative, _)| !is_negative).map(|(_, of)| of);
    let range = |word: &str| match word.split_once('-') {
        Some((first, last)) => Some((bit(first)?, bit(last)?)).filter(|(first, last)| first <= last),
        None => bit(word).map(|bit| (bit, bit)),
    };
    let mut ranges: Vec<(u64, u64)> =
        value.strip_suffix(',').unwrap_or(value).split(',').map(range).collect::<Option<_>>()?;
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    Some(merged)
}

fn mask(value: &str) -> Option<String> {
    let digits = value.replace(',', "").to_ascii_lowercase();
    let is_mask = !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    is_mask.then(|| digits.trim_start_matches('0').to_owned())
}

fn keys(value: &str) -> Option<Vec<Vec<u32>>> {
    let part = |text: &str| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    let key = |text: &str| {
        let parts: Vec<u32> = text.trim().split('-').map(part).collect::<Option<_>>()?;
        (parts.len() == 4).then_some(parts)
    };
    value.split(',').map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key without `net.`, what is asked for, and what the kernel prints then.
    fn is_kept(key: &str, asked: &str, is: &str) -> bool {
        let (asked, is): (SysctlValue, SysctlValue) = (asked.parse().unwrap(), is.parse().unwrap());
        asked.is_kept_as(&format!("net.{key}").parse().unwrap(), &is)
    }

    #[test]
    fn what_the_kernel_prints_for_a_spelling_is_what_was_asked_for() {
        for (key, asked, is) in [
            ("ipv4.conf.all.arp_ignore", "0x403", "1027"),
            ("ipv4.conf.all.arp_ignore", "0X2", "2"),
            ("ipv4.conf.all.arp_ignore", "02", "2"),
            ("ipv4.conf.all.arp_ignore", "-0x1", "-1"),
            ("ipv4.conf.all.arp_ignore", "-0", "0"),
            ("ipv4.tcp_rmem", "4096 0x20000 06000000", "4096 131072 1572864"),
            ("ipv4.tcp_rmem", "5000", "5000 131072 600000"),
            ("ipv4.ip_local_port_range", "0x8000 60999", "32768 60999"),
            ("ipv4.ip_local_reserved_ports", "9148-9150,8080", "8080,9148-9150"),
            ("ipv4.ip_local_reserved_ports", "3,1,2", "1-3"),
            ("ipv4.ip_local_reserved_ports", "1-3,2-8,5-5,", "1-8"),
            ("ipv4.ip_local_reserved_ports", "0x10", "16"),
            ("ipv6.icmp.ratemask", "0,1,3-127", "0-1,3-127"),
            ("core.rps_default_mask", "0000000A", "a"),
            ("core.rps_default_mask", "ff,0000000A", "0ff,0000000a"),
            ("ipv4.tcp_fastopen_key", "0x1-2-AB-4, 5-6-7-8", "00000001-00000002-000000ab-00000004,5-6-7-8"),
            ("ipv6.conf.eth0.stable_secret", "2001:DB8::1", "2001:0db8:0000:0000:0000:0000:0000:0001"),
            ("ipv4.tcp_congestion_control", "reno", "reno"),
            // With 100, 250, 300 and 1000 ticks in a second.
            ("ipv4.neigh.eth0.retrans_time_ms", "1001", "1010"),
            ("ipv4.neigh.eth0.retrans_time_ms", "1001", "1004"),
            ("ipv4.neigh.eth0.retrans_time_ms", "1002", "1004"),
            ("ipv4.neigh.eth0.retrans_time_ms", "1001", "1001"),
            ("ipv6.neigh.eth0.base_reachable_time_ms", "0x3", "4"),
            ("ipv6.icmp.ratelimit", "1003", "1004"),
            ("ipv6.conf.eth0.mldv2_unsolicited_report_interval", "3", "4"),
            ("ipv4.neigh.eth0.locktime", "3", "2"),
            ("ipv4.neigh.eth0.locktime", "1", "0"),
        ] {
            assert!(is_kept(key, asked, is), "{key}: {asked} and {is}");
        }
    }

    #[test]
    fn what_means_something_else_is_not_what_was_asked_for() {
        for (key, asked, is) in [
            ("ipv4.conf.all.arp_ignore", "10", "8"),
            ("ipv4.conf.all.arp_ignore", "010", "10"),
            ("ipv4.conf.all.arp_ignore", "-1", "1"),
            ("ipv4.conf.all.arp_ignore", "2 3", "2"),
            ("ipv4.conf.all.arp_ignore", "08", "8"),
            ("ipv4.conf.all.arp_ignore", "0x+2", "2"),
            ("ipv4.conf.all.arp_ignore", "+2", "2"),
            ("ipv4.tcp_rmem", "4096 131072", "4096 131073 1572864"),
            ("ipv4.ip_local_reserved_ports", "1,3", "1-3"),
            ("ipv4.ip_local_reserved_ports", "1-3", "1-3,5"),
            ("core.rps_default_mask", "010", "8"),
            ("ipv4.tcp_fastopen_key", "10-0-0-0", "00000016-00000000-00000000-00000000"),
            ("ipv6.conf.eth0.stable_secret", "2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0002"),
            ("ipv4.tcp_congestion_control", "reno", "cubic"),
            ("ipv4.neigh.eth0.retrans_time_ms", "1001", "1000"),
            ("ipv4.neigh.eth0.retrans_time_ms", "1001", "1003"),
            ("ipv4.neigh.eth0.retrans_time_ms", "1001", "1008"),
            ("ipv4.neigh.eth0.retrans_time_ms", "-1", "4"),
            ("ipv4.neigh.eth0.gc_stale_time", "3", "4"),
            ("ipv4.neigh.eth0.locktime", "3", "4"),
            ("ipv4.tcp_keepalive_time", "1001", "1004"),
            ("ipv4.conf.eth0.igmpv2_unsolicited_report_interval", "1001", "1004"),
        ] {
            assert!(!is_kept(key, asked, is), "{key}: {asked} and {is}");
        }
    }

    #[test]
    fn only_zero_switches_off() {
        let is_on = |value: &str| value.parse::<SysctlValue>().unwrap().is_on();
        assert!(["1", "2", "-1", "0x1", "01"].into_iter().all(is_on));
        assert!(!["0", "00", "0x0", "-0", "off"].into_iter().any(is_on));
    }
}
