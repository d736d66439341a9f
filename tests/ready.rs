//! Applied means ready: every port of a bridge forwards when `apply` returns.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use support::{nslab, run, sandbox, text};

/// The kernel handles events of interfaces a hundred at a time: with so many ports, some would come a second later.
const LAB: &str = "name: many
namespaces:
  lan: { bridges: { br: { ports: [\"p{1..300}\"] } } }
  h{1..300}: {}
links:
  - [\"h{1..300}/e\", \"lan/p{n}\"]
";

#[test]
fn every_port_forwards_when_apply_returns() {
    sandbox();
    std::fs::write("/run/many.yaml", LAB).unwrap();
    for round in 1..=3 {
        let applied = nslab(["apply", "/run/many.yaml"]);
        assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
        let states = run("ip netns exec lan bridge -j link");
        let states: serde_json::Value = serde_json::from_str(&states).unwrap();
        let states = states.as_array().unwrap();
        let late: Vec<_> = states.iter().filter(|port| port["state"] != "forwarding").collect();
        assert_eq!((states.len(), late.len()), (300, 0), "round {round}: {late:?}");
        assert_eq!(nslab(["destroy", "many"]).status.code(), Some(0));
    }
}

#[test]
fn a_port_without_a_carrier_is_not_waited_for() {
    sandbox();
    let lab = "name: dark\nnamespaces:\n  lan: { bridges: { br: { ports: [p] } } }\n  \
               red: { interfaces: { e: { up: false } } }\n\
               links: [[red/e, lan/p]]\n";
    std::fs::write("/run/dark.yaml", lab).unwrap();
    let applied = nslab(["apply", "/run/dark.yaml"]);
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
    // Whoever waits says so after a second.
    assert!(!text(&applied).contains("forward"), "{}", text(&applied));
}

/// In a tree, the kernel shows the root's delay, and ages entries faster while the tree changes.
#[test]
fn what_a_spanning_tree_changes_by_itself_is_no_drift() {
    sandbox();
    let lab = "name: tree
namespaces:
  r1: { bridges: { br0: { stp: true, forward_delay: 2s, mac: 02:00:00:00:00:01, ports: [p] } } }
  r2: { bridges: { br0: { stp: true, forward_delay: 20s, mac: 02:00:00:00:00:02, ports: [p], ageing_time: 60s } } }
links: [[r1/p, r2/p]]
";
    std::fs::write("/run/tree.yaml", lab).unwrap();
    let applied = nslab(["apply", "/run/tree.yaml"]);
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
    // The lowest MAC address is the root. Until the other bridge has its delay, and both shorten their ageing time.
    let changed = "for i in $(seq 200); do for r in r1 r2; do ip -d -n $r link show br0; done | \
                   grep -c 'topology_change 1' | grep -q 2 && exit; sleep 0.1; done; exit 1";
    run(changed);
    let plan = nslab(["plan", "--exit-code", "/run/tree.yaml"]);
    assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    let again = nslab(["apply", "/run/tree.yaml"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
}
