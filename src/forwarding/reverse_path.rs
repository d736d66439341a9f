//! Whether a namespace believes the source of a packet (`rp_filter`, RFC 3704).

use std::net::IpAddr;

use super::{Flow, Outcome, Packet, Router};
use crate::lab::{IfName, Namespace, SysctlKey};

/// What a namespace holds against the source of a packet that came in: where the way to it leads out, and the source;
/// none: nothing. (`fib_validate_source` of the kernel; IPv6 has no such setting.)
pub fn reverse_path(router: &Router<'_>, came: &Flow) -> Option<(Option<IfName>, IpAddr)> {
    let (input, source) = (came.input.as_ref()?, came.source.filter(IpAddr::is_ipv4)?);
    let mode = rp_filter(router.namespace(), input);
    if mode == 0 {
        return None;
    }
    let back = Packet { mark: came.mark, ..Packet::to(source) };
    let out = match router.lookup(&back).outcome {
        // Of several ways, each is one.
        Outcome::Leaves { dev, route, .. } => {
            Some(if route.hops().any(|(_, dev)| dev == input) { input.clone() } else { dev })
        }
        Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => None,
    };
    let is_believed = match mode {
        1 => out.as_ref() == Some(input),
        _ => out.is_some(),
    };
    (!is_believed).then_some((out, source))
}

/// How strictly a namespace looks at what comes in through an interface: 0 not at all, 1 for the same interface, 2 for
/// any. The stricter one of the interface's own setting and that of all (`IN_DEV_RPFILTER`).
pub fn rp_filter(namespace: &Namespace, input: &IfName) -> u8 {
    let of = |name: &str| {
        let key: Option<SysctlKey> = format!("net.ipv4.conf.{name}.rp_filter").parse().ok();
        let value = key.and_then(|key| namespace.sysctls.get(&key)?.as_str().parse().ok());
        value.unwrap_or(0)
    };
    of("all").max(of(&input.as_str().replace('.', "/")))
}
