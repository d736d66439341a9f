//! Whether a program is ready: whether it listens, whether its file is there.
//!
//! Facts from proc(5) and proc_pid_net(5).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_link, read_to_string};

use nix::unistd::Pid;

use super::tree::descendants;
use crate::lab::PortProtocol;

/// A socket of TCP that listens (`TCP_LISTEN` in the kernel's tcp_states.h).
const LISTENS: &str = "0A";
/// A socket of UDP that is not connected (`TCP_CLOSE`).
const NOT_CONNECTED: &str = "07";

/// Whether one of a keeper's descendants listens at a port.
pub(super) fn listens(keeper: Pid, port: u16, protocol: PortProtocol) -> bool {
    at(keeper, &[protocol], |number| number == port).next().is_some()
}

/// The ports at which a keeper's descendants listen.
pub(crate) fn ports(keeper: i32) -> BTreeSet<(u16, PortProtocol)> {
    at(Pid::from_raw(keeper), &[PortProtocol::Tcp, PortProtocol::Udp], |_| true).collect()
}

/// The ports among those asked for at which a keeper's descendants listen.
fn at(
    keeper: Pid,
    protocols: &[PortProtocol],
    is_asked: impl Fn(u16) -> bool,
) -> impl Iterator<Item = (u16, PortProtocol)> {
    let processes: Vec<Pid> = descendants(keeper).into_iter().map(|(pid, _)| pid).collect();
    let first = processes.first().copied();
    let of = |protocol: PortProtocol| {
        let sockets = first.map(|first| listening(first, protocol)).unwrap_or_default();
        sockets.into_iter().map(move |(inode, port)| (inode, (port, protocol)))
    };
    let mut sockets: BTreeMap<String, (u16, PortProtocol)> = protocols.iter().copied().flat_map(of).collect();
    sockets.retain(|_, (port, _)| is_asked(*port));
    let held: BTreeSet<String> = match sockets.is_empty() {
        true => BTreeSet::new(),
        false => processes.into_iter().flat_map(sockets_of).collect(),
    };
    sockets.into_iter().filter(move |(inode, _)| held.contains(inode)).map(|(_, port)| port)
}

/// The sockets in the network namespace of a process that listen, by inode, with their ports.
fn listening(of: Pid, protocol: PortProtocol) -> BTreeMap<String, u16> {
    let (files, wanted) = match protocol {
        PortProtocol::Udp => (["udp", "udp6"], NOT_CONNECTED),
        PortProtocol::Tcp | PortProtocol::Sctp => (["tcp", "tcp6"], LISTENS),
    };
    let texts = files.iter().filter_map(|file| read_to_string(format!("/proc/{of}/net/{file}")).ok());
    let inode = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, _, _, inode, ..] = words.as_slice() else { return None };
        let (_, number) = local.split_once(':')?;
        let port = u16::from_str_radix(number, 16).ok()?;
        (*state == wanted).then(|| ((*inode).to_owned(), port))
    };
    texts.flat_map(|text| text.lines().filter_map(inode).collect::<Vec<_>>()).collect()
}

/// The inodes of a process's sockets.
fn sockets_of(pid: Pid) -> Vec<String> {
    let files = read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let names = files.filter_map(|file| read_link(file.path()).ok());
    names.filter_map(|name| Some(name.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// Whether a file is there, as the descendants of a process see it.
pub(super) fn file_is_there(keeper: Pid, path: &str) -> bool {
    let first = descendants(keeper).into_iter().next();
    first.is_some_and(|(pid, _)| std::path::Path::new(&format!("/proc/{pid}/root{path}")).exists())
}
