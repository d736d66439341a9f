//! What programs in namespaces find in `/etc`: files of the lab, and the links by which `ip netns exec` finds them.

use super::Phase;
use super::change::Change;
use super::operation::{Operation, Reach};
use crate::iptables::shell_word;
use crate::lab::{EtcFiles, EtcHosts, LabName, NsName, ZONES};

/// A step on these files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcFilesStep {
    /// The hosts file that namespaces of a lab share gets another text, comes or goes.
    Hosts {
        /// The lab.
        lab: LabName,
        /// Its text.
        change: Change<Option<String>>,
    },
    /// The files of one namespace change.
    Files {
        /// The lab.
        lab: LabName,
        /// The namespace.
        ns: NsName,
        /// The files.
        change: Change<EtcFiles>,
    },
}

impl EtcFilesStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        match self {
            Self::Hosts { lab, change } => Self::Hosts { lab: lab.clone(), change: change.inverse() },
            Self::Files { lab, ns, change } => {
                Self::Files { lab: lab.clone(), ns: ns.clone(), change: change.inverse() }
            }
        }
    }

    fn removes(&self) -> bool {
        match self {
            Self::Hosts { change, .. } => change.to.is_none(),
            Self::Files { change, .. } => change.to == EtcFiles::default(),
        }
    }
}

impl Operation for EtcFilesStep {
    fn text(&self) -> String {
        match self {
            Self::Hosts { .. } if self.removes() => "remove the names of the lab's namespaces".to_owned(),
            Self::Hosts { .. } => "write down the names of the lab's namespaces".to_owned(),
            Self::Files { ns, change, .. } => {
                let Written { changed, gone } = Written::of(change);
                let link = format!("/etc/netns/{ns}");
                let of_server = |is: bool| if is { "the zones" } else { "" };
                let (from, to) = (&change.from.zones, &change.to.zones);
                let words = [
                    ("write ", list(&changed)),
                    ("remove ", list(&gone)),
                    ("write ", of_server(to.is_some() && from != to).to_owned()),
                    ("remove ", of_server(from.is_some() && to.is_none()).to_owned()),
                ];
                let words: Vec<String> = words
                    .iter()
                    .filter(|(_, of)| !of.is_empty())
                    .map(|(verb, of)| format!("{verb}{of} of {ns}"))
                    .collect();
                match words.as_slice() {
                    [] if change.to.linked => format!("make the link {link}"),
                    [] => format!("remove the link {link}"),
                    words => words.join(", "),
                }
            }
        }
    }

    fn command(&self) -> String {
        self.script().join("; ")
    }

    fn script(&self) -> Vec<String> {
        match self {
            Self::Hosts { lab, change } => {
                let folder = folder_of_lab(lab);
                match &change.to {
                    Some(text) => [make(&folder)].into_iter().chain(write(text, &format!("{folder}/.hosts"))).collect(),
                    None => vec![format!("rm -f {folder}/.hosts"), clear(&folder)],
                }
            }
            Self::Files { lab, ns, change } => files(&format!("{}/{ns}", folder_of_lab(lab)), ns, change),
        }
    }

    fn phase(&self) -> Phase {
        if self.removes() { Phase::Forget } else { Phase::SetEtcFiles }
    }

    fn kind(&self) -> &'static str {
        "write what is in /etc"
    }

    // The files are the machine's, and do not go with the namespace.
    fn namespace(&self) -> NsName {
        NsName::host()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}

/// Which files of a namespace are written, and which go, by their paths.
struct Written {
    changed: Vec<&'static str>,
    gone: Vec<&'static str>,
}

impl Written {
    fn of(Change { from, to }: &Change<EtcFiles>) -> Self {
        let is_same = |path: &str| match path {
            HOSTS => from.hosts == to.hosts,
            HOSTNAME => from.hostname == to.hostname,
            _ => from.resolv_conf == to.resolv_conf,
        };
        let stays = to.paths();
        Self {
            changed: stays.iter().filter(|path| !is_same(path)).copied().collect(),
            gone: from.paths().into_iter().filter(|path| !stays.contains(path)).collect(),
        }
    }
}

const HOSTS: &str = "/etc/hosts";
const HOSTNAME: &str = "/etc/hostname";

/// Where the files of a lab are.
fn folder_of_lab(lab: &LabName) -> String {
    format!("/run/nslab/{lab}/etc")
}

/// The name of a file in a folder.
fn name(path: &str) -> &str {
    path.strip_prefix("/etc/").unwrap_or(path)
}

fn make(folder: &str) -> String {
    format!("(umask 077; mkdir -p {folder})")
}

/// Removes a folder and those that it is in, as far as nothing else is in them.
fn clear(folder: &str) -> String {
    format!("rmdir -p {folder} 2>/dev/null || true")
}

/// Writes a file that everybody may read. None of the texts has anything in it that `printf` would take for its own.
fn write(text: &str, path: &str) -> Vec<String> {
    vec![format!("printf '{}' > {path}", text.replace('\n', "\\n")), format!("chmod 644 {path}")]
}

fn files(folder: &str, ns: &NsName, change: &Change<EtcFiles>) -> Vec<String> {
    let Change { from, to } = change;
    let Written { changed, gone } = Written::of(change);
    let mut commands = Vec::new();
    if *from == EtcFiles::default() {
        commands.push(make(folder));
    }
    for path in changed {
        let file = format!("{folder}/{}", name(path));
        match (path, &to.hosts) {
            (HOSTS, Some(EtcHosts::Own(text))) => {
                commands.push(format!("rm -f {file}"));
                commands.extend(write(text, &file));
            }
            (HOSTS, _) => commands.push(format!("ln -sfn ../.hosts {file}")),
            (HOSTNAME, _) => commands.extend(to.hostname.iter().flat_map(|text| write(text, &file))),
            _ => commands.extend(to.resolv_conf.iter().flat_map(|text| write(text, &file))),
        }
    }
    commands.extend(zones(ns, folder, change));
    if !gone.is_empty() {
        let files: String = gone.iter().map(|path| format!(" {folder}/{}", name(path))).collect();
        commands.push(format!("rm -f{files}"));
    }
    if *to == EtcFiles::default() {
        commands.push(clear(folder));
    }
    match (from.linked, to.linked) {
        (false, true) => {
            // The sticky bit says that nslab has made the folder, and may remove it.
            commands.push("[ -d /etc/netns ] || mkdir -m 1755 /etc/netns".to_owned());
            commands.push(format!("ln -sfn {folder} /etc/netns/{ns}"));
        }
        (true, false) => {
            commands.push(format!("rm -f /etc/netns/{ns}"));
            commands.push(format!("if [ -k /etc/netns ]; then {}; fi", clear("/etc/netns")));
        }
        _ => {}
    }
    commands
}

/// Writes what the name server of a namespace knows, or removes it.
fn zones(ns: &NsName, folder: &str, Change { from, to }: &Change<EtcFiles>) -> Vec<String> {
    let zones = format!("{}{ZONES}", folder.strip_suffix(ns.as_str()).unwrap_or(folder));
    match (&from.zones, &to.zones) {
        (from, to) if from == to => Vec::new(),
        (_, Some(text)) => vec![
            make(&zones),
            format!("printf '%s\\n' {} > {zones}/{ns}", shell_word(text.trim_end())),
            format!("chmod 644 {zones}/{ns}"),
        ],
        (_, None) => vec![format!("rm -f {zones}/{ns}"), clear(&zones)],
    }
}

/// "a, b and c"
fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
