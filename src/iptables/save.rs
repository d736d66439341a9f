//! All that `iptables-save` prints, as a firewall.

use std::collections::BTreeSet;

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

/// The tables of which `iptables-nft-save` says that it cannot show all of them, as something is in there that iptables
/// has not made.
pub fn unshown_tables(saved: &str) -> BTreeSet<Table> {
    let name = |line: &str| match line.strip_prefix("# Table `")?.split_once("' ")? {
        (name, rest) if rest.starts_with("is incompatible") || rest.contains("incompatible base-chains") => {
            Table::from_name(name)
        }
        _ => None,
    };
    saved.lines().filter_map(name).collect()
}

/// What `iptables-save` says of each table that does anything, by the table's name; what is empty accepts everything.
pub fn tables_in_use(saved: &str) -> Vec<(String, String)> {
    let mut tables = Vec::new();
    let mut table: Option<(String, String)> = None;
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = Some((name.to_owned(), String::new()));
        }
        if let Some((_, section)) = &mut table {
            section.push_str(line);
            section.push('\n');
        }
        if line == "COMMIT"
            && let Some((name, section)) = table.take()
            && section.lines().any(does_anything)
        {
            tables.push((name, section));
        }
    }
    tables
}

/// Whether a line of `iptables-save` is a rule, a chain that somebody made, or a policy other than to accept.
fn does_anything(line: &str) -> bool {
    let policy = line.strip_prefix(':').map(|chain| chain.split(' ').nth(1));
    line.starts_with('-') || line.starts_with('[') || policy.is_some_and(|policy| policy != Some("ACCEPT"))
}

/// What `iptables-restore` makes a table empty with: its built-in chains, with policies that accept everything.
pub fn emptied_table(section: &str) -> String {
    let line = |line: &str| match line.strip_prefix(':').map(|chain| chain.split(' ')) {
        Some(mut words) => {
            let (name, policy) = (words.next()?, words.next()?);
            (policy != "-").then(|| format!(":{name} ACCEPT [0:0]\n"))
        }
        None => (line.starts_with('*') || line == "COMMIT").then(|| format!("{line}\n")),
    };
    section.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "# Generated\n*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT DROP [1:2]\n:MINE - [0:0]\n\
                         -A OUTPUT -j MINE\nCOMMIT\n*mangle\n:INPUT ACCEPT [0:0]\nCOMMIT\n# Completed\n";

    #[test]
    fn a_table_is_in_use_with_a_rule_a_chain_or_a_policy() {
        let tables = tables_in_use(SAVED);
        assert_eq!(tables.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["raw"]);
        let emptied = emptied_table(&tables[0].1);
        assert_eq!(emptied, "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");
        assert_eq!(tables_in_use(&emptied), []);
    }

    #[test]
    fn a_table_that_is_not_shown_is_named() {
        let saved = "*nat\nCOMMIT\n# Table `filter' is incompatible, use 'nft' tool.\n";
        assert_eq!(unshown_tables(saved), [Table::Filter].into());
        let saved = "# Table `nat' contains incompatible base-chains, use 'nft' tool to list them.\n*nat\nCOMMIT\n";
        assert_eq!(unshown_tables(saved), [Table::Nat].into());
    }
}
