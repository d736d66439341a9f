//! Holds the sockets of checks open on one of several machines, until it is told to send, and to end: by lines over a
//! socket, of which each is answered by one.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::batches::Place;
use super::error::CheckError;
use super::harness::Harness;
use super::names::Names;
use super::others::Others;
use super::registry::Registry;
use super::side::{Greetings, Judged, Side};
use super::{batches, greetings, hints, refusals, respond};
use crate::kernel::losses::Losses;
use crate::lab::{Lab, NsName, Protocol, Share};

/// Asks whether all sockets are open; the answer is `yes`.
pub const READY: &str = "ready";
/// Has the probes sent that start here; the answer, when all have come to an end, is `sent`.
pub const SEND: &str = "send";
/// Asks for what this machine says: a word that says which opening of the checks it is of, a space, and JSON.
pub const SAY: &str = "say";
/// With a space and that word, ends if it is of the same opening; without, ends whatever it is. The answer is `ended`.
pub const END: &str = "end";

/// Whoever is told nothing ends by itself.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a client may take to say what it wants, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often to look whether the lab is still there, and whether this process runs.
const LOOK: Duration = Duration::from_millis(100);

/// Opens the sockets, and does as it is told over `listener` until it is told to end, `is_over`, or a quarter of an
/// hour has passed.
///
/// # Errors
/// Nothing can be checked: a namespace is missing, or the kernel refuses sockets.
pub fn stand_by(
    lab: &Lab,
    share: &Share,
    topology: &str,
    listener: UnixListener,
    is_over: impl Fn() -> bool,
) -> Result<(), CheckError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let others = Others::new(tag(topology), ports(lab));
        let harness = Rc::new(Harness::set(lab, Names::default(), Some(share), Registry::with_others(others))?);
        respond::watch(&harness);
        respond::listen(&harness, lab)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let (greetings, took, judged) = (None, Duration::ZERO, Vec::new());
        let losses = harness.losses();
        let opening = format!("{:016x}", RandomState::new().hash_one(topology));
        let slowest = Rc::new(Slowest { so_far: Cell::default(), looked: Cell::new(Instant::now()) });
        spawn_local(Rc::clone(&slowest).watch());
        let mut standing =
            StandingBy { harness, lab, share, topology, opening, slowest, losses, greetings, took, judged };
        let end = Instant::now() + LIFETIME;
        while Instant::now() < end && !is_over() {
            let Ok(accepted) = timeout_at(end.min(Instant::now() + LOOK), listener.accept()).await else { continue };
            let Ok((stream, _)) = accepted else { continue };
            if is_of_own_user(&stream) && standing.serve(stream).await {
                break;
            }
        }
        Ok(())
    })
}

/// The longest time for which nothing was done here, although it was time to.
struct Slowest {
    so_far: Cell<Duration>,
    looked: Cell<Instant>,
}

impl Slowest {
    fn now(&self) -> Duration {
        self.so_far.get().max(self.looked.get().elapsed().saturating_sub(LOOK))
    }

    async fn watch(self: Rc<Self>) {
        loop {
            sleep(LOOK).await;
            self.so_far.set(self.now());
            self.looked.set(Instant::now());
        }
    }
}

/// What the tokens of all machines begin with: a part of the number of the topology.
fn tag(topology: &str) -> u32 {
    topology.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// The ports of TCP at which probes may arrive.
fn ports(lab: &Lab) -> BTreeSet<u16> {
    let tcp = lab.checks.iter().filter_map(|check| match check.protocol {
        Protocol::Tcp(port) => Some((check, port)),
        Protocol::Icmp | Protocol::Udp(_) => None,
    });
    tcp.flat_map(|(check, port)| check.probes.iter().flat_map(|probe| &probe.listen).map(|own| own.1).chain([port]))
        .collect()
}

/// Whether a client may say what is to be done.
fn is_of_own_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

struct StandingBy<'a> {
    harness: Rc<Harness>,
    lab: &'a Lab,
    share: &'a Share,
    topology: &'a str,
    /// Which opening of the checks this is: no other has the same word.
    opening: String,
    /// The longest time for which nothing was done.
    slowest: Rc<Slowest>,
    /// What was lost up to when the sockets were open.
    losses: Losses,
    greetings: Option<Greetings>,
    took: Duration,
    judged: Vec<Judged>,
}

impl StandingBy<'_> {
    /// Does what a client says; whether that is to end. One that goes away, or says nothing, is let go.
    async fn serve(&mut self, stream: UnixStream) -> bool {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        if !matches!(timeout(PATIENCE, stream.read_line(&mut line)).await, Ok(Ok(_))) {
            return false;
        }
        let wanted = line.trim_end();
        let ends = wanted == END || wanted.split_once(' ') == Some((END, self.opening.as_str()));
        let answer = match wanted {
            READY => "yes".to_owned(),
            SEND => match self.send().await {
                Ok(()) => "sent".to_owned(),
                Err(error) => format!("error: {error}"),
            },
            // Its keys are strings, so this cannot fail.
            SAY => format!("{} {}", self.opening, serde_json::to_string(&self.side()).unwrap_or_default()),
            _ if ends => "ended".to_owned(),
            _ => return false,
        };
        let answer = format!("{}\n", answer.replace('\n', " "));
        let told = timeout(PATIENCE, stream.get_mut().write_all(answer.as_bytes())).await;
        ends && matches!(told, Ok(Ok(())))
    }

    /// Sends what starts here.
    async fn send(&mut self) -> Result<(), CheckError> {
        let begin = Instant::now();
        // What was sent before is of another run.
        self.harness.sent.borrow_mut().clear();
        self.judged.clear();
        self.greetings = None;
        let before = greetings::send(&self.harness, self.lab, self.share).await;
        let mut done = batches::run(&self.harness, self.lab, |_| true).await?.results;
        refusals::ask_again(&self.harness, &self.lab.checks, &mut done).await?;
        let is_own = |place: &Place| !self.harness.sent.borrow().contains_key(&place.numbers());
        let own = done.into_iter().filter(|(place, _)| is_own(place)).map(|(place, result)| {
            let (check, probe) = place.numbers();
            Judged { check, probe, result }
        });
        self.judged = own.collect();
        let after = greetings::send(&self.harness, self.lab, self.share).await;
        (self.greetings, self.took) = (Some(Greetings { before, after }), begin.elapsed());
        Ok(())
    }

    /// What this machine says, with all that has arrived until now.
    fn side(&self) -> Side {
        respond::read_all(&self.harness);
        let others = self.harness.registry.others();
        Side {
            lab: self.lab.name.to_string(),
            topology: self.topology.to_owned(),
            machine: self.share.node.to_string(),
            namespaces: self.share.namespaces.iter().map(NsName::to_string).collect(),
            fault: self.fault(),
            lost: hints::losses(&[self.harness.losses().since(self.losses)]),
            greetings: self.greetings.clone(),
            slowest: self.slowest.now().as_secs_f64(),
            took: self.took.as_secs_f64(),
            judged: self.judged.clone(),
            probes: self.harness.sent.borrow().values().cloned().collect(),
            arrived: others.map(Others::all).unwrap_or_default(),
            taken: self.harness.taken(),
        }
    }

    /// Why nothing can be concluded from what was not seen.
    fn fault(&self) -> Option<String> {
        let replaced = self.harness.replaced().map(|ns| format!("{ns} was made anew while the checks were open"));
        let is_full = self.harness.registry.others().is_some_and(Others::is_full);
        replaced.or_else(|| is_full.then(|| "more has arrived than it could write down".to_owned()))
    }
}
