//! What a node has for services of every type, as the kernel's own programs print it: `every-type.iptables`
//! (`iptables-save`) and `every-type.nft` (`nft list ruleset`), from `every-type.yaml`. `BLESS=1` writes them anew.
//! They are loaded beside the node and printed again, so that they hold for any version of the programs.

use std::fs;

use super::support::{ends, project, run, sandbox};
use super::{nftables, rules};

/// What a program prints in a namespace, without its remarks.
fn printed(ns: &str, program: &str) -> String {
    let printed = run(&format!("ip netns exec {ns} {program}"));
    printed.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

/// Applies the topology in a mode; the node is left with what a program prints, which is compared with the file of an
/// extension as it is loaded and printed again.
fn compare(mode: &str, (extension, print, load): (&str, &str, &str), account: impl Fn(&str) -> Vec<String>) {
    sandbox();
    let topology = fs::read_to_string(project("tests/services/every-type.yaml")).unwrap();
    fs::write("/run/svc.yaml", topology.replace("proxy_mode: iptables", &format!("proxy_mode: {mode}"))).unwrap();
    ends(&["apply", "--check", "/run/svc.yaml"], 0);
    ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
    // What clients have left in sets is no rule.
    let expected = project(format!("tests/services/every-type.{extension}"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&expected, printed("node1", print)).unwrap();
    }
    run(&format!("ip netns add expected; ip netns exec expected {load} {}", expected.display()));
    assert_eq!(account("node1"), account("expected"), "{}; BLESS=1 writes it anew", expected.display());
    run("ip netns del expected");
    ends(&["destroy", "svc"], 0);
}

#[test]
fn a_node_has_the_rules_of_every_type() {
    let account = |ns: &str| rules(&printed(ns, "iptables-save"));
    compare("iptables", ("iptables", "iptables-save", "iptables-restore"), account);
}

#[test]
fn a_node_has_the_table_of_every_type() {
    compare("nftables", ("nft", "nft list ruleset", "nft -f"), nftables::account);
}

/// The services of the worked example have the same rules beside others.
#[test]
fn the_worked_example_is_in_it() {
    let read = |name: &str| rules(&fs::read_to_string(project(format!("tests/services/{name}"))).unwrap());
    let all = read("every-type.iptables");
    let missing: Vec<String> = read("worked-example.expected").into_iter().filter(|rule| !all.contains(rule)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
