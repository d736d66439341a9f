//! The table of a node, line by line, as `nft` would add it: `tests/services/nftables-NAME.expected`, one for each case
//! of the iptables mode.

use super::super::tests::{cases, compare_text};
use super::table;
use crate::lab::{NftElement, NftTable};

fn text(name: &str, table: &NftTable) -> String {
    let mut lines = Vec::new();
    for (set, own) in &table.sets {
        lines.push(format!("add {} {name} {set} {{ {} }}", own.definition.word(), own.definition));
        let element =
            |(key, element): (_, &NftElement)| format!("add element {name} {set} {{ {} }}", element.text(key));
        lines.extend(own.elements.iter().map(element));
    }
    for (chain, own) in &table.chains {
        let base = own.base.as_ref().map(|base| format!(" {{ {base} }}")).unwrap_or_default();
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
