//! Veth pairs, made.

use super::command::ip;
use super::interface::InterfaceStep;
use super::operation::{Operation, Reach};
use super::{NewInterface, Phase, Tier};
use crate::lab::{IfName, LabName, NsName};

/// Make a veth pair, both interfaces in place at once, with one queue for each direction whatever the number of
/// processors: a veth passes packets on in the sender's own time, so more would not make it faster, only slower to
/// make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethStep {
    /// The interface that can be up and attached from the start. It is the one in `host` if there is one: `ip` has no
    /// word for the host's namespace after `netns`.
    pub main: NewInterface,
    /// The bridge that the main interface is a port of.
    pub master: Option<IfName>,
    /// Whether the main interface is up from the start.
    pub up: bool,
    /// The other interface; it is down and has no master.
    pub peer: NewInterface,
    /// The lab it is for; marked on an interface that is in `host`.
    pub lab: LabName,
}

/// The queues of each interface.
const QUEUES: &str = " numtxqueues 1 numrxqueues 1";

impl VethStep {
    /// The way back.
    pub(super) fn inverse(&self) -> InterfaceStep {
        self.main.removal(Tier::Base)
    }
}

impl Operation for VethStep {
    fn text(&self) -> String {
        let (main, peer) = (&self.main.interface, &self.peer.interface);
        let port = self.master.as_ref().map(|master| format!(", {main} a port of {master}")).unwrap_or_default();
        format!("connect {main} and {peer} with a veth pair{port}")
    }

    fn command(&self) -> String {
        let (main, peer) = (&self.main.interface, &self.peer.interface);
        let master = self.master.as_ref().map(|master| format!(" master {master}")).unwrap_or_default();
        let up = if self.up { " up" } else { "" };
        let netns = if main.ns == peer.ns { String::new() } else { format!(" netns {}", peer.ns) };
        let (of_main, of_peer) = (self.main.settings(&self.lab), self.peer.settings(&self.lab));
        format!(
            "{} link add name {}{QUEUES}{of_main}{master}{up} type veth peer name {}{QUEUES}{of_peer}{netns}",
            ip(&main.ns),
            main.name,
            peer.name,
        )
    }

    fn script(&self) -> Vec<String> {
        let aliases = [&self.main, &self.peer].into_iter().filter_map(|new| new.alias(&self.lab));
        [self.command()].into_iter().chain(aliases).collect()
    }

    fn phase(&self) -> Phase {
        Phase::AddVeths
    }

    fn kind(&self) -> &'static str {
        "connect with a veth pair"
    }

    fn namespace(&self) -> NsName {
        self.main.interface.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }

    fn brings_mac_address(&self) -> bool {
        true
    }
}
