//! All that `iptables-save` prints, as a firewall.

use std::collections::BTreeSet;

use super::{read, restore_line, shell_line};
use crate::lab::{ChainId, CountedFirewall, CountedRule, Counters, Family, ObservedFirewall, Policy, Table};

/// The firewall that `iptables-save` or `ip6tables-save` prints; tables that nslab does not use are passed over.
pub fn read_saved(family: Family, saved: &str) -> ObservedFirewall {
    let mut firewall = ObservedFirewall::default();
    for line in lines(family, saved) {
        match line {
            Line::Chain { id, policy, .. } => {
                firewall.policies.extend(policy.map(|policy| (id.clone(), policy)));
                firewall.chains.entry(id).or_default();
            }
            Line::Rule { id, rule, .. } => firewall.chains.entry(id).or_default().push(read(family, rule)),
        }
    }
    firewall
}

/// The same with counters, which they print with `-c`.
pub fn read_counted(family: Family, saved: &str) -> CountedFirewall {
    let mut firewall = CountedFirewall::new();
    for line in lines(family, saved) {
        match line {
            Line::Chain { id, policy, counters } => {
                let chain = firewall.entry(id).or_default();
                (chain.policy, chain.counters) = (policy, counters);
            }
            Line::Rule { id, rule, counters } => {
                let text = shell_line(&read(family, rule));
                firewall.entry(id).or_default().rules.push(CountedRule { text, counters });
            }
        }
    }
    firewall
}

/// A line about one of the tables that nslab uses.
enum Line<'a> {
    Chain { id: ChainId, policy: Option<Policy>, counters: Counters },
    Rule { id: ChainId, rule: &'a str, counters: Counters },
}

/// The format (iptables-save(8)): `*TABLE`, then `:CHAIN POLICY [PACKETS:BYTES]` for each chain, then `-A CHAIN RULE`
/// for each rule, with `-c` behind `[PACKETS:BYTES]`, then `COMMIT`; lines that begin with `#` are comments.
fn lines(family: Family, saved: &str) -> impl Iterator<Item = Line<'_>> {
    let mut table = None;
    saved.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('*') {
            table = Table::from_name(name);
            return None;
        }
        let id = |name: &str| Some(ChainId { family, table: table?, chain: name.parse().ok()? });
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let id = id(words.next()?)?;
            let policy = match words.next() {
                Some("ACCEPT") => Some(Policy::Accept),
                Some("DROP") => Some(Policy::Drop),
                // Chains made by a user have none.
                _ => None,
            };
            return Some(Line::Chain { id, policy, counters: words.next().and_then(counters).unwrap_or_default() });
        }
        let (counted, rule) = match line.split_once(' ') {
            Some((first, rest)) if first.starts_with('[') => (counters(first), rest),
            _ => (None, line),
        };
        let rule = rule.strip_prefix("-A ")?;
        let (name, rule) = rule.split_once(' ').unwrap_or((rule, ""));
        Some(Line::Rule { id: id(name)?, rule, counters: counted.unwrap_or_default() })
    })
}

/// `[PACKETS:BYTES]`
fn counters(text: &str) -> Option<Counters> {
    let (packets, bytes) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some(Counters { packets: packets.parse().ok()?, bytes: bytes.parse().ok()? })
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

/// The chains of labs that a text of `iptables-save` has: of each its name, and that from which `iptables-restore
/// --noflush` makes it again, with the rules that lead to it.
pub fn chains_of_labs(family: Family, saved: &str) -> Vec<(ChainId, String)> {
    let firewall = read_saved(family, saved);
    let own = firewall.chains.iter().filter(|(id, _)| id.owner().is_some());
    own.map(|(id, _)| (id.clone(), put_back(&firewall, id))).collect()
}

fn put_back(firewall: &ObservedFirewall, id: &ChainId) -> String {
    let mut text = format!("*{}\n:{} - [0:0]\n", id.table.name(), id.chain);
    let of_table = firewall.chains.iter().filter(|(other, _)| (other.family, other.table) == (id.family, id.table));
    for (chain, rules) in of_table {
        for (position, rule) in (1..).zip(rules) {
            let line = restore_line(rule);
            if chain == id {
                text.push_str(&format!("-A {} {line}\n", chain.chain));
            } else if rule.leads_to() == Some(&id.chain) {
                text.push_str(&format!("-I {} {position} {line}\n", chain.chain));
            }
        }
    }
    text + "COMMIT\n"
}

/// What removes again with `iptables-restore --noflush` what a text of [`chains_of_labs`] makes.
pub fn chain_removal(put_back: &str) -> String {
    let chain = put_back.lines().find_map(|line| line.strip_prefix(':')?.split(' ').next()).unwrap_or_default();
    let table = put_back.lines().next().unwrap_or_default();
    let mut text = format!("{table}\n");
    for line in put_back.lines().filter_map(|line| line.strip_prefix("-I ")) {
        let mut words = line.splitn(3, ' ');
        if let (Some(from), Some(_), Some(rule)) = (words.next(), words.next(), words.next()) {
            text.push_str(&format!("-D {from} {rule}\n"));
        }
    }
    text + &format!("-F {chain}\n-X {chain}\nCOMMIT\n")
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
    fn counters_are_read_with_their_rules() {
        let saved = "*nat\n:POSTROUTING ACCEPT [3:252]\n:MINE - [0:0]\n[12:1008] -A POSTROUTING -s 10.0.0.0/24 -j \
                     MASQUERADE\n[0:0] -A MINE -m comment --comment \"a b\" -j ACCEPT\nCOMMIT\n*raw\n:OUTPUT ACCEPT \
                     [9:9]\nCOMMIT\n";
        let firewall = read_counted(Family::Ipv4, saved);
        let id = |chain: &str| ChainId { family: Family::Ipv4, table: Table::Nat, chain: chain.parse().expect("name") };
        let (post, mine) = (&firewall[&id("POSTROUTING")], &firewall[&id("MINE")]);
        assert_eq!(firewall.len(), 2);
        assert_eq!((post.policy, post.counters), (Some(Policy::Accept), Counters { packets: 3, bytes: 252 }));
        assert_eq!(post.rules[0].counters, Counters { packets: 12, bytes: 1008 });
        assert_eq!(post.rules[0].text, "-s 10.0.0.0/24 -j MASQUERADE");
        assert_eq!((mine.policy, mine.rules[0].text.as_str()), (None, "-m comment --comment 'a b' -j ACCEPT"));
        assert_eq!(
            read_saved(Family::Ipv4, saved).chains.keys().collect::<Vec<_>>(),
            firewall.keys().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_table_that_is_not_shown_is_named() {
        let saved = "*nat\nCOMMIT\n# Table `filter' is incompatible, use 'nft' tool.\n";
        assert_eq!(unshown_tables(saved), [Table::Filter].into());
        let saved = "# Table `nat' contains incompatible base-chains, use 'nft' tool to list them.\n*nat\nCOMMIT\n";
        assert_eq!(unshown_tables(saved), [Table::Nat].into());
    }
}
