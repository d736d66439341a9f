//! What resolv.conf(5) and hosts(5) say about a name: whom to ask, for which names in which order, and which addresses
//! need no question. As the C library does it; pure functions.

use std::net::{IpAddr, Ipv4Addr};

use crate::lab::Family;

/// The files of a namespace that say how names are resolved in it, with their texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolverFiles {
    /// `/etc/hosts`
    pub hosts: String,
    /// `/etc/resolv.conf`
    pub resolv_conf: String,
}

/// So many name servers are asked (`MAXNS` in resolv.h).
const MOST_SERVERS: usize = 3;
/// The most that `ndots` and `attempts` can be (`RES_MAXNDOTS` and `RES_MAXRETRY`).
const MOST_DOTS: usize = 15;
const MOST_ATTEMPTS: usize = 5;

/// What resolv.conf(5) says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolver {
    pub servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
    pub attempts: usize,
}

impl Resolver {
    /// From the text of the file: of several lines `search` and `domain`, the last one counts.
    pub(super) fn of(text: &str) -> Self {
        let mut own = Self { servers: Vec::new(), search: Vec::new(), ndots: 1, attempts: 2 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => own.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                Some("search") => own.search = words.map(str::to_owned).collect(),
                Some("domain") => own.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| own.take(word)),
                Some(_) | None => {}
            }
        }
        own.servers.truncate(MOST_SERVERS);
        if own.servers.is_empty() {
            own.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        own
    }

    fn take(&mut self, option: &str) {
        let number = |name: &str| option.strip_prefix(name)?.parse::<usize>().ok();
        if let Some(ndots) = number("ndots:") {
            self.ndots = ndots.min(MOST_DOTS);
        }
        if let Some(attempts) = number("attempts:") {
            self.attempts = attempts.clamp(1, MOST_ATTEMPTS);
        }
    }

    /// The whole names that are asked for in turn: one with a dot at its end as it is; one with as many dots as `ndots`
    /// says, or more, first as it is, then below the domains that are searched; any other the other way round.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let below = self.search.iter().map(|domain| match domain.trim_end_matches('.') {
            "" => name.to_owned(),
            domain => format!("{name}.{domain}"),
        });
        let alone = [name.to_owned()];
        let has_dots = name.matches('.').count() >= self.ndots;
        if has_dots { alone.into_iter().chain(below).collect() } else { below.chain(alone).collect() }
    }
}

/// The address that a hosts file has for a name: of a family, or else of IPv4 if there is one.
pub(super) fn in_hosts(text: &str, name: &str, family: Option<Family>) -> Option<IpAddr> {
    let name = name.trim_end_matches('.');
    let addresses: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let address = words.next()?.parse::<IpAddr>().ok()?;
            words.any(|own| own.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect();
    let of = |family| addresses.iter().copied().find(|address| Family::of(*address) == family);
    match family {
        Some(family) => of(family),
        None => of(Family::Ipv4).or_else(|| of(Family::Ipv6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_in_the_order_of_ndots_and_search() {
        let text = "# x\nnameserver 10.96.0.10\nnameserver fe80::1%eth0\nsearch a.b. c\noptions ndots:2 attempts:9 x\n";
        let resolver = Resolver::of(text);
        assert_eq!((resolver.servers.len(), resolver.attempts), (1, 5));
        assert_eq!(resolver.candidates("web"), ["web.a.b", "web.c", "web"]);
        assert_eq!(resolver.candidates("web.x"), ["web.x.a.b", "web.x.c", "web.x"]);
        assert_eq!(resolver.candidates("web.x.y"), ["web.x.y", "web.x.y.a.b", "web.x.y.c"]);
        assert_eq!(resolver.candidates("web.x."), ["web.x"]);
        let plain = Resolver::of("domain lab\n");
        assert_eq!(plain.servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!(plain.candidates("web"), ["web.lab", "web"]);
        assert_eq!(plain.candidates("a.b"), ["a.b", "a.b.lab"]);
    }

    #[test]
    fn a_hosts_file_is_read() {
        let text = "fd00::1 web\n10.0.0.1 web.lab WEB # not this: other\n10.0.0.2 web\nbad web\n";
        let address = |text: &str| text.parse::<IpAddr>().ok();
        assert_eq!(in_hosts(text, "web", None), address("10.0.0.1"));
        assert_eq!(in_hosts(text, "web.", Some(Family::Ipv6)), address("fd00::1"));
        assert_eq!(in_hosts(text, "web.lab", Some(Family::Ipv6)), None);
        assert_eq!(in_hosts(text, "other", None), None);
    }
}
