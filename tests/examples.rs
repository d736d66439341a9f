//! The examples with programs of other packages: their files, and what they say where the package is missing. Whether
//! they work is for `scripts/test`, which installs the packages.

mod support;

use std::fs::read_to_string;
use std::path::Path;

use nslab::topology;
use support::{golden, nslab, project, run, sandbox, text};

/// The package that an example needs, as its first lines name it. `scripts/common.sh` reads the same words.
fn package(file: &Path) -> String {
    let text = read_to_string(file).unwrap();
    let found = text.lines().find_map(|line| {
        line.strip_prefix("# Needs ")?.split_once(": the package `")?.1.strip_suffix("` of Debian and Ubuntu.")
    });
    found.unwrap_or_else(|| panic!("{} does not say which package it needs", file.display())).to_owned()
}

#[test]
fn examples_are_without_fault_and_listed() {
    let readme = read_to_string(project("README.md")).unwrap();
    golden::run("topologies/examples", &golden::files("topologies/examples", "yaml"), |name, file| {
        package(file);
        let loaded = topology::load(file).map_err(|faults| format!("{faults:?}"))?;
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let link = format!("(topologies/examples/{name}.yaml)");
        if readme.contains(&link) { Ok(()) } else { Err(format!("the README does not list {link}")) }
    });
}

/// Hidden by something that cannot be run, where it is installed.
const HIDE: &str = "
    for file in /usr/sbin/nginx /usr/bin/redis-server /usr/bin/redis-cli /usr/lib/frr/zebra /usr/lib/frr/ospfd; do
        if [ -e $file ]; then mount --bind /dev/null $file; fi
    done";

#[test]
fn a_missing_package_is_named() {
    let mut cases = golden::files("topologies/examples", "yaml");
    cases.push(("12-ingress".to_owned(), project("topologies/12-ingress.yaml")));
    golden::run("topologies/examples", &cases, |_, file| {
        sandbox();
        run(HIDE);
        let output = nslab(["apply", &file.display().to_string()]);
        let (said, wanted) = (text(&output), format!("install the package {}", package(file)));
        match output.status.code() == Some(3) && said.contains(&wanted) {
            true => Ok(()),
            false => Err(format!("{}: not `{wanted}`, but:\n{said}", output.status)),
        }
    });
}
