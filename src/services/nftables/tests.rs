//! The table of a node, line by line, as `nft` would add it: `tests/services/nftables-NAME.expected`, one for each case
//! of the iptables mode.

use super::super::tests::{cases, compare_text};
use super::table;
use crate::lab::{NftElement, NftTable, comment_text};

fn text(name: &str, table: &NftTable) -> String {
    let mut lines = Vec::new();
    for (set, own) in &table.sets {
        lines.push(format!("add {} {name} {set} {{ {} }}", own.definition.word(), own.definition));
        let element =
            |(key, element): (_, &NftElement)| format!("add element {name} {set} {{ {} }}", element.text(key));
        lines.extend(own.elements.iter().map(element));
    }
    for (chain, own) in &table.chains {
        let comment = own.comment.as_ref().map(|comment| format!("{};", comment_text(comment)));
        let words: Vec<String> = own.base.iter().map(ToString::to_string).chain(comment).collect();
        let base = if words.is_empty() { String::new() } else { format!(" {{ {} }}", words.join(" ")) };
        lines.push(format!("add chain {name} {chain}{base}"));
        lines.extend(own.rules.iter().map(|rule| format!("add rule {name} {chain} {rule}")));
    }
    lines.join("\n") + "\n"
}

#[test]
fn tables_are_those_of_kube_proxy() {
    for (case, node, ports) in cases() {
        let (id, table) = table(&node, &ports.iter().collect::<Vec<_>>());
        compare_text(&format!("nftables-{case}"), &text(&id.to_string(), &table));
    }
}
