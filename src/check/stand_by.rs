//! Holds the sockets of checks open on one of several machines, until it is told to send, and to end: by lines over a
//! socket, of which each is answered by one.

use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::CheckError;
use super::harness::Harness;
use super::names::Names;
use super::registry::Registry;
use super::report::CheckResult;
use super::side::{Judged, Side, Times, now};
use super::{batches, refusals, respond};
use crate::lab::{Lab, NsName, Share};

/// Asks whether all sockets are open; the answer is `yes`.
pub const READY: &str = "ready";
/// Has the probes sent that start here; the answer, when all have come to an end, is `sent`.
pub const SEND: &str = "send";
/// Asks for what this machine says, as JSON, and ends.
pub const END: &str = "end";

/// Whoever is told nothing ends by itself.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to look whether the lab is still there.
const LOOK: Duration = Duration::from_millis(500);

/// What is known of the lab beside the model: the number of its topology, the results of its commands.
pub struct Known {
    /// The number of the topology; see [`Side`].
    pub topology: String,
    /// Runs the commands of checks in the namespaces that are here.
    pub commands: Box<dyn Fn() -> Vec<CheckResult>>,
}

/// Opens the sockets, and does as it is told over `listener` until it is told to end, `is_over`, or a quarter of an
/// hour has passed.
///
/// # Errors
/// Nothing can be checked: a namespace is missing, or the kernel refuses sockets.
pub fn stand_by(
    lab: &Lab,
    share: &Share,
    known: &Known,
    listener: UnixListener,
    is_over: impl Fn() -> bool,
) -> Result<(), CheckError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let harness = Rc::new(Harness::set(lab, Names::default(), Some(share), Registry::with_others())?);
        respond::watch(&harness);
        respond::listen(&harness, lab)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let (opened, sent, judged, commands) = (now(), None, Vec::new(), Vec::new());
        let mut standing = StandingBy { harness, lab, share, known, opened, sent, judged, commands };
        let end = Instant::now() + LIFETIME;
        while Instant::now() < end && !is_over() {
            let Ok(accepted) = timeout_at(end.min(Instant::now() + LOOK), listener.accept()).await else { continue };
            let stream = accepted?.0;
            if is_of_own_user(&stream) && standing.serve(stream).await {
                break;
            }
        }
        Ok(())
    })
}

/// Whether a client may say what is to be done.
fn is_of_own_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

struct StandingBy<'a> {
    harness: Rc<Harness>,
    lab: &'a Lab,
    share: &'a Share,
    known: &'a Known,
    opened: f64,
    sent: Option<Times>,
    judged: Vec<Judged>,
    commands: Vec<CheckResult>,
}

impl StandingBy<'_> {
    /// Does what a client says; whether that is to end. One that goes away, or says nothing, is let go.
    async fn serve(&mut self, stream: UnixStream) -> bool {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        if !matches!(timeout(PATIENCE, stream.read_line(&mut line)).await, Ok(Ok(_))) {
            return false;
        }
        let answer = match line.trim_end() {
            READY => "yes".to_owned(),
            SEND => match self.send().await {
                Ok(()) => "sent".to_owned(),
                Err(error) => format!("error: {error}"),
            },
            // Its keys are strings, so this cannot fail.
            END => serde_json::to_string(&self.side()).unwrap_or_default(),
            _ => return false,
        };
        let told = stream.get_mut().write_all(format!("{}\n", answer.replace('\n', " ")).as_bytes()).await;
        line.trim_end() == END && told.is_ok()
    }

    /// Sends what starts here.
    async fn send(&mut self) -> Result<(), CheckError> {
        let from = now();
        self.commands = (self.known.commands)();
        let mut done = batches::run(&self.harness, self.lab, |_| true).await?.results;
        refusals::ask_again(&self.harness, &self.lab.checks, &mut done).await?;
        let sent = self.harness.sent.borrow();
        let own = done.into_iter().filter(|(place, _)| !sent.contains_key(&place.numbers()));
        self.judged = own
            .map(|(place, result)| {
                let (check, probe) = place.numbers();
                Judged { check, probe, result }
            })
            .collect();
        self.sent = Some(Times { from, to: now() });
        Ok(())
    }

    /// What this machine says.
    fn side(&self) -> Side {
        Side {
            lab: self.lab.name.to_string(),
            topology: self.known.topology.clone(),
            machine: self.share.node.to_string(),
            namespaces: self.share.namespaces.iter().map(NsName::to_string).collect(),
            open: Times { from: self.opened, to: now() },
            sent: self.sent,
            judged: self.judged.clone(),
            commands: self.commands.clone(),
            probes: self.harness.sent.borrow().values().cloned().collect(),
            arrived: self.harness.registry.arrived_of_others(),
            taken: self.harness.taken(),
        }
    }
}
