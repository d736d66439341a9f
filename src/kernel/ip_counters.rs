//! What a namespace counts of the packets that it could not handle (`/proc/net/snmp`, `netstat`, `snmp6`; RFC 4293).

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::os::fd::BorrowedFd;

use super::netns;

/// Counters by their names, as `nstat` prints them: `IpExtInNoRoutes`.
pub type IpCounters = BTreeMap<String, u64>;

/// The counters of a namespace; those that cannot be read are not there.
pub fn ip_counters(ns: BorrowedFd<'_>) -> IpCounters {
    let read = || {
        let mut counters = IpCounters::new();
        // `thread-self`: the process as a whole is in another namespace.
        for file in ["snmp", "netstat"] {
            let text = read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
            counters.extend(two_lines(&text));
        }
        counters.extend(one_line(&read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default()));
        counters
    };
    netns::run_in(ns, read).unwrap_or_default()
}

/// Pairs of lines: names, and under them values.
fn two_lines(text: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (mut names, mut values) = (names.split_whitespace(), values.split_whitespace());
        let Some(group) = names.next().and_then(|group| group.strip_suffix(':')) else { continue };
        values.next();
        let pairs = names.zip(values).filter_map(|(name, value)| Some((format!("{group}{name}"), value.parse().ok()?)));
        found.extend(pairs);
    }
    found
}

/// A name and a value on each line.
fn one_line(text: &str) -> Vec<(String, u64)> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_above_values_or_beside_them() {
        let snmp = "Ip: Forwarding InHdrErrors\nIp: 1 3\nTcp: MaxConn\nTcp: -1\n";
        let expected = [("IpForwarding", 1), ("IpInHdrErrors", 3)].map(|(name, value)| (name.to_owned(), value));
        assert_eq!(two_lines(snmp), expected);
        assert_eq!(one_line("Ip6InNoRoutes\t\t7\nodd"), [("Ip6InNoRoutes".to_owned(), 7)]);
    }
}
