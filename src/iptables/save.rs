//! All that `iptables-save` prints, as a firewall.

use super::read;
use crate::lab::{ChainId, Family, ObservedFirewall, Policy, Table};

/// The firewall that `iptables-save` or `ip6tables-save` prints; tables that nslab does not use are passed over.
///
/// The format (iptables-save(8)): `*TABLE`, then `:CHAIN POLICY [PACKETS:BYTES]` for each chain, then
/// `-A CHAIN RULE` for each rule, then `COMMIT`; lines that begin with `#` are comments.
pub fn read_saved(family: Family, saved: &str) -> ObservedFirewall {
    let mut firewall = ObservedFirewall::default();
    let mut table = None;
    let id = |table: Option<Table>, name: &str| Some(ChainId { family, table: table?, chain: name.parse().ok()? });
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = Table::from_name(name);
        } else if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            if let Some(id) = id(table, words.next().unwrap_or_default()) {
                let policy = match words.next() {
                    Some("ACCEPT") => Some(Policy::Accept),
                    Some("DROP") => Some(Policy::Drop),
                    // Chains made by a user have none.
                    _ => None,
                };
                firewall.policies.extend(policy.map(|policy| (id.clone(), policy)));
                firewall.chains.entry(id).or_default();
            }
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (name, rule) = rule.split_once(' ').unwrap_or((rule, ""));
            if let Some(id) = id(table, name) {
                firewall.chains.entry(id).or_default().push(read(family, rule));
            }
        }
    }
    firewall
}
