//! What must hold for any input whatever: one function for each fuzz target in `fuzz/`, and the test that hands it
//! every input that is kept there. Only tests and fuzz targets are built with it.
//!
//! A function panics if what it is given does harm: that is how a fuzzer, or a test, learns of it.

#![allow(clippy::expect_used, clippy::panic)] // This is how a fuzz target reports.

use std::sync::OnceLock;

use serde::Serialize;

use crate::dns::{self, Answer, Transport, Zones};
use crate::lab::{Family, Lab, LabName, Namespace, NsName, Observed, ObservedNamespace, zones_of_text};
use crate::plan::{self, PlannedStep};
use crate::preflight::Needs;
use crate::steps::Step;
use crate::topology::Diagnostics;
use crate::{iptables, kernel, show, topology};

/// More text about one file than anybody reads; its faults are limited in number and length.
const LONGEST_REPORT: usize = 4 * 1024 * 1024;

/// A topology file: it is a lab that can be planned, shown, built and removed, or its faults are reported.
pub fn loader(text: &str) {
    let read = || topology::parse("fuzz.yaml", text);
    match (read(), read()) {
        (Ok(topology), Ok(again)) => {
            assert_eq!(json(&topology.lab), json(&again.lab), "read twice, it means two things");
            lab(&topology.lab, &topology.warnings);
            assert_eq!(topology.warnings.to_string(), again.warnings.to_string(), "read twice, it has other warnings");
            assert!(topology.warnings.render(true).len() < LONGEST_REPORT, "warnings that nobody can read");
        }
        (Err(found), Err(again)) => {
            assert_eq!(found.to_string(), again.to_string(), "read twice, it has other faults");
            faults(&found, text);
        }
        _ => panic!("read twice, it is right and wrong"),
    }
}

fn faults(faults: &Diagnostics, text: &str) {
    assert!(!faults.list().is_empty(), "refused without a reason");
    assert!(faults.render(true).len() < LONGEST_REPORT, "a report that nobody can read");
    json(faults);
    let lines = text.split('\n').count();
    for fault in faults.list() {
        assert!((1..=lines).contains(&fault.line) && fault.column > 0, "{fault:?} is outside of the file");
    }
}

fn lab(lab: &Lab, warnings: &Diagnostics) {
    let (nothing, built) = (Observed::default(), plan::as_built(lab));
    let plan = plan::plan(lab, &nothing);
    steps(&plan.steps);
    show::plan(&plan, &[], true);
    json(&show::PlanView::new(&plan, &[], &[], warnings));
    let again = plan::plan(lab, &built);
    assert!(again.is_empty(), "what is built is not as the file says: {}", show::plan(&again, &[], false));
    assert_eq!(plan::conflicts(lab, &built), [], "a lab is in its own way");
    for script in [show::script(lab), show::undo_script(lab)] {
        assert!(!script.contains(is_control_but_newline), "{script:?}");
    }
    steps(&plan::way_back(lab, &nothing, &built).steps);
    let _ = format!("{:?}", Needs::of(lab));
}

/// Everything that the kernel says over netlink about a namespace, and about its nf_tables.
pub fn netlink(bytes: &[u8]) {
    // All are taken for answers to the request that the first message names.
    let sequence = bytes.get(8..12).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
    kernel::tables_and_chains(bytes, sequence);
    let namespace = kernel::namespace_in(bytes, sequence);
    let owner = namespace.is.interfaces.values().find_map(|interface| interface.owner.clone());
    found(owner, &namespace);
}

/// What `iptables-save` prints.
pub fn iptables_save(text: &str) {
    let firewall = iptables::read_saved(Family::Ipv4, text);
    for rule in firewall.chains.values().flatten() {
        let line = iptables::restore_line(rule);
        assert_eq!(iptables::read(Family::Ipv4, &line), *rule, "{line}");
    }
    let counted = iptables::read_counted(Family::Ipv4, text);
    let read = firewall.chains.iter().map(|(chain, rules)| (chain, rules.len()));
    let and_counted = counted.iter().map(|(chain, counted)| (chain, counted.rules.len()));
    assert!(read.eq(and_counted), "counters change nothing");
    let owner = firewall.chains.keys().find_map(|chain| Some(chain.owner()?.0));
    let is = Namespace { firewall: firewall.known(), ..Namespace::default() };
    found(owner, &ObservedNamespace { is, firewall, ..ObservedNamespace::default() });
}

/// A lab with a name server that asks another, for [`dns`].
const NAMES: &str = "name: fuzz
namespaces:
  ns:
    interfaces: { e: { addresses: [10.0.0.1/24] } }
    serve:
      - dns: 53
        forward: other
        zones:
          lab: { web: [10.0.0.80, 'fd00::80'], www: { CNAME: web }, out: { CNAME: www.example.org. }, '*.any': 10.0.0.9,
            a: { CNAME: b }, b: { CNAME: a }, sub: { NS: ns }, '@': { MX: 10 web, TXT: some text }, _s._tcp: { SRV: 0 5 80 web } }
  other:
    interfaces: { e: { addresses: [10.0.0.2/24] } }
    serve: [{ dns: 53, zones: { example.org: { www: 192.0.2.80 } } }]
links: [[ns/e, other/e]]
";

/// A query to a name server, and what the one says that it may ask: the first byte is the length of the query. There is
/// no answer, or one to this query, no longer than its transport takes; and answers are not answered.
pub fn dns(bytes: &[u8]) {
    static ZONES: OnceLock<Zones> = OnceLock::new();
    let zones = ZONES.get_or_init(|| {
        let lab = topology::parse("names", NAMES).expect("a lab").lab;
        let text = lab.etc.namespaces.values().find_map(|files| files.zones.clone()).expect("zones");
        Zones::new(&zones_of_text(&text).expect("zones"))
    });
    let Some((length, rest)) = bytes.split_first() else { return };
    let (query, said) = rest.split_at(rest.len().min(usize::from(*length)));
    for (transport, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        let reply = match dns::answer(query, zones, transport) {
            Answer::Nothing => continue,
            Answer::Reply(reply) => reply,
            Answer::Ask(_) => match dns::complete(query, zones, transport, Some(said)) {
                Some(reply) => reply,
                None => continue,
            },
        };
        assert!((12..=most).contains(&reply.len()), "{} bytes over {transport:?}", reply.len());
        assert!(reply.get(..2) == query.get(..2) && reply.get(2).is_some_and(|flags| flags & 0x80 != 0), "{reply:?}");
        assert_eq!(dns::answer(&reply, zones, transport), Answer::Nothing, "an answer is answered");
    }
}

/// What is found in `host`, or in a namespace of a lab, can be fixed, brought back and removed.
fn found(owner: Option<LabName>, found: &ObservedNamespace) {
    let lab: LabName = owner.unwrap_or_else(|| "fuzz".parse().expect("a name"));
    let red: NsName = "red".parse().expect("a name");
    let is = Namespace { owner: Some(lab.clone()), ..found.is.clone() };
    let own = ObservedNamespace { is, ..found.clone() };
    let live =
        Observed { namespaces: [(NsName::host(), found.clone()), (red.clone(), own)].into(), ..Observed::default() };
    let wanted = Namespace { owner: Some(lab.clone()), ..Namespace::default() };
    let wanted = Lab::of(lab.clone(), [(red, wanted)].into());
    json(&live);
    let _ = plan::conflicts(&wanted, &live);
    steps(&plan::plan(&wanted, &live).steps);
    steps(&plan::way_back(&wanted, &live, &Observed::default()).steps);
    steps(&plan::teardown(&lab, &live, &[]));
}

/// The steps can be shown and inverted; rules can be typed into a shell, and handed to `iptables-restore` on one
/// line each.
fn steps(steps: &[PlannedStep]) {
    for PlannedStep { step, .. } in steps {
        let command = step.command();
        step.script();
        if let Some(back) = step.inverse().as_ref().and_then(Step::inverse) {
            assert_eq!(back.text(), step.text(), "turned round twice");
        }
        if step.firewall().is_some() {
            assert!(is_plain(&command), "a shell has its own ideas about {command}");
            assert_eq!(kernel::restored_rules(std::slice::from_ref(step)).lines().count(), 3, "{step:?}");
        }
    }
}

/// Whether a command has no special character of the shell's outside of single quotes.
fn is_plain(command: &str) -> bool {
    // A quote within quotes.
    let command = command.replace(r"'\''", "");
    let outside = command.split('\'').step_by(2);
    outside.flat_map(str::chars).all(|c| c.is_ascii_alphanumeric() || " -_./:,+=@%!".contains(c))
}

fn is_control_but_newline(c: char) -> bool {
    c.is_control() && c != '\n'
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use nix::time::{ClockId, clock_gettime};

    use super::*;

    /// The processor's time that this thread has had: how busy the machine is makes no difference.
    fn processor_time() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
    }

    /// Hands every input of a target's corpus, and every one that once did harm, to the target's function.
    #[track_caller]
    fn all_inputs(target: &str, run: impl Fn(&[u8])) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let corpus = files(&root.join("corpus").join(target));
        assert!(corpus.len() >= 10, "the corpus of {target} is gone");
        for file in corpus.into_iter().chain(files(&root.join("regressions").join(target))) {
            // Shown if it panics.
            println!("{}", file.display());
            let input = fs::read(&file).unwrap();
            let start = processor_time();
            run(&input);
            let took = processor_time() - start;
            // A second, were it optimised.
            assert!(took < Duration::from_secs(10), "took {took:?}");
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn every_input_of_the_loader() {
        all_inputs("loader", |bytes| loader(&String::from_utf8_lossy(bytes)));
    }

    #[test]
    fn every_input_of_dns() {
        all_inputs("dns", dns);
    }

    #[test]
    fn every_input_of_netlink() {
        all_inputs("netlink", netlink);
    }

    #[test]
    fn every_input_of_iptables_save() {
        all_inputs("iptables_save", |bytes| iptables_save(&String::from_utf8_lossy(bytes)));
    }
}
