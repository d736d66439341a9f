//! Manifests of Kubernetes: where their pods are placed, that a lab stays whole without them, and that hostile ones do
//! no harm. What they mean, and the faults in them, are cases of `tests/topology.rs`.

#![allow(clippy::expect_used, clippy::panic)] // A test that cannot go on says so by panicking.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use nslab::topology::{self, Topology};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::{ends, nslab, run, sandbox, text};

/// A folder of its own for a test, which ends with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nslab-manifests-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file");
    }

    /// Reads a cluster of nodes with manifests.
    fn parse(&self, nodes: &str, manifests: &str) -> Result<Topology, String> {
        let text = format!(
            "name: a\ncluster:\n  node_network: 192.168.0.0/16\n  pod_network: 10.0.0.0/8\n  \
             kubernetes: [{manifests}]\n  nodes: {{ {nodes} }}\n"
        );
        topology::parse_in(Some(&self.0), "lab.yaml", &text).map_err(|faults| faults.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn deployment(name: &str, replicas: usize) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n  replicas: {replicas}\n  \
         selector: {{ matchLabels: {{ app: {name} }} }}\n  template:\n    \
         metadata: {{ labels: {{ app: {name} }} }}\n    spec: {{ containers: [{{ name: a }}] }}\n"
    )
}

/// On which node each pod is, with its address. Two names may make the same address on a node, which is a mistake of
/// its own: none then.
fn places(folder: &Folder, deployments: &[(String, usize)], nodes: &[u32]) -> Option<BTreeMap<String, (u32, String)>> {
    folder.write("all.yaml", &deployments.iter().map(|(name, many)| deployment(name, *many)).collect::<String>());
    let nodes: Vec<String> = nodes.iter().map(|number| format!("node{number}: {{}}")).collect();
    let lab = match folder.parse(&nodes.join(", "), "all.yaml") {
        Ok(topology) => topology.lab,
        Err(faults) if faults.contains("[address-twice]") && !faults.contains("[name-twice]") => return None,
        Err(faults) => panic!("{faults}"),
    };
    let json = serde_json::to_value(&lab.namespaces).expect("JSON");
    let pods = json.as_object().expect("namespaces").iter().filter_map(|(name, namespace)| {
        let address = namespace["interfaces"]["eth0"]["addresses"][0].as_str()?;
        let number = address.strip_prefix("10.0.")?.split('.').next()?.parse().ok()?;
        Some((name.clone(), (number, address.to_owned())))
    });
    Some(pods.collect())
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_pod_moves_that_need_not(
        many in proptest::collection::vec(0_usize..4, 1..6),
        more in 1_usize..5,
        nodes in proptest::collection::btree_set(1_u32..200, 1..8),
        new_node in 200_u32..250,
    ) {
        let folder = Folder::new("places");
        let deployments: Vec<(String, usize)> = (0..).map(|n| format!("app{n}x")).zip(many).collect();
        let nodes: Vec<u32> = nodes.into_iter().collect();
        let Some(before) = places(&folder, &deployments, &nodes) else { return Ok(()) };
        prop_assert_eq!(before.len(), deployments.iter().map(|(_, many)| many).sum::<usize>());

        // Another deployment, at the beginning, and more replicas of the last one.
        let mut others = deployments.clone();
        others.insert(0, ("another".to_owned(), more));
        others.last_mut().expect("a deployment").1 += 1;
        if let Some(after) = places(&folder, &others, &nodes) {
            prop_assert_eq!(after.len(), before.len() + more + 1);
            for (pod, place) in &before {
                prop_assert_eq!(Some(place), after.get(pod), "{} has moved", pod);
            }
        }
        // Another node: who moves, moves there.
        let with_new: Vec<u32> = nodes.iter().copied().chain([new_node]).collect();
        if let Some(after) = places(&folder, &deployments, &with_new) {
            prop_assert_eq!(after.len(), before.len());
            for (pod, place) in &after {
                prop_assert!(place.0 == new_node || before.get(pod) == Some(place), "{} has moved", pod);
            }
        }
        // In another order of the nodes, everything is where it was.
        let reversed: Vec<u32> = nodes.iter().rev().copied().collect();
        prop_assert_eq!(places(&folder, &deployments, &reversed), Some(before));
    }
}

#[test]
fn a_lab_is_whole_without_its_manifests() {
    sandbox();
    let folder = Folder::new("gone");
    folder.write("pods.yaml", &deployment("web", 2));
    folder.write(
        "lab.yaml",
        "name: gone\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  \
         kubernetes: [pods.yaml]\n  nodes: { node1: {}, node2: {} }\n\
         checks: [{ from: app=web, to: app=web, seen_as: itself }]\n",
    );
    let file = folder.0.join("lab.yaml").display().to_string();
    ends(&["apply", &file], 0);
    ends(&["plan", "--exit-code", &file], 0);
    folder.write("pods.yaml", &deployment("web", 3));
    ends(&["plan", "--exit-code", &file], 1);
    fs::remove_file(folder.0.join("pods.yaml")).expect("the manifest");
    let said = ends(&["plan", &file], 2);
    assert!(said.contains("[unreadable-file]") && said.contains("lab.yaml:5:16"), "{said}");
    ends(&["plan", "--exit-code", "gone"], 0);
    ends(&["check", "gone"], 0);
    assert!(ends(&["status", "gone"], 0).contains("Drift: none"));
    run("ip netns exec web-1 ip link set eth0 down");
    ends(&["plan", "--exit-code", "gone"], 1);
    ends(&["destroy", "gone"], 0);
}

#[test]
fn manifests_are_beside_the_topology_wherever_nslab_runs() {
    let folder = Folder::new("where");
    folder.write("pods.yaml", &deployment("web", 1));
    let text = "name: where\ncluster: { node_network: 192.168.1.0/24, pod_network: 10.244.0.0/16, \
                kubernetes: [pods.yaml], nodes: { node1: {} } }\n";
    folder.write("lab.yaml", text);
    let output = nslab(["plan", "--expanded", &folder.0.join("lab.yaml").display().to_string()]);
    assert!(support::text(&output).contains("web-1"), "{}", support::text(&output));
    // A topology that comes by a pipe has no folder: they are where nslab runs.
    let bin = env!("CARGO_BIN_EXE_nslab");
    let here = run(&format!("cd {0} && {bin} plan --expanded - < lab.yaml", folder.0.display()));
    assert!(here.contains("web-1"), "{here}");
}

#[test]
fn programs_learn_in_which_file_a_fault_is() {
    let folder = Folder::new("json");
    folder.write("pods.yaml", "kind: Pod\n");
    folder.write(
        "lab.yaml",
        "name: json\ncluster: { node_network: 10.0.0.0/24, pod_network: 10.1.0.0/16, kubernetes: [pods.yaml], \
         nodes: {} }\nx: 1\n",
    );
    let file = folder.0.join("lab.yaml").display().to_string();
    let output = nslab(["validate", "--format", "json", &file]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let diagnostics = &all[0]["diagnostics"];
    let manifest = folder.0.join("pods.yaml").display().to_string();
    assert_eq!(diagnostics[0]["manifest"], serde_json::Value::Null, "{all:#}");
    assert_eq!((&diagnostics[1]["manifest"], &diagnostics[1]["line"]), (&manifest.into(), &1.into()), "{all:#}");
}

#[track_caller]
fn refused(folder: &Folder, manifests: &str, because: &str) {
    let started = std::time::Instant::now();
    let faults = folder.parse("node1: {}", manifests).expect_err("a refusal");
    assert!(faults.contains(because), "{}", faults.chars().take(2000).collect::<String>());
    assert!(started.elapsed().as_secs() < 60, "took {:?}", started.elapsed());
}

#[test]
fn hostile_manifests_are_refused() {
    let folder = Folder::new("hostile");
    run(&format!("mkfifo {}", folder.0.join("pipe").display()));
    refused(&folder, "pipe", "it is not a regular file");
    refused(&folder, "/dev/zero", "it is not a regular file");
    fs::File::create(folder.0.join("half")).and_then(|file| file.set_len(9 * 1024 * 1024)).expect("a file");
    fs::copy(folder.0.join("half"), folder.0.join("other")).expect("a file");
    refused(&folder, "half, other", "with those before it, it is larger than 16 MiB");

    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='j').zip('a'..) {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        writeln!(bomb, "{name}: &{name} [{aliases}]").expect("a string");
    }
    folder.write("bomb.yaml", &bomb);
    refused(&folder, "bomb.yaml", "aliases (`*name`) repeat too much");
    // Each of these is small enough, and all of them are not.
    let many = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: a }}\ndata: [{}]\n", "x,".repeat(600_000));
    let names: Vec<String> = (0..2).map(|n| format!("many{n}.yaml")).collect();
    names.iter().for_each(|name| folder.write(name, &many));
    refused(&folder, &names.join(", "), "the file holds more than 1000000 values");

    folder.write("documents.yaml", &"kind: Secret\n---\n".repeat(1_100));
    refused(&folder, "documents.yaml", "documents in one file are too many: put them into a `List`");
    folder.write("deep.yaml", &format!("kind: {}{}", "[".repeat(10_000), "]".repeat(10_000)));
    refused(&folder, "deep.yaml", "nested too deep");
    // What the limit lets pass must not be too much for a thread's stack, either.
    let lists = |levels: usize| {
        let (open, close) = ("{kind: List, apiVersion: v1, items: [".repeat(levels), "]}".repeat(levels));
        format!("{open}{close}")
    };
    folder.write("lists.yaml", &lists(15));
    folder.parse("node1: {}", "lists.yaml").expect("lists in lists");
    folder.write("lists.yaml", &lists(17));
    refused(&folder, "lists.yaml", "nested too deep");

    folder.write("huge.yaml", &deployment("web", 4_000_000_000));
    refused(&folder, "huge.yaml", "more than 20000 pods");

    // Every address counts for every port.
    let addresses =
        (0..1_000).map(|n| format!("- addresses: [10.0.{}.{}]\n", n / 200, n % 200 + 2)).collect::<String>();
    let ports = (1..1_000).map(|n| format!("- port: {n}\n")).collect::<String>();
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80 }] }\n---\n";
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: web, labels: { \
                 kubernetes.io/service-name: web } }\naddressType: IPv4\n";
    folder.write("slice.yaml", &format!("{service}{slice}endpoints:\n{addresses}ports:\n{ports}"));
    refused(&folder, "slice.yaml", "more than 100000 endpoints");
}

#[test]
fn a_topology_without_a_folder_has_no_manifests() {
    let text = "name: a\ncluster: { node_network: 10.0.0.0/24, pod_network: 10.1.0.0/16, \
                kubernetes: [/etc/hostname], nodes: {} }\n";
    let faults = topology::parse("lab.yaml", text).expect_err("no folder").to_string();
    assert!(faults.contains("[unreadable-file]"), "{faults}");
}
