//! What surprises whoever meets services for the first time, each shown by a check: `tests/surprises/both` has what is
//! alike in both modes of kube-proxy, `iptables` and `nftables` have what is one mode's own. docs/topology.md has the
//! list.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;

use support::{golden, nslab, sandbox, text};

/// Tests a topology in a sandbox.
fn holds(written: &str) -> Result<(), String> {
    sandbox();
    fs::write("/run/surprises.yaml", written).unwrap();
    for args in [&["apply", "--check"][..], &["plan", "--exit-code"]] {
        let output = nslab(args.iter().chain(&["/run/surprises.yaml"]));
        if !output.status.success() {
            return Err(format!("{args:?}: {}", text(&output)));
        }
    }
    Ok(())
}

#[test]
fn what_is_alike_in_both_modes() {
    let of = "tests/surprises/both";
    golden::run(of, &golden::files(of, "yaml"), |_, file| {
        let written = fs::read_to_string(file).unwrap();
        assert!(written.contains("mode: iptables"), "no mode to change");
        let nftables = written.replace("mode: iptables", "mode: nftables");
        holds(&written).and_then(|()| holds(&nftables).map_err(|why| format!("nftables: {why}")))
    });
}

#[test]
fn what_is_one_modes_own() {
    for of in ["tests/surprises/iptables", "tests/surprises/nftables"] {
        golden::run(of, &golden::files(of, "yaml"), |_, file| holds(&fs::read_to_string(file).unwrap()));
    }
}
