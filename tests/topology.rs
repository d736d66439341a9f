//! The topology file: what is accepted, what it means, and every fault that is found in it.
//!
//! Cases are files: `tests/faults/NAME.yaml` is a file with faults and `NAME.expected` what is said about it;
//! `tests/resolved/NAME.yaml` is a file without any and `NAME.json` the lab that it describes;
//! `tests/warnings/NAME.yaml` is one that can be used, and `NAME.expected` what is surely a mistake in it.

#![allow(clippy::expect_used, clippy::panic)] // A test that cannot go on says so by panicking.

mod support;
#[path = "topology/unknown_keys.rs"]
mod unknown_keys;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use nslab::iptables::{restore_line, shell_line};
use nslab::lab::{Lab, ObservedRule};
use nslab::topology::{self, Diagnostics};
use serde_json::Value;
use support::golden;
use support::growth::{grows_with_its_size, timed};

/// A lab as JSON, with its firewall rules as iptables spells them.
fn in_words_of_iptables(lab: &Lab) -> Value {
    let mut json = serde_json::to_value(lab).expect("JSON");
    for (ns, namespace) in &lab.namespaces {
        for (at, rules) in namespace.firewall.chains.values().enumerate() {
            let lines: Vec<String> = rules.iter().map(|rule| shell_line(&rule.clone().into())).collect();
            json["namespaces"][ns.as_str()]["firewall"]["chains"][at]["rules"] = lines.into();
        }
    }
    json
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

/// A case, whose manifests are in its folder.
fn read(case: &Path) -> Result<topology::Topology, Diagnostics> {
    let text = fs::read_to_string(case).expect("the case");
    topology::parse_in(case.parent(), &file_name(case), &text)
}

/// What is said of a case, in which its manifests are called as the case does.
fn said(case: &Path, text: &str) -> String {
    let folder = case.parent().expect("a folder").display().to_string() + "/";
    text.replace(&folder, "")
}

#[test]
fn every_fault_is_reported_as_expected() {
    golden::run("tests/faults", &golden::files_with_expectations("tests/faults", "yaml"), |name, case| {
        let faults = read(case).expect_err(name);
        golden::expect(&case.with_extension("expected"), &said(case, &faults.render(false)))
    });
}

#[test]
fn every_warning_is_given_as_expected() {
    golden::run("tests/warnings", &golden::files_with_expectations("tests/warnings", "yaml"), |_, case| {
        let topology = read(case).map_err(|faults| faults.to_string())?;
        golden::expect(&case.with_extension("expected"), &said(case, &topology.warnings.render(false)))
    });
}

#[test]
fn files_mean_what_is_expected() {
    golden::run("tests/resolved", &golden::files_with_expectations("tests/resolved", "yaml"), |_, case| {
        let topology = read(case).map_err(|faults| faults.to_string())?;
        let json = serde_json::to_string_pretty(&in_words_of_iptables(&topology.lab)).expect("JSON");
        golden::expect(&case.with_extension("json"), &(said(case, &json) + "\n"))
    });
}

#[test]
fn shipped_topologies_are_without_fault() {
    golden::run("topologies", &golden::files("topologies", "yaml"), |_, file| {
        let topology::Topology { lab, warnings, .. } = topology::load(file).map_err(|error| error.to_string())?;
        assert!(warnings.is_empty(), "{warnings}");
        assert!(!lab.checks.is_empty(), "it proves nothing");
        assert!(lab.description.is_some(), "it says nothing about itself");
        Ok(())
    });
}

#[test]
fn faults_are_data_for_programs() {
    let faults = topology::parse("lab.yaml", "name: a\nnamespaces: { réd: {} }\nlinsk: []\n").expect_err("two faults");
    let expected = serde_json::json!([
        {
            "file": "lab.yaml", "line": 2, "column": 15, "severity": "error", "code": "bad-value", "help": null,
            "message": "`réd` may not contain 'é': letters, digits, '.', '-' and '_' are",
        },
        {
            "file": "lab.yaml", "line": 3, "column": 1, "severity": "error", "code": "unknown-key", "help": "did you mean `links`?",
            "message": "unknown key `linsk` in a topology file",
        },
    ]);
    assert_eq!(serde_json::to_value(&faults).expect("JSON"), expected);
    assert!(faults.render(true).contains("\u{1b}["), "colour where it is asked for");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = std::env::temp_dir().join(format!("nslab-topology-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("latin1"), b"name: caf\xe9\n").expect("a file");
    fs::File::create(folder.join("huge")).and_then(|file| file.set_len(16 * 1024 * 1024 + 1)).expect("a file");
    let said = |name: &str| {
        let error = topology::load(&folder.join(name)).expect_err(name).to_string();
        error.replace(&folder.display().to_string(), "FOLDER")
    };
    assert_eq!(said("latin1"), "cannot read FOLDER/latin1: it is not UTF-8 text");
    assert_eq!(said("huge"), "cannot read FOLDER/huge: it is larger than 16 MiB");
    assert_eq!(said("none"), "cannot read FOLDER/none: No such file or directory (os error 2)");
    assert_eq!(said("."), "cannot read FOLDER/.: it is not a regular file (for a pipe, use `-`)");
    fs::remove_dir_all(&folder).expect("the folder");
}

/// The keys of every kind of map in the schema.
fn keys_of_the_schema(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let keys = |kind: &Value| -> BTreeSet<String> {
        // A choice of one key (`nat`) is a list of maps.
        let choices = kind["oneOf"].as_array().cloned().unwrap_or_else(|| vec![kind.clone()]);
        let properties = choices.iter().filter_map(|choice| choice["properties"].as_object());
        properties.flat_map(|properties| properties.keys().cloned()).collect()
    };
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mut kinds: BTreeMap<String, BTreeSet<String>> =
        definitions.iter().map(|(name, kind)| (name.clone(), keys(kind))).collect();
    kinds.retain(|_, keys| !keys.is_empty());
    kinds.insert("File".to_owned(), keys(schema));
    kinds
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let of_the_reader: BTreeMap<String, BTreeSet<String>> = unknown_keys::UNKNOWN_KEYS
        .iter()
        .map(|(kind, yaml)| {
            let faults = topology::parse(kind, yaml).expect_err(kind);
            let unknown = faults.list().iter().find(|fault| fault.message.starts_with("unknown key `qqq` in"));
            let help = unknown.and_then(|fault| fault.help.as_deref()).unwrap_or_else(|| panic!("{faults}"));
            let keys = help.strip_prefix("its keys are ").unwrap_or_else(|| panic!("{faults}"));
            ((*kind).to_owned(), keys.split(", ").map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(keys_of_the_schema(&topology::schema()), of_the_reader);
}

/// Whether an editor that goes by a schema lets a scale word pass, here and in all that is within.
fn takes_scale_words(schema: &Value) -> bool {
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let passes = |choice: &Value| choice["type"] == "string" && choice["pattern"].as_str() == Some(r"\{[^{}]+\}");
        let containers = choices.iter().filter(|choice| choice["type"] == "array" || choice["type"] == "object");
        return containers.clone().all(takes_scale_words)
            && (containers.count() > 0 || choices.iter().any(|choice| passes(choice) || takes_scale_words(choice)));
    }
    let text =
        schema["type"] == "string" || schema["type"].as_array().is_some_and(|kinds| kinds.contains(&"string".into()));
    match &schema["type"] {
        _ if schema.get("$ref").is_some() => true,
        kind if kind == "array" => takes_scale_words(&schema["items"]),
        kind if kind == "object" => {
            let named = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values);
            let others = schema.get("additionalProperties").filter(|others| others.is_object());
            named.chain(others).all(takes_scale_words)
        }
        _ => text && schema.get("pattern").is_none() && schema.get("enum").is_none(),
    }
}

#[test]
fn the_schema_lets_scale_words_pass_everywhere() {
    let schema = topology::schema();
    let definitions = schema["$defs"].as_object().expect("definitions");
    assert!(definitions.len() > 10, "the definitions are gone");
    for (name, definition) in definitions {
        assert!(takes_scale_words(definition), "{name}: {definition:#}");
    }
    assert!(!takes_scale_words(
        &serde_json::json!({ "type": "object", "properties": { "mtu": { "type": "integer" } } })
    ));
}

/// The fenced YAML of a Markdown file, with the line that each begins on.
fn yaml_examples(markdown: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(markdown.lines()) {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number + 1, String::new())),
            (Some(_), "```") => examples.extend(open.take()),
            (Some((_, text)), line) => writeln!(text, "{line}").expect("a string"),
            (None, _) => {}
        }
    }
    examples
}

#[test]
fn examples_of_the_documentation_are_without_fault() {
    let markdown = fs::read_to_string(support::project("docs/topology.md")).expect("docs/topology.md");
    let examples = yaml_examples(&markdown);
    assert!(examples.len() >= 10, "there are only {} examples", examples.len());
    for (line, text) in examples {
        topology::parse(&format!("docs/topology.md from line {line}"), &text)
            .unwrap_or_else(|faults| panic!("{faults}"));
    }
}

#[test]
fn documentation_names_every_key() {
    let markdown = fs::read_to_string(support::project("docs/topology.md")).expect("docs/topology.md");
    let kinds = keys_of_the_schema(&topology::schema());
    let unnamed: Vec<&String> =
        kinds.values().flatten().filter(|key| !markdown.contains(&format!("| `{key}`"))).collect();
    assert!(unnamed.is_empty(), "docs/topology.md has no row for {unnamed:?}");
}

/// The rules of a golden lab, loaded by iptables, come back from `iptables-save` as they are in the lab.
#[test]
fn firewall_rules_are_spelled_as_iptables_saves_them() {
    support::sandbox();
    let case = support::project("tests/resolved/firewall.yaml");
    let lab = topology::load(&case).unwrap_or_else(|error| panic!("{error}")).lab;
    let mut restored = 0;
    for namespace in lab.namespaces.values() {
        support::run("for p in iptables ip6tables; do for t in nat filter; do $p -t $t -F; $p -t $t -X; done; done");
        for (chain, rules) in &namespace.firewall.chains {
            let (program, table) = (chain.family.program(), chain.table.name());
            support::run(&format!("{program} -t {table} -N {}", chain.chain));
            let rules: Vec<ObservedRule> = rules.iter().cloned().map(ObservedRule::from).collect();
            for rule in &rules {
                support::run(&format!("{program} -t {table} -A {} {}", chain.chain, shell_line(rule)));
            }
            let saved = support::run(&format!("{program}-save -t {table}"));
            let start = format!("-A {} ", chain.chain);
            let saved: Vec<&str> = saved.lines().filter_map(|line| line.strip_prefix(&start)).collect();
            let wanted: Vec<String> = rules.iter().map(restore_line).collect();
            assert_eq!(saved, wanted, "{chain}");
            restored += rules.len();
        }
    }
    assert!(restored > 20, "only {restored} rules");
}

/// A plain file of so many namespaces.
fn names(count: usize) -> String {
    (0..count).fold("name: a\nnamespaces:\n".to_owned(), |text, n| text + &format!("  n{n}:\n"))
}

/// What a plain file of ten thousand names takes.
static PLAIN: LazyLock<Duration> =
    LazyLock::new(|| timed(|| topology::parse("plain.yaml", &names(10_000)).expect("a lab")).1);

/// Parses a text, which takes no longer than the plainest file of the size that is allowed: a million values.
#[track_caller]
fn in_time(text: &str) -> Result<topology::Topology, Diagnostics> {
    let plain = *PLAIN;
    let (outcome, took) = timed(|| topology::parse("hostile.yaml", text));
    assert!(took < plain * 100, "took {took:?}; a plain file of ten thousand names takes {plain:?}");
    outcome
}

#[track_caller]
fn refused(text: &str, because: &str) {
    let faults = in_time(text).expect_err("a refusal").render(false);
    assert!(faults.contains(because), "{}", faults.chars().take(2000).collect::<String>());
    assert!(faults.len() < 4 * 1024 * 1024, "{} bytes of faults", faults.len());
}

#[test]
fn alias_bombs_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='j').zip('a'..) {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        writeln!(bomb, "{name}: &{name} [{aliases}]").expect("a string");
    }
    refused(&bomb, "aliases (`*name`) repeat too much");
}

#[test]
fn deep_nesting_is_refused() {
    refused(&format!("name: {}{}", "[".repeat(10_000), "]".repeat(10_000)), "deep");
    refused(&format!("name: {}", "{a: ".repeat(10_000)), "deep");
    let block: String = (0..3_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(&block, "deep");
    refused(&format!("name:\n  {}x\n", "- ".repeat(10_000)), "deep");
    refused(&format!("{}x\n", "? ".repeat(10_000)), "deep");
    // What the limit lets pass must not be too much for a thread's stack, either.
    refused(&format!("name: {}x{}", "[".repeat(15), "]".repeat(15)), "found a list");
}

#[test]
fn a_million_names_are_refused_and_ten_thousand_are_not() {
    refused(&names(1_000_000), "the file holds more than 1000000 values");
    grows_with_its_size(1_000, names, |file, count| {
        assert_eq!(in_time(file).expect("a lab").lab.namespaces.len(), count);
    });
}

#[test]
fn a_million_faults_are_counted_and_a_thousand_shown() {
    let unknown = (0..100_000).fold("name: a\n".to_owned(), |text, n| text + &format!("k{n}: 1\n"));
    refused(&unknown, "100000 faults, of which 1000 are shown");
    let line = format!("name: a\nlinks: [{}]\n", "[x/a, y/b], ".repeat(100_000));
    refused(&line, "there is no namespace `x`");
}

#[test]
fn faults_at_the_end_of_a_large_file_take_no_longer_than_elsewhere() {
    let file = |faults: usize| {
        let comments = format!("#{}\n", "x".repeat(99)).repeat(faults * 50);
        (0..faults).fold(format!("name: a\n{comments}"), |text, n| text + &format!("k{n}: 1\n"))
    };
    grows_with_its_size(300, file, |file, faults| {
        refused(file, &format!("hostile.yaml:{}:1", 2 + faults * 50));
    });
}

#[test]
fn a_hundred_thousand_sysctls_are_read_one_after_the_other() {
    let file = |count: usize| {
        let start = "name: a\nnamespaces:\n  red:\n    sysctls:\n".to_owned();
        (0..count).fold(start, |text, n| text + &format!("      net.x{n}: 1\n"))
    };
    grows_with_its_size(10_000, file, |file, _| {
        in_time(file).expect("a lab");
    });
}

#[test]
fn too_many_pairs_are_refused() {
    let mut file = (0..2_000).fold("name: a\nnamespaces:\n".to_owned(), |text, n| text + &format!("  n{n}: {{}}\n"));
    file += "checks:\n  - { from: all, to: all, expect: unreachable }\n";
    refused(&file, "more than 1000000 pairs");
}

#[test]
fn long_scalars_and_odd_bytes_do_no_harm() {
    refused(&format!("name: {}", "a".repeat(8 * 1024 * 1024)), "hostile.yaml:1:7");
    for odd in [
        "\0",
        "name: \u{feff}a",
        "\u{feff}name: a\u{0}",
        "&a *a",
        "*a",
        "? : ?",
        "!!binary x",
        "%YAML 9.9\n---\na",
        "name: !x a",
        "a: &a [*a]",
        "<<: 5",
    ] {
        let _ = in_time(odd);
    }
}

/// One bridge with many hosts, as the benchmarks have it.
fn hosts(count: usize) -> String {
    let ports: String = (0..count).map(|n| format!("v{n}, ")).collect();
    let mut file = format!(
        "name: many\nnamespaces:\n  host:\n    bridges:\n      br0: {{ addresses: [10.0.0.1/16], ports: [{ports}] }}\n"
    );
    for n in 0..count {
        let address = format!("10.0.{}.{}/16", 1 + n / 200, 1 + n % 200);
        writeln!(file, "  h{n}:\n    interfaces: {{ eth0: {{ addresses: [{address}] }} }}").expect("a string");
        writeln!(file, "    routes: [{{ to: default, via: 10.0.0.1 }}]").expect("a string");
    }
    file += "links:\n";
    for n in 0..count {
        writeln!(file, "  - [h{n}/eth0, host/v{n}]").expect("a string");
    }
    file
}

#[test]
fn the_time_of_hosts_grows_with_their_number() {
    grows_with_its_size(100, hosts, |file, count| {
        let lab = topology::parse("many.yaml", file).unwrap_or_else(|faults| panic!("{faults}")).lab;
        assert_eq!(lab.namespaces.len(), count + 1);
    });
}

/// The same in ten lines, with IPv6.
#[test]
fn the_time_of_hosts_in_ten_lines_grows_with_their_number() {
    let file = |count: usize| {
        "name: many
namespaces:
  host:
    bridges:
      br0: { addresses: [10.0.255.1/16, \"fd00::ffff/64\"], ports: [\"v{1..1000}\"] }
  h{1..1000}:
    interfaces: { eth0: { addresses: [\"{10.0.0.0/16 + n}\", \"{fd00::/64 + n}\"] } }
    routes: [{ to: default, via: 10.0.255.1 }]
links: [[\"h{1..1000}/eth0\", \"host/v{n}\"]]
checks: [{ from: host, to: [\"h{1..1000}\"] }]
"
        .replace("1000", &count.to_string())
    };
    assert_eq!(file(1_000).lines().count(), 10);
    grows_with_its_size(100, file, |file, count| {
        let lab = topology::parse("many.yaml", file).unwrap_or_else(|faults| panic!("{faults}")).lab;
        assert_eq!((lab.namespaces.len(), lab.checks[0].probes.len()), (count + 1, count));
        if count == 1_000 {
            let last = serde_json::to_value(&lab.namespaces[count].interfaces).expect("JSON");
            assert_eq!(last["eth0"]["addresses"], serde_json::json!(["10.0.3.232/16", "fd00::3e8/64"]));
            assert_eq!(last["eth0"]["kind"]["veth"]["peer"]["name"], "v1000");
        }
    });
}

#[test]
fn hostile_ranges_are_refused() {
    let lab = |rest: &str| format!("name: a\nnamespaces:\n{rest}");
    let too_many = "the file holds more than 1000000 values";
    refused(&lab("  h{1..1000000}: { labels: { a: b } }"), too_many);
    refused(&lab("  h{1..1000}: { interfaces: { \"e{1..1000}\": { addresses: [\"10.{0..255}.0.1/8\"] } } }"), too_many);
    refused(&lab("  h{1..4000000000}: {}"), "more than 1000000 numbers");
    refused(&format!("name: a\ngroups: {{ g: [\"h{{1..{}}}\"] }}", "9".repeat(1_000_000)), "at most 10 digits");
    refused(&lab(&format!("  h{{1..900000}}: {{ labels: {{ a: \"{}\" }} }}", "x".repeat(1_000_000))), "bytes");
    refused(&format!("name: a\ngroups: {{ g: [\"h{{{}1..2}}\"] }}", "0".repeat(100_000)), "at most 10 digits");
    refused(&lab(&format!("  red: {{ labels: {{ a: \"{}\" }} }}", "{n}".repeat(300_000))), "no range here");
    refused(&format!("name: a\ngroups: {{ g: [\"{}\"] }}", "{1..3}".repeat(300_000)), "a second range");
    refused(
        &format!("name: a\nlinks: [{}]", "[\"h{1..100}/a\", \"g{n}/{n}\"], ".repeat(2_000)),
        "there is no namespace",
    );
}

#[test]
fn the_time_of_firewall_rules_grows_with_their_number() {
    let file = |count: usize| {
        let mut file = "name: many\nnamespaces:\n  host:\n    filter:\n".to_owned();
        for n in 0..count {
            let port = 1 + n % (count / 8 * 7);
            writeln!(file, "      - {{ chain: forward, protocol: tcp, port: {port}, action: drop }}")
                .expect("a string");
        }
        file
    };
    grows_with_its_size(800, file, |file, count| {
        let lab = topology::parse("many.yaml", file).unwrap_or_else(|faults| panic!("{faults}")).lab;
        let rules: usize = lab.namespaces.values().flat_map(|ns| ns.firewall.chains.values()).map(Vec::len).sum();
        assert_eq!(rules, count / 8 * 7, "what stands there twice counts once");
    });
}
