//! What programs find in `/etc`: which files are missing or other than they should be, and which go.

use super::draft::{Draft, EXTRA, MISSING};
use crate::lab::{EtcFiles, LabEtc, LabName, NsName};
use crate::steps::{Change, EtcFilesStep, Step};

/// Plans the files of a lab's namespaces.
pub(super) fn compare(lab: &LabName, want: &LabEtc, is: &LabEtc, draft: &mut Draft) {
    let hosts = |draft: &mut Draft| {
        let change = Change { from: is.hosts.clone(), to: want.hosts.clone() };
        let why = match (&is.hosts, &want.hosts) {
            (None, _) => MISSING,
            (_, None) => EXTRA,
            _ => "it is another text",
        };
        draft.add(Step::EtcFiles(EtcFilesStep::Hosts { lab: lab.clone(), change }), why);
    };
    let has_other_hosts = want.hosts != is.hosts;
    if has_other_hosts && want.hosts.is_some() {
        hosts(draft);
    }
    let nothing = EtcFiles::default();
    let gone = is.namespaces.keys().filter(|ns| !want.namespaces.contains_key(*ns));
    for ns in want.namespaces.keys().chain(gone) {
        let of = |etc: &LabEtc| etc.namespaces.get(ns).unwrap_or(&nothing).clone();
        let change = Change { from: of(is), to: of(want) };
        if change.from != change.to {
            let why = why(&change);
            draft.add(Step::EtcFiles(EtcFilesStep::Files { lab: lab.clone(), ns: ns.clone(), change }), why);
        }
    }
    if has_other_hosts && want.hosts.is_none() {
        hosts(draft);
    }
}

/// The steps that remove all files of a lab.
pub(super) fn removal(lab: &LabName, is: &LabEtc) -> Vec<Step> {
    let files = |(ns, files): (&NsName, &EtcFiles)| EtcFilesStep::Files {
        lab: lab.clone(),
        ns: ns.clone(),
        change: Change { from: files.clone(), to: EtcFiles::default() },
    };
    let hosts = is
        .hosts
        .clone()
        .map(|text| EtcFilesStep::Hosts { lab: lab.clone(), change: Change { from: Some(text), to: None } });
    is.namespaces.iter().map(files).chain(hosts).map(Step::EtcFiles).collect()
}

fn why(change: &Change<EtcFiles>) -> String {
    let (from, to) = (&change.from, &change.to);
    if *from == EtcFiles::default() {
        return MISSING.to_owned();
    }
    if *to == EtcFiles::default() {
        return EXTRA.to_owned();
    }
    let differ = [
        (from.hosts != to.hosts, "hosts"),
        (from.hostname != to.hostname, "hostname"),
        (from.resolv_conf != to.resolv_conf, "resolv.conf"),
        (from.zones != to.zones, "what its name server knows"),
        (from.linked != to.linked, "the link in /etc/netns"),
    ];
    let words: Vec<&str> = differ.into_iter().filter(|(differs, _)| *differs).map(|(_, word)| word).collect();
    format!("{} {} not as it should be", words.join(", "), if words.len() == 1 { "is" } else { "are" })
}
