//! Programs, started, ended and started anew.

use std::collections::BTreeSet;

use super::operation::{Batch, Operation, Reach};
use super::{Change, Phase, Update};
use crate::iptables::shell_word;
use crate::lab::{LabName, NsName, Program, ProgramRef, Runs, Server, StopSignal};

/// A step on a program. One that has changed is ended, and started as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStep {
    /// The lab that it is for.
    pub lab: LabName,
    /// The program.
    pub program: ProgramRef,
    /// What was started and is to be started.
    pub change: Update<Box<Program>>,
}

impl ProgramStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        Self { lab: self.lab.clone(), program: self.program.clone(), change: self.change.inverse() }
    }

    /// What starts it by hand, in the background.
    fn start(&self, program: &Program) -> String {
        let ns = &self.program.ns;
        let own = [
            format!("NSLAB_LAB={}", self.lab),
            format!("NSLAB_NS={ns}"),
            format!("NSLAB_PROGRAM={}/{}", self.lab, self.program),
        ];
        let given = program.environment.iter().map(|(key, value)| format!("{key}={value}"));
        let variables: Vec<String> = own.into_iter().chain(given).map(|text| shell_word(&text)).collect();
        let user = program.user.as_ref().map(|user| {
            let user = shell_word(user);
            format!("setpriv --reuid {user} --regid \"$(id -g {user})\" --init-groups ")
        });
        let limits = [("data", program.limits.memory), ("nofile", program.limits.open_files)];
        let limits: String =
            limits.iter().filter_map(|(of, limit)| limit.map(|limit| format!(" --{of}={limit}"))).collect();
        let limits = if limits.is_empty() { limits } else { format!("prlimit{limits} ") };
        let words = match &program.runs {
            Runs::Command(words) => words.clone(),
            Runs::Servers(servers) => {
                ["nslab", "serve"].map(str::to_owned).into_iter().chain(servers.iter().map(Server::argument)).collect()
            }
        };
        let command: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        let own_folder = if program.files.is_empty() { "/".to_owned() } else { self.folder() };
        format!(
            "{}setsid ip netns exec {ns} env -C {} {} {}{limits}{} < /dev/null > /dev/null 2>&1 &",
            self.write_files(program),
            shell_word(program.directory.as_ref().unwrap_or(&own_folder)),
            variables.join(" "),
            user.unwrap_or_default(),
            command.join(" ")
        )
    }

    /// The folder of its files.
    fn folder(&self) -> String {
        format!("/run/nslab/{}/files/{}", self.lab, self.program)
    }

    /// What writes its files by hand; nothing where it has none.
    fn write_files(&self, program: &Program) -> String {
        if program.files.is_empty() {
            return String::new();
        }
        let folder = self.folder();
        // What the program itself may have put there is removed first: it may be a link.
        let write = |(name, text): (&String, &String)| {
            format!("rm -f {folder}/{name}; printf %s {} > {folder}/{name}; ", shell_word(text))
        };
        let files: String = program.files.iter().map(write).collect();
        let certificates: String =
            program.certificates.iter().map(|(name, hosts)| self.certificate(name, hosts)).collect();
        let owner = program.user.as_ref().map(|user| format!("chown -hR {} {folder}; ", shell_word(user)));
        format!("mkdir -p {folder}; {files}{certificates}{}", owner.unwrap_or_default())
    }

    /// What makes a certificate by hand, and the authority that signs it.
    fn certificate(&self, name: &str, hosts: &BTreeSet<String>) -> String {
        const NEW: &str = "openssl req -x509 -days 3650 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
        let (lab, folder) = (format!("/run/nslab/{}", self.lab), self.folder());
        let first = hosts.iter().next().map_or("", String::as_str);
        let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let names = shell_word(&format!("subjectAltName={}", names.join(",")));
        format!(
            "[ -e {lab}/ca.key ] || {NEW} -subj '/CN=authority of the lab {}/O=nslab' -keyout {lab}/ca.key -out {lab}/ca.crt; \
             {NEW} -CA {lab}/ca.crt -CAkey {lab}/ca.key -subj {} -addext {names} -keyout {folder}/{name}.key \
             -out {folder}/{name}.crt; ",
            self.lab,
            shell_word(&format!("/CN={first}"))
        )
    }

    /// What signals it by hand: whoever has its name in the environment, or is where its files are.
    fn signal(&self, program: &Program, signal: StopSignal) -> String {
        let name = format!("NSLAB_PROGRAM={}/{}", self.lab, self.program).replace('.', "\\.");
        let has_folder = !program.files.is_empty() && program.directory.is_none();
        // Some write their title over their environment (nginx).
        let is_there = format!(" || [ \"$(readlink /proc/$pid/cwd)\" = {} ]", self.folder());
        let is_there = if has_folder { is_there } else { String::new() };
        format!(
            "for pid in $(ip netns pids {}); do if tr '\\0' '\\n' < /proc/$pid/environ | grep -qx '{name}'{is_there}; \
             then kill -{} $pid; fi; done",
            self.program.ns,
            signal.name()
        )
    }

    /// What ends it by hand.
    fn end(&self, program: &Program) -> String {
        let ended = self.signal(program, program.stop.signal);
        let ended = if program.files.is_empty() { ended } else { format!("{ended}; rm -rf {}", self.folder()) };
        if program.certificates.is_empty() {
            return ended;
        }
        // The authority goes with the last certificate of it.
        let lab = format!("/run/nslab/{}", self.lab);
        format!("{ended}; ls {lab}/files/*/*/*.crt > /dev/null 2>&1 || rm -f {lab}/ca.crt {lab}/ca.key")
    }
}

impl Operation for ProgramStep {
    fn text(&self) -> String {
        let called = |program: &Program| program.called(&self.program);
        let servers = |program: &Program| match &program.runs {
            Runs::Command(_) => String::new(),
            Runs::Servers(servers) => {
                let servers: Vec<String> = servers.iter().map(Server::to_string).collect();
                format!(": {}", servers.join(", "))
            }
        };
        match &self.change {
            Update::Add(to) => format!("start {}{}", called(to), servers(to)),
            Update::Remove(from) => format!("end {}{}", called(from), servers(from)),
            Update::Replace(Change { from, to }) => match from.reloads_as(to) {
                Some(signal) => {
                    let files = if to.file_names().len() == 1 { "file" } else { "files" };
                    format!("write the {files} of {} anew, and send it {}", called(to), signal.name())
                }
                None => {
                    let it = if matches!(to.runs, Runs::Command(_)) { "it" } else { "them" };
                    format!("end {}, and start {it} as the file has {it}{}", called(from), servers(to))
                }
            },
        }
    }

    fn command(&self) -> String {
        match &self.change {
            Update::Add(to) => self.start(to),
            Update::Remove(from) => self.end(from),
            Update::Replace(Change { from, to }) => match from.reloads_as(to) {
                Some(signal) => format!("{}{}", self.write_files(to), self.signal(to, signal)),
                None => format!("{}; {}", self.end(from), self.start(to)),
            },
        }
    }

    fn phase(&self) -> Phase {
        match self.change {
            Update::Remove(_) => Phase::EndPrograms,
            Update::Add(_) | Update::Replace(_) => Phase::StartPrograms,
        }
    }

    fn kind(&self) -> &'static str {
        match self.change {
            Update::Add(_) => "start a program",
            Update::Remove(_) => "end a program",
            Update::Replace(_) => "end a program and start it anew, or let it read its files anew",
        }
    }

    fn namespace(&self) -> NsName {
        self.program.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }

    fn batch(&self) -> Option<Batch> {
        match self.change {
            Update::Remove(_) => Some(Batch::ProgramEnds),
            Update::Add(_) | Update::Replace(_) => Some(Batch::ProgramStarts),
        }
    }
}
