//! What is prepared in the namespaces before the first probe leaves: spare sockets, raw sockets, responders.
//!
//! Knows how to get a socket into a namespace, not what is sent over it.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::stat::fstat;
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

use super::error::CheckError;
use super::names::Names;
use super::registry::Registry;
use super::side::{Sent, port_named};
use crate::kernel::losses::{self, Losses};
use crate::kernel::neighbours::Neighbours;
use crate::kernel::sockets;
use crate::kernel::{Kernel, KernelError, netns, open_files};
use crate::lab::Owners;
use crate::lab::{Asks, Check, Family, IfName, Lab, NsName, Probe, Protocol, Share};

/// How many sockets are opened each time that a namespace is entered.
const SOCKETS_AT_ONCE: usize = 16;

/// A port in a namespace that must answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Port {
    pub ns: NsName,
    pub protocol: sockets::Protocol,
    pub family: Family,
    pub number: u16,
}

/// Which raw socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RawKey {
    pub protocol: sockets::Protocol,
    pub family: Family,
    pub ns: NsName,
}

/// A socket that answers on a port.
#[derive(Debug)]
pub(super) struct Responder {
    pub port: Port,
    pub fd: OwnedFd,
}

/// Who listens at the ports at which a probe may arrive: with several, both may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listeners {
    pub is_nslab: bool,
    pub is_program: bool,
}

/// Everything that probes share.
#[derive(Debug)]
pub(super) struct Harness {
    sites: BTreeMap<NsName, Site>,
    /// The raw sockets that send echo requests, and see what arrives of all protocols, whichever socket answers it.
    pub raw: BTreeMap<RawKey, AsyncFd<OwnedFd>>,
    /// The sockets that answer datagrams.
    pub listeners: RefCell<Vec<Rc<AsyncFd<OwnedFd>>>>,
    /// The ports that other programs use.
    taken: RefCell<BTreeSet<Port>>,
    /// Who has which address.
    pub owners: Owners,
    /// The names that probes go to, resolved.
    pub names: Names,
    /// What is known of the probes.
    pub registry: Registry,
    /// What of the lab is on this machine, where several make it together.
    share: Option<Share>,
    /// What has been sent that others have to see, by place.
    pub sent: RefCell<BTreeMap<(usize, usize), Sent>>,
    /// How many more descriptors may be in use at once.
    pub descriptors: Semaphore,
    /// The port that the next TCP connection comes from, counted from the first one that Linux would choose.
    next_port: Cell<u16>,
}

/// The ports that Linux chooses from (`ip_local_port_range` in ip(7)).
const FIRST_PORT: u16 = 32_768;
const PORTS: u16 = 28_232;

/// One namespace.
#[derive(Debug)]
struct Site {
    fd: OwnedFd,
    spare: RefCell<HashMap<(sockets::Protocol, Family), Vec<OwnedFd>>>,
    neighbours: OnceCell<Neighbours>,
}

impl Site {
    fn new(fd: OwnedFd) -> Self {
        Self { fd, spare: RefCell::default(), neighbours: OnceCell::new() }
    }
}

impl Harness {
    /// Opens every namespace of the lab that is on this machine, and the raw sockets that its checks need.
    ///
    /// # Errors
    /// The lab is not there, or the kernel refuses sockets.
    pub(super) fn set(lab: &Lab, names: Names, share: Option<&Share>, registry: Registry) -> Result<Self, CheckError> {
        let limit = open_files::raise();
        let mut harness = Self {
            sites: open_sites(lab, share)?,
            share: share.cloned(),
            sent: RefCell::default(),
            raw: BTreeMap::new(),
            listeners: RefCell::default(),
            taken: RefCell::default(),
            owners: Owners::of(lab),
            names,
            registry,
            descriptors: Semaphore::new(0),
            next_port: Cell::new(RandomState::new().hash_one("port") as u16 % PORTS),
        };
        for key in raw_sockets(lab, harness.sites.keys()).into_iter().chain(harness.for_greetings()) {
            let fd = harness.take(&key.ns, key.protocol, key.family)?;
            harness.raw.insert(key, sockets::watched(fd)?);
        }
        harness.clear_spares();
        let in_use = 3 * harness.sites.len() + harness.raw.len() + harness.ports(lab).len();
        // Half of what is left stays free for spare sockets and for whatever else the process has open.
        harness.descriptors.add_permits((limit.saturating_sub(in_use) / 2).clamp(16, 4096));
        Ok(harness)
    }

    /// The sockets that listen on the ports that the lab's checks need; which of them another program uses is noted.
    ///
    /// # Errors
    /// The kernel refuses a socket.
    pub(super) fn listen(&self, lab: &Lab) -> Result<Vec<Responder>, CheckError> {
        let mut responders = Vec::new();
        for port in self.ports(lab) {
            let fd = self.take(&port.ns, port.protocol, port.family)?;
            let what = || KernelError::new(format!("listen on {} port {} in {}", port.protocol, port.number, port.ns));
            if port.protocol == sockets::Protocol::Udp {
                sockets::give_room(&fd).map_err(|errno| what().with_errno(errno))?;
            }
            let address = SocketAddr::new(sockets::any_address(port.family), port.number);
            match sockets::serve(&fd, port.protocol, address) {
                Ok(()) => responders.push(Responder { port, fd }),
                Err(Errno::EADDRINUSE) => {
                    self.taken.borrow_mut().insert(port);
                }
                Err(errno) => {
                    let error = if errno == Errno::EACCES { what().hint(sockets::CHECKS_NEED) } else { what() };
                    return Err(error.with_errno(errno).into());
                }
            }
        }
        self.clear_spares();
        Ok(responders)
    }

    /// What one of several machines needs to hear the others, and to be heard: see [`super::greetings`].
    fn for_greetings(&self) -> Vec<RawKey> {
        let Some(share) = self.share.as_ref().filter(|_| self.registry.others().is_some()) else { return Vec::new() };
        let families: BTreeSet<Family> = share.addresses.iter().copied().map(Family::of).collect();
        let both = |family| [sockets::Protocol::Icmp, sockets::Protocol::RawUdp].map(|protocol| (protocol, family));
        let key = |(protocol, family)| RawKey { protocol, family, ns: share.node.clone() };
        families.into_iter().flat_map(both).map(key).collect()
    }

    /// Which of its namespaces is no longer the one that was opened: another has its name, or none.
    pub(super) fn replaced(&self) -> Option<&NsName> {
        let identity = |fd: BorrowedFd<'_>| fstat(fd).ok().map(|stat| (stat.st_dev, stat.st_ino));
        let is_same = |(ns, site): &(&NsName, &Site)| {
            let now = netns::open(&name_here(self.share.as_ref(), ns));
            now.is_ok_and(|now| identity(now.as_fd()) == identity(site.fd.as_fd()))
        };
        self.sites.iter().find(|one| !is_same(one)).map(|(ns, _)| ns)
    }

    /// The ports on this machine that must answer while the lab's checks run.
    fn ports(&self, lab: &Lab) -> BTreeSet<Port> {
        ports(lab).into_iter().filter(|port| self.is_here(&port.ns)).collect()
    }

    /// Whether a namespace is on this machine.
    pub(super) fn is_here(&self, ns: &NsName) -> bool {
        self.share.as_ref().is_none_or(|share| share.holds(ns))
    }

    /// Whether a probe may arrive at another machine, which then has to say so.
    pub(super) fn is_for_others(&self, check: &Check, probe: &Probe) -> bool {
        let mut wanted = probe.arrives_at.iter().chain(&probe.endpoints).chain(&check.answered_by).peekable();
        self.share.is_some() && (wanted.peek().is_none() || wanted.any(|ns| !self.is_here(ns)))
    }

    /// Whether a probe is sent from here: it starts here, and whoever has to see it is asked as well. To names, and to
    /// name servers, only one machine sends alone: other machines would not know to what a name leads, and DNS has no
    /// room for what packets are known by.
    pub(super) fn sends(&self, check: &Check, probe: &Probe) -> bool {
        if !self.is_here(&probe.from) {
            return false;
        }
        let is_for_others = self.is_for_others(check, probe);
        match self.registry.others() {
            None => !is_for_others,
            Some(_) => probe.to.name.is_none() && !(is_for_others && matches!(check.asks, Some(Asks::Dns(_)))),
        }
    }

    /// What was lost up to now, by the machine and by the sockets that see probes arrive.
    pub(super) fn losses(&self) -> Losses {
        let listeners = self.listeners.borrow();
        let all = self.raw.values().chain(listeners.iter().map(Rc::as_ref));
        Losses { sockets: all.map(|socket| losses::of_socket(socket.get_ref())).sum(), ..Losses::now() }
    }

    /// The ports that other programs have, each as [`port_named`] has it.
    pub(super) fn taken(&self) -> Vec<String> {
        let protocol = |Port { protocol, number, .. }: &Port| match protocol {
            sockets::Protocol::Tcp => Protocol::Tcp(*number),
            _ => Protocol::Udp(*number),
        };
        self.taken.borrow().iter().map(|port| port_named(&port.ns, protocol(port))).collect()
    }

    /// A fresh socket of a namespace.
    ///
    /// # Errors
    /// The kernel refuses it, or the namespace is none of the lab's.
    pub(super) fn take(
        &self,
        ns: &NsName,
        protocol: sockets::Protocol,
        family: Family,
    ) -> Result<OwnedFd, KernelError> {
        let nothing = || KernelError::new(format!("find a socket in namespace {ns}"));
        let site = self.sites.get(ns).ok_or_else(nothing)?;
        let mut spare = site.spare.borrow_mut();
        let spare = spare.entry((protocol, family)).or_default();
        if spare.is_empty() {
            let count = match protocol {
                sockets::Protocol::Icmp | sockets::Protocol::RawTcp | sockets::Protocol::RawUdp => 1,
                sockets::Protocol::Tcp | sockets::Protocol::Udp => SOCKETS_AT_ONCE,
            };
            spare.extend(sockets::open_in(site.fd.as_fd(), &[(protocol, family, count)])?);
        }
        spare.pop().ok_or_else(nothing)
    }

    /// The number of an interface of a namespace.
    ///
    /// # Errors
    /// There is no such interface.
    pub(super) fn index(&self, ns: &NsName, dev: &IfName) -> Result<u32, KernelError> {
        let nothing = || KernelError::new(format!("find interface {dev} in namespace {ns}"));
        let site = self.sites.get(ns).ok_or_else(nothing)?;
        netns::run_in(site.fd.as_fd(), || if_nametoindex(dev.as_str()))?.map_err(|e| nothing().with_errno(e))
    }

    /// A port to come from that no other connection of this run has used lately: connection tracking asks the rules
    /// anew, and does not take it for the one before.
    pub(super) fn fresh_port(&self) -> u16 {
        FIRST_PORT + self.next_port.replace((self.next_port.get() + 1) % PORTS)
    }

    /// Closes the sockets that were fetched and not used.
    pub(super) fn clear_spares(&self) {
        self.sites.values().for_each(|site| site.spare.borrow_mut().clear());
    }

    /// Makes room in the kernel's table of neighbours: the lab's own namespaces (never the host) forget their
    /// neighbours, except those that they are still asking for if `spare_asked`. How many these are.
    ///
    /// # Errors
    /// The kernel refuses to list them.
    pub(super) fn forget_neighbours<'a>(
        &self,
        namespaces: impl Iterator<Item = &'a NsName>,
        spare_asked: bool,
    ) -> Result<usize, KernelError> {
        let mut spared = 0;
        let is_machine = |ns: &NsName| ns.is_host() || self.share.as_ref().is_some_and(|share| share.node == *ns);
        for site in namespaces.filter(|ns| !is_machine(ns)).filter_map(|ns| self.sites.get(ns)) {
            if site.neighbours.get().is_none() {
                let _ = site.neighbours.set(Neighbours::open(site.fd.as_fd())?);
            }
            spared += site.neighbours.get().map_or(Ok(0), |neighbours| neighbours.forget(spare_asked))?;
        }
        Ok(spared)
    }

    /// Who has the ports at which a probe may arrive: all of them, or those of the namespace where it has arrived.
    pub(super) fn listeners(&self, check: &Check, probe: &Probe, arrived: Option<&NsName>) -> Listeners {
        let here = |port: &Port| arrived.is_none_or(|ns| port.ns == *ns);
        let (taken, own): (Vec<Port>, Vec<Port>) =
            ports_of(check, probe).filter(here).partition(|port| self.taken.borrow().contains(port));
        Listeners { is_nslab: check.asks.is_none() && !own.is_empty(), is_program: !taken.is_empty() }
    }
}

/// What a socket has to speak for this.
fn socket_protocol(protocol: Protocol) -> sockets::Protocol {
    match protocol {
        Protocol::Icmp => sockets::Protocol::Icmp,
        Protocol::Tcp(_) => sockets::Protocol::Tcp,
        Protocol::Udp(_) => sockets::Protocol::Udp,
    }
}

/// What a raw socket has to speak to see it arrive.
pub(super) fn raw_protocol(protocol: Protocol) -> sockets::Protocol {
    match protocol {
        Protocol::Icmp => sockets::Protocol::Icmp,
        Protocol::Tcp(_) => sockets::Protocol::RawTcp,
        Protocol::Udp(_) => sockets::Protocol::RawUdp,
    }
}

/// Makes sure that the namespaces of a lab's checks are there, and the lab's.
///
/// # Errors
/// They are not.
pub fn is_applied(lab: &Lab, share: Option<&Share>) -> Result<(), CheckError> {
    open_sites(lab, share).map(drop)
}

fn open_sites(lab: &Lab, share: Option<&Share>) -> Result<BTreeMap<NsName, Site>, CheckError> {
    let mut sites = BTreeMap::new();
    let mut missing = Vec::new();
    let is_here = |ns: &&NsName| share.is_none_or(|share| share.holds(ns));
    for ns in namespaces(lab).into_iter().filter(is_here) {
        match netns::open(&name_here(share, ns)) {
            Ok(fd) => {
                sites.insert(ns.clone(), Site::new(fd));
            }
            Err(error) if error.errno() == Some(Errno::ENOENT) => missing.push(ns.clone()),
            Err(error) => return Err(error.into()),
        }
    }
    // The others take no part, but may answer in another's place, and have neighbours. Whether one that is missing
    // matters, the checks find out by themselves.
    for ns in lab.namespaces.keys().filter(is_here) {
        if !sites.contains_key(ns)
            && let Ok(fd) = netns::open(&name_here(share, ns))
        {
            sites.insert(ns.clone(), Site::new(fd));
        }
    }
    if !missing.is_empty() {
        return Err(CheckError::NotApplied { lab: lab.name.clone(), missing });
    }
    are_its_own(lab, share, &sites)?;
    Ok(sites)
}

/// Makes sure that the names lead to namespaces of the lab, each to one of its own. One without a mark was made by
/// hand, and may be checked like any other.
fn are_its_own(lab: &Lab, share: Option<&Share>, sites: &BTreeMap<NsName, Site>) -> Result<(), CheckError> {
    let owners = Kernel::open()?.owners()?;
    let owner = |ns: &NsName| owners.get(&name_here(share, ns)).filter(|owner| **owner != lab.name);
    let other = |ns: &NsName| owner(ns).map(|owner| (ns.clone(), owner.clone()));
    let others: Vec<_> = sites.keys().filter_map(other).collect();
    if !others.is_empty() {
        return Err(CheckError::Others { lab: lab.name.clone(), others });
    }
    let mut names: HashMap<(u64, u64), &NsName> = HashMap::new();
    let host = (NsName::host(), netns::open(&NsName::host())?);
    // Where several machines make the lab, one of its namespaces is the host.
    let host = share.is_none().then_some((&host.0, host.1.as_fd()));
    let all = sites.iter().map(|(ns, site)| (ns, site.fd.as_fd())).chain(host);
    for (ns, fd) in all {
        let Ok(stat) = fstat(fd) else { continue };
        if let Some(first) = names.insert((stat.st_dev, stat.st_ino), ns).filter(|first| *first != ns) {
            return Err(CheckError::SameNamespace { name: first.clone(), other: ns.clone() });
        }
    }
    Ok(())
}

/// What a namespace of a lab is called on this machine.
fn name_here<'n>(share: Option<&Share>, ns: &'n NsName) -> Cow<'n, NsName> {
    share.map_or(Cow::Borrowed(ns), |share| Cow::Owned(share.name_here(ns)))
}

/// The namespaces that take part: senders, destinations, those that answer. Where a destination is an address that no
/// namespace of the lab has (a published address, say), any of them may be the one to answer.
fn namespaces(lab: &Lab) -> BTreeSet<&NsName> {
    let probes = || lab.checks.iter().flat_map(|check| &check.probes);
    let mut namespaces: BTreeSet<&NsName> = lab.checks.iter().filter_map(|check| check.answered_by.as_ref()).collect();
    for probe in probes() {
        namespaces.insert(&probe.from);
        namespaces.extend(&probe.to.ns);
        namespaces.extend(probe.listen.iter().map(|(ns, _)| ns));
    }
    namespaces.extend(lab.exec_checks.iter().flat_map(|check| &check.from));
    if probes().any(|probe| probe.to.ns.is_none()) {
        namespaces.extend(lab.namespaces.keys());
    }
    namespaces
}

/// What is sent over a protocol and family needs a raw socket in every namespace: any may see it arrive.
fn raw_sockets<'a>(lab: &Lab, namespaces: impl Iterator<Item = &'a NsName> + Clone) -> BTreeSet<RawKey> {
    let kinds = lab.checks.iter().flat_map(|check| {
        // What is too much for a datagram comes over TCP.
        let also = matches!(check.asks, Some(Asks::Dns(_))).then_some(sockets::Protocol::RawTcp);
        let protocols = [raw_protocol(check.protocol)].into_iter().chain(also);
        protocols.flat_map(|protocol| check.probes.iter().map(move |probe| (protocol, Family::of(probe.to.address))))
    });
    let kinds: BTreeSet<(sockets::Protocol, Family)> = kinds.collect();
    let key = |protocol, family, ns: &NsName| RawKey { protocol, family, ns: ns.clone() };
    kinds.iter().flat_map(|(protocol, family)| namespaces.clone().map(|ns| key(*protocol, *family, ns))).collect()
}

fn ports(lab: &Lab) -> BTreeSet<Port> {
    // What is asked of a program, a program answers.
    let checks = lab.checks.iter().filter(|check| check.protocol != Protocol::Icmp && check.asks.is_none());
    checks.flat_map(|check| check.probes.iter().flat_map(move |probe| ports_of(check, probe))).collect()
}

/// The ports that must answer while a probe runs.
fn ports_of(check: &Check, probe: &Probe) -> impl Iterator<Item = Port> {
    let (protocol, family) = (socket_protocol(check.protocol), Family::of(probe.to.address));
    probe.listen.iter().map(move |(ns, number)| Port { ns: ns.clone(), protocol, family, number: *number })
}
