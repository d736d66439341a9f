//! Whether the nodes of a live lab enforce what the oracle says: by probes, for every pair.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::fixture::{Fixture, PORTS, namespace_name};
use super::oracle::{Question, Role, allows};
use crate::support::{nslab, text};

/// The file of the lab, which each step writes anew.
const FILE: &str = "/run/policies.yaml";

/// Applies the policies of a step to the lab as it is, and probes every pair of pods and machines outside at every
/// port, and what is asked besides.
///
/// # Errors
/// What differs, in the words of nslab.
pub fn as_the_oracle_says<'a>(fixture: &'a Fixture, routing: &str, mut asked: Vec<Question<'a>>) -> Result<(), String> {
    let parties = || fixture.parties.iter().filter(|party| !matches!(party.role, Role::Node));
    for (from, to) in parties().flat_map(|from| parties().map(move |to| (from, to))) {
        let ports = PORTS.into_iter().flat_map(|port| ["tcp", "udp"].map(|protocol| (protocol, port)));
        asked.extend(ports.map(|(protocol, port)| Question { from, to, protocol, port }));
    }
    // Checks by what they expect and send; this kernel may have no SCTP, and nslab sends none.
    let mut checks: BTreeMap<(bool, &str, u64, &str), Vec<String>> = BTreeMap::new();
    for question in asked.into_iter().filter(|asked| asked.protocol != "sctp" && asked.from.name != asked.to.name) {
        let is_allowed = allows(&fixture.policies, &fixture.namespaces, question);
        let Question { from, to, protocol, port } = question;
        let receivers = checks.entry((is_allowed, protocol, port, &from.name)).or_default();
        let to = namespace_name(&to.name);
        if !receivers.contains(&to) {
            receivers.push(to);
        }
    }
    let mut file = fixture.topology(routing) + "checks:\n";
    for ((is_allowed, protocol, port, from), to) in checks {
        let expect = if is_allowed { "reachable" } else { "unreachable, timeout: 300ms" };
        let (from, to) = (namespace_name(from), to.join(", "));
        let _ =
            writeln!(file, "  - {{ from: {from}, to: [{to}], protocol: {protocol}, port: {port}, expect: {expect} }}");
    }
    fs::write(FILE, file).expect("the file");
    let output = nslab(["apply", "--check", FILE]);
    if output.status.code() == Some(0) { Ok(()) } else { Err(text(&output)) }
}
