//! Kinds of interfaces: each file in `tests/kinds` is a lab with the kinds that make up the file's name (`filtering`
//! are bridges that keep VLANs apart). A kernel that has them builds and proves the lab, by nslab and by its script;
//! one that lacks any says so before anything is made.

mod support;

use nslab::lab::VirtualKind;
use support::{golden, host_account, lacking, nslab, run, sandbox, sh, text};

#[test]
fn each_kind_works_or_is_refused_at_once() {
    golden::run("tests/kinds", &golden::part(golden::files("tests/kinds", "yaml")), |kind, file| {
        works_or_is_refused(kind, &file.display().to_string());
        Ok(())
    });
}

/// The compiler asks for a line here when there is a further kind, and the test for its file.
#[test]
fn every_kind_has_a_case() {
    let mut missing: Vec<&str> = Vec::new();
    let mut next = Some(VirtualKind::Vxlan);
    while let Some(kind) = next {
        let name;
        (name, next) = match kind {
            VirtualKind::Vxlan => ("vxlan", Some(VirtualKind::Macvlan)),
            VirtualKind::Macvlan => ("macvlan", Some(VirtualKind::Ipvlan)),
            VirtualKind::Ipvlan => ("ipvlan", Some(VirtualKind::Vlan)),
            VirtualKind::Vlan => ("vlan", Some(VirtualKind::Ipip)),
            VirtualKind::Ipip => ("ipip", Some(VirtualKind::Gre)),
            VirtualKind::Gre => ("gre", Some(VirtualKind::Dummy)),
            VirtualKind::Dummy => ("dummy", Some(VirtualKind::Vrf)),
            VirtualKind::Vrf => ("vrf", None),
        };
        if !golden::files("tests/kinds", "yaml").iter().any(|(case, _)| case == name) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "tests/kinds has no file for {missing:?}");
}

fn works_or_is_refused(kind: &str, file: &str) {
    sandbox();
    let lacking: Vec<String> = kind.split('+').filter_map(lacking).collect();
    let before = host_account();
    let applied = nslab(["apply", "--check", file]);
    let said = text(&applied);
    if !lacking.is_empty() {
        assert_eq!(applied.status.code(), Some(3), "{kind}: {said}");
        let doctor = text(&nslab(["doctor", file]));
        for what in lacking {
            assert!(said.contains(&what) && said.contains("use a kernel"), "{kind}: {said}");
            assert!(doctor.contains(&what), "{kind}: {doctor}");
        }
    } else {
        assert_eq!(applied.status.code(), Some(0), "{kind}: {said}");
        assert_eq!(nslab(["plan", "--exit-code", file]).status.code(), Some(0), "{kind}");
        assert_eq!(nslab(["destroy", "kind"]).status.code(), Some(0), "{kind}");
        before.assert_same(&host_account(), kind);
        run(&format!("{} commands {file} | sh", env!("CARGO_BIN_EXE_nslab")));
        let planned = nslab(["plan", "--exit-code", file]);
        assert_eq!(planned.status.code(), Some(0), "{kind}, by its script: {}", text(&planned));
        assert_eq!(nslab(["check", file]).status.code(), Some(0), "{kind}, by its script");
        run(&format!("{} commands --undo {file} | sh", env!("CARGO_BIN_EXE_nslab")));
    }
    before.assert_same(&host_account(), kind);
}

/// With the first VRF of a namespace, the kernel gives it this rule, once and for all; `ip` can make it as well.
#[test]
fn the_rule_of_vrfs_is_the_kernels_and_others_like_it_are_extras() {
    sandbox();
    let file = "/run/rule.yaml";
    std::fs::write(file, "name: kind\nnamespaces: { red: {} }\n").unwrap();
    let planned = || text(&nslab(["plan", file]));
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    let tried = sh("ip -n red rule add pref 1000 l3mdev");
    if !tried.status.success() {
        assert!(text(&tried).contains("not supported"), "{}", text(&tried));
        return;
    }
    assert!(planned().contains("nothing to do"), "{}", planned());
    run("ip -n red rule add pref 1001 l3mdev; ip -n red rule add pref 1000 from 10.0.0.0/8 l3mdev");
    for extra in ["priority 1000 from 10.0.0.0/8 l3mdev", "priority 1001 from all l3mdev"] {
        assert!(planned().contains(&format!("remove policy rule {extra} from red")), "{}", planned());
    }
    assert_eq!(nslab(["apply", file]).status.code(), Some(0));
    assert!(planned().contains("nothing to do"), "{}", planned());
    assert!(run("ip -n red rule show pref 1000").contains("1000:\tfrom all lookup [l3mdev-table]"));
}
