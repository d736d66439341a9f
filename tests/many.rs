//! Labs with so many namespaces that several threads work on them.

mod support;

use std::fs;

use support::{host_account, nslab, run, sh, text};

/// Writes a lab of namespaces that are plugged into a bridge in the host.
fn lab(count: usize) -> &'static str {
    let text = format!(
        "name: many\nnamespaces:\n  host: {{ bridges: {{ br-many: {{ ports: [\"p{{1..{count}}}\"] }} }} }}\n  \
         \"h{{1..{count}}}\": {{ interfaces: {{ eth0: {{}} }} }}\n\
         links:\n  - [\"h{{1..{count}}}/eth0\", \"host/p{{n}}\"]\n"
    );
    fs::write("/run/many.yaml", text).unwrap();
    "/run/many.yaml"
}

#[test]
fn a_bridge_with_hundreds_of_ports_goes_first_and_nothing_stays() {
    support::sandbox();
    let before = host_account();
    let file = lab(260);
    let applied = nslab(["apply", file]);
    assert!(applied.status.success(), "{}", text(&applied));
    assert_eq!(run("bridge link | wc -l").trim(), "260");
    let destroyed = text(&nslab(["destroy", "--verbose", "many"]));
    let at = |what: &str| destroyed.find(what).unwrap_or_else(|| panic!("no `{what}` in {destroyed}"));
    assert!(at("br-many") < at("namespace h1 "), "{destroyed}");
    before.assert_same(&host_account(), "after the removal");
}

#[test]
fn where_one_of_many_namespaces_cannot_be_made_none_is_left() {
    support::sandbox();
    let before = host_account();
    let file = lab(40);
    let binary = env!("CARGO_BIN_EXE_nslab");
    // The points before the first namespace are few; each namespace passes several.
    for point in [20, 45, 90, 120] {
        let failed = sh(&format!("NSLAB_STOP_AT=fail:{point} {binary} apply {file}"));
        assert_eq!(failed.status.code(), Some(3), "point {point}: {}", text(&failed));
        assert!(text(&failed).contains("make namespace h"), "point {point}: {}", text(&failed));
        assert_eq!(run("ls /run/netns"), "", "point {point}");
        before.assert_same(&host_account(), &format!("after a failure at point {point}"));
    }
}
