//! What `plan --expanded` prints: a topology file that describes the same lab, without shorthand.
//!
//! `tests/expanded/NAME.yaml` is a file and `NAME.expected` what is printed of it. Beyond those, every valid file of
//! the project is printed and read again, the shipped ones are applied, and random words are read.

#![allow(clippy::expect_used, clippy::panic)] // A test that cannot go on says so by panicking.

mod support;

use std::fs;
use std::path::PathBuf;

use nslab::lab::Lab;
use nslab::topology;
use proptest::prelude::*;
use support::{golden, lacking_for, nslab, project, sandbox, text};

/// The YAML files of a folder of the project, with their texts.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let texts = golden::files(folder, "yaml").into_iter();
    texts.map(|(_, path)| (path.clone(), fs::read_to_string(path).expect("a file"))).collect()
}

/// The examples of a document.
fn examples(document: &str) -> Vec<(PathBuf, String)> {
    let page = fs::read_to_string(project(document)).expect(document);
    let blocks = page.split("\n```yaml").skip(1).filter_map(|block| block.split_once('\n'));
    blocks
        .map(|(_, block)| (document.into(), block.split("\n```").next().unwrap_or_default().to_owned() + "\n"))
        .collect()
}

fn parsed(name: &str, text: &str) -> topology::Topology {
    topology::parse(name, text).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

/// The lab without the places in the file that it remembers.
fn lineless(mut lab: Lab) -> Lab {
    lab.origins.clear();
    lab.places.clear();
    lab.checks.iter_mut().for_each(|check| check.line = 0);
    lab.exec_checks.iter_mut().for_each(|check| check.line = 0);
    for policy in &mut lab.network_policies.policies {
        (policy.line, policy.manifest) = (0, None);
    }
    lab
}

#[test]
fn files_are_printed_as_expected() {
    golden::run("tests/expanded", &golden::files_with_expectations("tests/expanded", "yaml"), |_, case| {
        let printed = parsed("case", &fs::read_to_string(case).expect("the case")).expanded();
        golden::expect(&case.with_extension("expected"), &printed)
    });
}

#[test]
fn what_is_printed_describes_the_same_lab() {
    let folders = ["topologies", "tests/expanded", "tests/resolved", "tests/normal"].map(files);
    let documents = ["README.md", "docs/topology.md"].map(examples);
    let all: Vec<_> = folders.into_iter().chain(documents).flatten().collect();
    for (path, text) in all {
        let file = topology::parse_in(path.parent(), &path.display().to_string(), &text);
        let file = file.unwrap_or_else(|faults| panic!("{text}\n{faults}"));
        let printed = file.expanded();
        let again = parsed("printed", &printed);
        assert_eq!(lineless(file.lab), lineless(again.lab.clone()), "{}:\n{printed}", path.display());
        assert_eq!(printed, again.expanded(), "{}", path.display());
        let lines_with_braces = printed.lines().filter(|line| line.contains("{n") || line.contains("..")).count();
        let in_about = again.lab.description.unwrap_or_default().lines().filter(|line| line.contains("{n")).count();
        assert_eq!(lines_with_braces, in_about, "{}: there is shorthand left in\n{printed}", path.display());
    }
}

#[test]
fn what_is_printed_needs_nothing_where_the_file_was_applied() {
    let mut cases = golden::files("topologies", "yaml");
    cases.push(("scale".to_owned(), project("tests/expanded/scale.yaml")));
    golden::run("topologies", &cases, |_, file| {
        let lacking = lacking_for(file);
        sandbox();
        let file = file.display().to_string();
        let printed = nslab(["plan", "--expanded", &file]);
        assert!(printed.status.success(), "{}", text(&printed));
        fs::write("/run/expanded.yaml", &printed.stdout).expect("a file");
        if let Some(lacking) = lacking {
            let refused = nslab(["apply", "/run/expanded.yaml"]);
            let is_clear = refused.status.code() == Some(3) && text(&refused).contains(&lacking);
            return if is_clear { Ok(()) } else { Err(text(&refused)) };
        }
        for command in [&["apply", &file][..], &["plan", "--exit-code", "/run/expanded.yaml"]] {
            let output = nslab(command);
            assert!(output.status.success(), "{command:?}\n{}", text(&output));
        }
        Ok(())
    });
}

#[test]
fn a_file_with_faults_is_not_printed() {
    let file = project("tests/faults/scale-words.yaml").display().to_string();
    let output = nslab(["plan", "--expanded", &file]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", text(&output));
    assert!(text(&output).contains("scale-words.yaml:10:13"), "{}", text(&output));
    let contradiction = nslab(["plan", "--expanded", "--exit-code", &file]);
    assert_eq!(contradiction.status.code(), Some(2), "{}", text(&contradiction));
}

/// What a file stands for can be read without privileges, on a machine on which nothing may be touched.
#[test]
fn printing_touches_nothing() {
    let file = project("tests/expanded/scale.yaml").display().to_string();
    let trace = std::env::temp_dir().join(format!("nslab-expanded-{}", std::process::id()));
    let command = format!(
        "strace -f -e trace=%network,setns,unshare,mount -o {} {} plan --expanded - < {file}",
        trace.display(),
        env!("CARGO_BIN_EXE_nslab")
    );
    let output = support::sh(&command);
    let calls = fs::read_to_string(&trace).unwrap_or_default();
    let _ = fs::remove_file(&trace);
    assert!(output.status.success(), "{}", text(&output));
    assert!(calls.contains("+++ exited with 0 +++"), "{calls}");
    assert_eq!(calls.lines().filter(|line| line.contains('(')).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// A file with random words where names, addresses and numbers stand; most of the files are valid.
fn random_files() -> impl Strategy<Value = String> {
    let odd = "a([{][0-2]{1,2}[.][.][0-9]{1,2}[}])?([{](n|n [-+] [0-3]|[0-9]{1,3} [+] n)[}]?)?";
    let name = prop_oneof![9 => "a[{][1-2]{1,2}[.][.](2[3-9]|0[2-9]{2})[}]([{](n|[0-9]{1,3} [+] n)[}])?", 1 => odd];
    let address = prop_oneof![
        9 => "10[.]0[.][{]n[}][.]1/24|[{]10[.]0[.]0[.][1-9]/1[0-9] [+] n[}]|[{]fd00::/6[0-9] [+] n[}]",
        1 => "[{](10[.]0[.]0[.][0-9]/2[0-9]|fd00::/12[0-9]) [+] n[}]",
    ];
    let counted = prop_oneof![9 => "[{](n|n [+] [0-3]|[0-9]{1,3} [+] n)[}]", 1 => "[{]n - [0-3]{1,2}[}]"];
    (name.clone(), name, address, counted.clone(), counted).prop_map(|(ns, label, address, one, other)| {
        format!(
            "name: a
namespaces:
  a{{0..9}}: {{ labels: {{ {label:?}: {one:?} }} }}
  x-{ns}: {{ interfaces: {{ lo: {{ addresses: [{address:?}] }} }}, labels: {{ one: {one:?}, other: {other:?} }} }}
groups: {{ g: [\"x-{ns}\"] }}
"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_words_are_read_the_same_each_time_or_refused_where_they_stand(file in random_files()) {
        match (topology::parse("random", &file), topology::parse("random", &file)) {
            (Ok(first), Ok(second)) => {
                prop_assert_eq!(first.expanded(), second.expanded());
                prop_assert_eq!(&first.lab, &parsed("printed", &first.expanded()).lab);
            }
            (Err(first), Err(second)) => {
                prop_assert_eq!(first.to_string(), second.to_string());
                prop_assert!(first.list().iter().all(|fault| fault.line <= file.lines().count()));
            }
            _ => prop_assert!(false, "now it is valid, now it is not"),
        }
    }
}
