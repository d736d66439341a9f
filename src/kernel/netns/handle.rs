//! The namespaces that are open: for each, its file descriptor, a netlink socket in it, and the indexes of its
//! interfaces as far as they are known. What is open holds the namespace, so what is deleted is closed first.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkHeader, LinkMessage};
use nix::errno::Errno;
use nix::sys::stat::fstat;

use super::NetnsGuard;
use crate::failpoint;
use crate::kernel::netlink::{NetlinkError, Socket};
use crate::kernel::threads::{Queue, share};
use crate::kernel::{KernelError, netns};
use crate::lab::{IfName, LabName, Mark, NsName, Remembered};

/// One open namespace.
pub(in crate::kernel) struct NetnsHandle {
    fd: OwnedFd,
    pub socket: Socket,
    indexes: HashMap<IfName, u32>,
    /// From which generation of its firewall to which each change of nslab's own has led.
    own_changes: Vec<(u32, u32)>,
}

impl NetnsHandle {
    pub fn new(fd: OwnedFd, socket: Socket) -> Self {
        Self { fd, socket, indexes: HashMap::new(), own_changes: Vec::new() }
    }

    /// Notes a change of the firewall that was made by some transactions, if there were no others between these
    /// generations.
    pub fn note_change(&mut self, before: u32, after: u32, transactions: u32) {
        if before.checked_add(transactions) == Some(after) {
            self.own_changes.push((before, after));
        }
    }

    /// The generation that nslab's own changes have led to from one that was read.
    pub fn own_generation(&self, read: u32) -> u32 {
        let follow = |at, &(before, after): &(u32, u32)| if before == at { after } else { at };
        self.own_changes.iter().fold(read, follow)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// An interface's index. Asked for by name where it is not known: listing all interfaces for it would make the
    /// building of a lab quadratic.
    pub fn index(&mut self, name: &IfName) -> Result<u32, NetlinkError> {
        if let Some(&index) = self.indexes.get(name) {
            return Ok(index);
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_string()));
        let answer = self.socket.get(RouteNetlinkMessage::GetLink(message)).map_err(|error| match error.errno {
            Errno::ENODEV => NetlinkError { ext_ack_message: Some(format!("there is no interface {name}")), ..error },
            _ => error,
        })?;
        let index = LinkHeader::parse(&answer)?.index;
        self.indexes.insert(name.clone(), index);
        Ok(index)
    }

    /// Takes over what a listing of all interfaces has shown.
    pub fn learn(&mut self, indexes: HashMap<IfName, u32>) {
        self.indexes = indexes;
    }

    /// To be called when an interface is removed, or made.
    pub fn forget(&mut self, name: &IfName) {
        self.indexes.remove(name);
    }
}

/// All open namespaces by name.
pub(in crate::kernel) struct NetnsHandles {
    open: HashMap<NsName, NetnsHandle>,
    /// What no longer has a name, but is still held.
    removed: Vec<NetnsHandle>,
    /// What the marks of what is made say besides whose it is.
    pub remembered: Remembered,
    /// Whether `/run/netns` is as it takes to make namespaces.
    directory_is_ready: bool,
}

impl NetnsHandles {
    /// With the calling thread's namespace as `host`.
    pub fn open() -> Result<Self, KernelError> {
        let host = NsName::host();
        let socket = Socket::open().map_err(|error| KernelError::new("open a netlink socket").with_io(&error))?;
        let netns = NetnsHandle::new(netns::open(&host)?, socket);
        Ok(Self {
            open: HashMap::from([(host, netns)]),
            removed: Vec::new(),
            remembered: Remembered::default(),
            directory_is_ready: false,
        })
    }

    /// Prepares `/run/netns`, once.
    pub fn prepare_directory(&mut self) -> Result<(), KernelError> {
        if !self.directory_is_ready {
            netns::create::prepare_directory()?;
            self.directory_is_ready = true;
        }
        Ok(())
    }

    /// A namespace that is open, or can be opened.
    pub fn get(&mut self, ns: &NsName) -> Result<&mut NetnsHandle, KernelError> {
        if !self.open.contains_key(ns) {
            self.add(ns.clone(), open(&NetnsGuard::begin()?, ns, netns::open(ns)?)?);
        }
        self.open.get_mut(ns).ok_or_else(|| cannot_open_socket(ns))
    }

    /// Those that are open, `host` first.
    pub fn all(&mut self) -> Vec<(&NsName, &mut NetnsHandle)> {
        let mut all: Vec<_> = self.open.iter_mut().collect();
        all.sort_by_key(|(ns, _)| (!ns.is_host(), *ns));
        all
    }

    /// The mark of a lab's objects.
    pub fn mark(&self, lab: &LabName) -> Mark {
        let Remembered { settings, routes } = self.remembered.clone();
        Mark { lab: lab.clone(), settings, routes }
    }

    pub fn add(&mut self, ns: NsName, netns: NetnsHandle) {
        self.open.insert(ns, netns);
    }

    /// Closes a namespace that is being removed; see [`Self::let_go`].
    pub fn close(&mut self, ns: &NsName) {
        self.removed.extend(self.open.remove(ns));
    }

    /// Lets the kernel free what has been removed. All at once: while it frees some, the removal of further ones is
    /// several times as slow.
    pub fn let_go(&mut self) {
        self.removed.clear();
    }

    /// Opens namespaces, and closes all but those and `host`. What is open under a name stays open only if it still is
    /// that namespace. Which could not be entered, and why (those of another user, for one).
    pub fn open_exactly(&mut self, found: Vec<(NsName, OwnedFd)>) -> Result<Vec<(NsName, KernelError)>, KernelError> {
        let names: HashSet<&NsName> = found.iter().map(|(ns, _)| ns).collect();
        self.open.retain(|ns, _| ns.is_host() || names.contains(ns));
        let mut new = Vec::new();
        for (ns, fd) in found {
            match self.open.get(&ns) {
                Some(netns) if is_same(netns.fd(), fd.as_fd()) => {}
                _ => {
                    self.open.remove(&ns);
                    new.push((ns, fd));
                }
            }
        }
        let mut refused = Vec::new();
        for (ns, opened) in share(new, open_all).into_iter().flatten() {
            match opened {
                Ok(netns) => self.add(ns, netns),
                Err(error) if error.errno() == Some(Errno::EMFILE) => return Err(error),
                Err(error) => refused.push((ns, error)),
            }
        }
        Ok(refused)
    }
}

/// Opens namespaces in one of some threads.
fn open_all(queue: &Queue<(NsName, OwnedFd)>) -> Vec<(NsName, Result<NetnsHandle, KernelError>)> {
    let visit = NetnsGuard::begin();
    let open = |(ns, fd): (NsName, OwnedFd)| {
        let opened = visit.as_ref().map_err(Clone::clone).and_then(|visit| open(visit, &ns, fd));
        (ns, opened)
    };
    std::iter::from_fn(|| queue.next()).map(open).collect()
}

fn open(visit: &NetnsGuard, ns: &NsName, fd: OwnedFd) -> Result<NetnsHandle, KernelError> {
    let refused = |errno| KernelError::new(format!("enter namespace {ns}")).with_errno(errno);
    failpoint::look(&"namespace", ns).map_err(refused)?;
    visit.enter(fd.as_fd())?;
    let socket = Socket::open().map_err(|error| cannot_open_socket(ns).with_io(&error))?;
    Ok(NetnsHandle::new(fd, socket))
}

fn cannot_open_socket(ns: &NsName) -> KernelError {
    KernelError::new(format!("open a netlink socket in {ns}"))
}

/// Whether two file descriptors are of one namespace: the same file of the kernel's nsfs.
fn is_same(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    match (fstat(a), fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}
