//! The `cluster` shorthand: that it means the plain lab it stands for, and that nobody's address depends on others.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use nslab::lab::{Lab, Namespace};
use nslab::topology;
use serde_json::Value;
use support::project;

fn lab(file: &str) -> Lab {
    topology::load(&project(file)).unwrap_or_else(|error| panic!("{error}")).lab
}

/// A lab as data, without its name, its text and the lines of its file.
fn meaning(file: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| key != "owner" && key != "line");
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut lab = serde_json::to_value(lab(file)).expect("JSON");
    strip(&mut lab);
    let lab = lab.as_object_mut().expect("an object");
    lab.retain(|key, _| key == "namespaces" || key == "checks");
    Value::Object(lab.clone())
}

#[test]
fn shorthand_means_the_lab_that_is_written_out() {
    let pairs = [
        ("topologies/06-pods.yaml", "topologies/06-pods-plain.yaml"),
        ("topologies/07-router.yaml", "tests/cluster/router-plain.yaml"),
    ];
    for (short, plain) in pairs {
        let (short, plain) = (meaning(short), meaning(plain));
        assert!(short["namespaces"].as_object().is_some_and(|all| all.len() >= 10), "{short}");
        assert_eq!(short, plain);
    }
}

/// What a namespace is to others: its addresses, its interfaces' names, its gateway.
fn identity(namespace: &Namespace) -> String {
    let links = namespace.interfaces.iter().map(|(name, link)| format!("{name} {:?}", link.addresses));
    let own = links.filter(|link| !link.contains("veth-")).collect::<Vec<_>>().join(", ");
    let default = namespace.routes.iter().filter(|route| route.to.prefix_len() == 0);
    format!("{own}; {:?}", default.map(|route| route.via).collect::<Vec<_>>())
}

/// In each file of `tests/cluster/stable`, what stands in all of its documents keeps its identity.
#[test]
fn nobody_moves_when_others_come_and_go() {
    let mut compared = 0;
    for entry in std::fs::read_dir(project("tests/cluster/stable")).expect("cases") {
        let path = entry.expect("a case").path();
        let text = std::fs::read_to_string(&path).expect("the case");
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let variants: Vec<&str> = text.split("---\n").collect();
        assert!(variants.len() > 1, "{} has nothing to compare", path.display());
        for variant in variants {
            let lab = topology::parse(&file_name(&path), variant).unwrap_or_else(|faults| panic!("{faults}")).lab;
            for (name, namespace) in lab.namespaces.iter().filter(|(name, _)| name.as_str() != "lan") {
                let now = identity(namespace);
                let before = known.entry(name.to_string()).or_insert_with(|| now.clone());
                assert_eq!(*before, now, "{name} in {}:\n{variant}", path.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "only {compared} were compared");
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}
