//! Programs: what is to run in a namespace, when it counts as ready, and how it is ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LabName, NsName, PortProtocol, ProgramName, Server};

/// A program that runs in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What it is.
    #[serde(flatten)]
    pub runs: Runs,
    /// Variables of its environment, besides those that every program has.
    pub environment: BTreeMap<String, String>,
    /// The user that it runs as, by name or number; nslab's own by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The directory in which it starts; none: the folder of its files, or `/` where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub directory: Option<String>,
    /// Files that are written for it, with their text, into a folder of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub files: BTreeMap<String, String>,
    /// Certificates of the lab's own authority that are made for it, by name, each with its hosts: `NAME.crt` and
    /// `NAME.key` in the folder of its files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub certificates: BTreeMap<String, BTreeSet<String>>,
    /// The signal at which it reads its files anew; none: it is started anew where they have changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reload: Option<StopSignal>,
    /// When it counts as ready.
    pub ready: Ready,
    /// How long it may take until it is.
    pub within: Duration,
    /// The programs that have to be ready, or done, before it starts.
    pub needs: BTreeSet<ProgramRef>,
    /// What happens when it ends.
    pub restart: Restart,
    /// How it is told to end.
    pub stop: Stop,
    /// What each of its processes may use.
    pub limits: Limits,
}

/// What a program is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runs {
    /// A command and its arguments: never empty.
    Command(Vec<String>),
    /// Built-in servers: never empty.
    Servers(Vec<Server>),
}

/// A program of a lab: `NAMESPACE/PROGRAM`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProgramRef {
    /// The namespace.
    pub ns: NsName,
    /// Its name there.
    pub name: ProgramName,
}

/// When a program counts as ready.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// Once it has run for a moment, or has done its work.
    #[default]
    Running,
    /// One of its processes listens at a port.
    Port {
        /// The port.
        number: u16,
        /// TCP or UDP.
        protocol: PortProtocol,
    },
    /// A file is there, as the program sees it.
    File(String),
    /// A line of its output has this in it.
    Line(String),
    /// A command in the namespace ends with 0.
    Command(Vec<String>),
    /// Once it has begun: built-in servers open their ports before that, or fail.
    Begun,
}

/// Whether a program that has ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// No.
    #[default]
    Never,
    /// Unless its exit code was 0.
    OnFailure,
    /// Always.
    Always,
}

/// How a program is told to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The signal that all of its processes get.
    pub signal: StopSignal,
    /// How long they have until they are killed.
    pub grace: Duration,
}

/// A signal by which programs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // Their names are those of signal(7).
pub enum StopSignal {
    Hup,
    Int,
    Quit,
    Kill,
    Usr1,
    Usr2,
    Term,
    Winch,
}

/// What each process of a program may use (getrlimit(2)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory for data (`RLIMIT_DATA`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<u64>,
    /// Open files (`RLIMIT_NOFILE`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub open_files: Option<u64>,
}

/// A program as the one who holds it shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedProgram {
    /// What was started.
    pub program: Program,
    /// How it is.
    pub state: ProgramState,
    /// Its first process, while there is one.
    pub pid: Option<i32>,
    /// The process that keeps it: all of its processes are below that.
    pub keeper: Option<i32>,
    /// Where its output begins: before that is the output of what it was before. None: it has none yet.
    pub output: Option<Position>,
    /// Since when it has been so, in milliseconds since 1970.
    pub since: u64,
    /// Whether it was ready at some time since it was first started.
    pub was_ready: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// How it has ended the last time.
    pub ended: Option<Ended>,
    /// Why it is not as it should be, in words.
    pub why: Option<String>,
    /// Whether it runs in the namespace that has the name now.
    pub is_inside: bool,
}

/// How far into a program's output: so many bytes of the file of this number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The number of the file (its inode).
    pub file: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// How a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramState {
    /// It waits for others.
    Waiting,
    /// It runs and is not ready yet.
    Starting,
    /// It runs and is ready.
    Running,
    /// It has ended and will be started again.
    Restarting,
    /// It has done its work.
    Done,
    /// It has failed, or could not be started.
    Failed,
    /// It is being ended.
    Stopping,
}

/// How a program has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// With an exit code.
    Code(i32),
    /// By the number of a signal.
    Signal(i32),
}

/// Where the commands of programs are looked for, unless one has a PATH of its own.
pub const PROGRAM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The time that a program has to become ready, by default.
pub const READY_WITHIN: Duration = Duration::from_secs(10);

/// The time that built-in servers have to become ready: a port that is taken may be about to be given up.
pub const SERVERS_WITHIN: Duration = Duration::from_secs(1);

/// The time that a program has between the signal and being killed, by default.
pub const GRACE: Duration = Duration::from_secs(5);

/// The certificate of the authority that signs the certificates of a lab's programs.
pub fn authority_file(lab: &LabName) -> String {
    format!("/run/nslab/{lab}/ca.crt")
}

/// The files of a certificate of a program, and of its key.
pub fn certificate_files(name: &str) -> [String; 2] {
    [format!("{name}.crt"), format!("{name}.key")]
}

impl Program {
    /// The signal by which a running program becomes another one, once that one's files are written; none: it has to
    /// be started anew.
    pub fn reloads_as(&self, other: &Self) -> Option<StopSignal> {
        let (files, certificates) = (other.files.clone(), other.certificates.clone());
        self.reload.filter(|_| Self { files, certificates, ..self.clone() } == *other)
    }

    /// The names of its files, with those of its certificates.
    pub fn file_names(&self) -> BTreeSet<String> {
        let own = self.certificates.keys().flat_map(|name| certificate_files(name));
        own.chain(self.files.keys().cloned()).collect()
    }

    /// Built-in servers, which have a program of their own in each namespace.
    pub fn of_servers(servers: Vec<Server>) -> Self {
        let plain = Self::plain(Runs::Servers(servers));
        Self { ready: Ready::Begun, within: SERVERS_WITHIN, restart: Restart::Always, ..plain }
    }

    /// One of which nothing is said but what it runs.
    pub fn plain(runs: Runs) -> Self {
        Self {
            runs,
            environment: BTreeMap::new(),
            user: None,
            directory: None,
            files: BTreeMap::new(),
            certificates: BTreeMap::new(),
            reload: None,
            ready: Ready::Running,
            within: READY_WITHIN,
            needs: BTreeSet::new(),
            restart: Restart::Never,
            stop: Stop { signal: StopSignal::Term, grace: GRACE },
            limits: Limits::default(),
        }
    }

    /// What it is called in messages: "program red/web", or "the servers of red".
    pub fn called(&self, name: &ProgramRef) -> String {
        match self.runs {
            Runs::Command(_) => format!("program {name}"),
            Runs::Servers(_) => format!("the servers of {}", name.ns),
        }
    }
}

impl ObservedProgram {
    /// One that runs as it should.
    pub fn running(program: Program) -> Self {
        Self {
            program,
            state: ProgramState::Running,
            pid: None,
            keeper: None,
            output: None,
            since: 0,
            was_ready: true,
            restarts: 0,
            ended: None,
            why: None,
            is_inside: true,
        }
    }

    /// Why it counts as one that is not there: it would have to be started; none where it is as it should be.
    pub fn why_gone(&self) -> Option<String> {
        if !self.is_inside {
            return Some("it runs in a namespace that is no longer there".to_owned());
        }
        match self.state {
            ProgramState::Running | ProgramState::Restarting | ProgramState::Done => None,
            ProgramState::Starting if self.was_ready => None,
            ProgramState::Waiting | ProgramState::Starting => Some("it is not ready yet".to_owned()),
            ProgramState::Stopping => Some("it is being ended".to_owned()),
            ProgramState::Failed => Some(self.failure()),
        }
    }

    /// Why it has failed, in words.
    pub fn failure(&self) -> String {
        match (&self.why, self.ended) {
            (Some(why), _) => why.clone(),
            (None, Some(ended)) => format!("it {ended}"),
            (None, None) => "it has failed".to_owned(),
        }
    }
}

impl Position {
    /// Goes back by so many bytes.
    pub fn back(&mut self, bytes: usize) {
        self.offset = self.offset.saturating_sub(bytes as u64);
    }
}

impl StopSignal {
    /// The signals with their names.
    pub const ALL: [(&str, Self); 8] = [
        ("TERM", Self::Term),
        ("INT", Self::Int),
        ("QUIT", Self::Quit),
        ("HUP", Self::Hup),
        ("USR1", Self::Usr1),
        ("USR2", Self::Usr2),
        ("WINCH", Self::Winch),
        ("KILL", Self::Kill),
    ];

    /// Its name without `SIG`, as `kill -l` has it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, signal)| *signal == self).map_or("TERM", |(name, _)| name)
    }
}

impl fmt::Display for ProgramRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ns, self.name)
    }
}

impl fmt::Display for ProgramState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// "ended with exit code 1", "was ended by signal 9".
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}
