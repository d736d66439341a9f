//! A firewall of hundreds of chains, which is not listed again after nslab itself has changed it: what nslab then
//! believes to be there is what the kernel has, whatever was changed.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use support::{ends, lacking_for, replace_programs, run, sandbox};

const FILE: &str = "/run/many.yaml";

/// A lab with two hundred services, and some more; `last` is said of the pod behind these.
fn write(mode: &str, more: &str, last: &str) {
    let mut text = format!(
        "name: many\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  proxy_mode: {mode}\n  \
         nodes:\n    node1:\n      pods:\n        - {{ name: web, labels: {{ app: web }} }}\n        - {{ name: also, \
         labels: {{ app: web }} }}\n        - {{ name: last, labels: {{ app: last }}{last} }}\n  services:\n"
    );
    for n in 0..200 {
        writeln!(text, "    - {{ name: s{n}, selector: {{ app: web }}, ports: [{{ port: 80 }}] }}").unwrap();
    }
    fs::write(FILE, text + more).unwrap();
}

/// Applies what was written. Then a look at everything must find nothing to do.
fn applied() -> String {
    let said = ends(&["apply", "--verbose", FILE], 0);
    ends(&["plan", "--exit-code", FILE], 0);
    said
}

/// Adds services, changes and removes them; and somebody else changes the rules between two applies.
fn goes_through_changes(mode: &str, damage: &str) {
    sandbox();
    write(mode, "", "");
    if let Some(lacking) = lacking_for(Path::new(FILE)) {
        assert!(ends(&["apply", FILE], 3).contains(lacking.as_str()));
        return;
    }
    applied();
    let service = |name: &str, port: u16, more: &str| {
        format!("    - {{ name: {name}, selector: {{ app: last }}, ports: [{{ port: {port} }}]{more} }}\n")
    };
    write(mode, &service("s77-more", 80, ""), "");
    assert!(applied().contains("s77-more"));
    write(mode, &(service("s77-more", 81, ", type: NodePort") + &service("a", 80, ", sessionAffinity: ClientIP")), "");
    applied();
    write(mode, &service("s77-more", 81, ", type: NodePort"), ", ready: false");
    applied();
    run(damage);
    ends(&["plan", "--exit-code", FILE], 1);
    write(mode, &service("s77-more", 81, ""), "");
    applied();
    write(mode, "", "");
    applied();
    ends(&["destroy", FILE], 0);
}

#[test]
fn of_iptables_is_known_after_every_change() {
    goes_through_changes(
        "iptables",
        "ip netns exec node1 iptables -t nat -D KUBE-SERVICES 5
         ip netns exec node1 iptables -t nat -A KUBE-SERVICES -s 192.0.2.1 -j RETURN",
    );
}

/// Listing such a firewall takes half as long as loading it; the kernel counts its chains and rules in no time.
#[test]
fn what_was_just_loaded_is_not_listed() {
    sandbox();
    replace_programs(&["iptables-save"], "echo \"$0 $*\" >> /run/started; exec $real \"$@\"");
    write("iptables", "", "");
    if let Some(lacking) = lacking_for(Path::new(FILE)) {
        assert!(ends(&["apply", FILE], 3).contains(lacking.as_str()));
        return;
    }
    ends(&["apply", FILE], 0);
    assert_eq!(run("grep -vc -e --version /run/started || true").trim(), "", "it was listed");
    ends(&["plan", "--exit-code", FILE], 0);
    assert_eq!(run("grep -vc -e --version /run/started").trim(), "1", "nobody looks at it");
    ends(&["destroy", FILE], 0);
}

#[test]
fn of_nftables_is_known_after_every_change() {
    goes_through_changes(
        "nftables",
        "ip netns exec node1 nft add element ip kube-proxy cluster-ips { 192.0.2.1 }
         ip netns exec node1 nft add chain ip kube-proxy more",
    );
}
