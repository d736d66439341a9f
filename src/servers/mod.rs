//! Built-in servers: all those of one namespace, in one thread, which has to be inside.
//!
//! A file for each kind, one for the connections of those that have some, and one for what they say: a line for each
//! request, connection or datagram, at the standard output. However a client behaves, the others are served, and what
//! is kept for it is limited. Nothing is read from a file but what a name server knows. The room does not know who
//! starts servers, nor what a topology file is.

mod connections;
mod dns;
mod http;
mod named;
mod said;
mod tcp;
mod udp;

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::errno::Errno;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

use self::dns::NameServer;
use self::named::Named;
use crate::kernel::KernelError;
use crate::kernel::sockets::{self, Protocol};
use crate::lab::{Family, NsName, PortProtocol, Server, ServerKind};

/// Serves until the process ends. `ns` is what the servers call themselves; `is_open` is called once all ports are
/// open.
///
/// # Errors
/// A port is taken, or the kernel refuses a socket.
pub(crate) fn run(ns: &NsName, servers: &[Server], is_open: impl FnOnce()) -> Result<Infallible, KernelError> {
    let refused = |error: std::io::Error| KernelError::new("run built-in servers").with_io(&error);
    let runtime = Builder::new_current_thread().enable_io().enable_time().build().map_err(refused)?;
    LocalSet::new().block_on(&runtime, async {
        for server in servers {
            let named = Rc::new(Named { ns: ns.clone(), server: server.clone() });
            let names = match &server.kind {
                ServerKind::Dns(file) => Some(NameServer::new(&named, file)?),
                _ => None,
            };
            for protocol in server.protocols() {
                for socket in open(server, *protocol)? {
                    let started = match &names {
                        Some(names) => start_names(names, *protocol, socket),
                        None => start(&named, socket),
                    };
                    started.map_err(refused)?;
                }
            }
        }
        is_open();
        pending().await
    })
}

/// The sockets of a server and a protocol: one of each family that it serves.
fn open(server: &Server, protocol: PortProtocol) -> Result<Vec<OwnedFd>, KernelError> {
    let protocol = match protocol {
        PortProtocol::Udp => Protocol::Udp,
        PortProtocol::Tcp | PortProtocol::Sctp => Protocol::Tcp,
    };
    let refused = |errno| {
        let error = KernelError::new(format!("serve {server}")).with_errno(errno);
        match errno {
            Errno::EADDRINUSE => {
                error.hint("another program there has the port: `ss -lntup` in the namespace shows which")
            }
            _ => error,
        }
    };
    if let Some(address) = server.address {
        let socket = sockets::open_server(protocol, SocketAddr::new(address, server.port));
        return Ok(vec![socket.map_err(refused)?]);
    }
    let mut open = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        match sockets::open_server(protocol, SocketAddr::new(sockets::any_address(family), server.port)) {
            // A kernel without IPv6.
            Err(Errno::EAFNOSUPPORT) if family == Family::Ipv6 => {}
            socket => open.push(socket.map_err(refused)?),
        }
    }
    Ok(open)
}

fn start(named: &Rc<Named>, socket: OwnedFd) -> std::io::Result<()> {
    let named = named.clone();
    match &named.server.kind {
        ServerKind::Http(_) => {
            let listener = TcpListener::from_std(socket.into())?;
            spawn_local(connections::accept(listener, move |stream| http::converse(named.clone(), stream)));
        }
        ServerKind::Tcp => {
            let listener = TcpListener::from_std(socket.into())?;
            spawn_local(connections::accept(listener, move |stream| tcp::converse(named.clone(), stream)));
        }
        ServerKind::Udp => {
            let socket = sockets::watched(socket)?;
            spawn_local(udp::answer(named, socket));
        }
        // It has more than a socket of its own: see `start_names`.
        ServerKind::Dns(_) => {}
    }
    Ok(())
}

fn start_names(server: &Rc<NameServer>, protocol: PortProtocol, socket: OwnedFd) -> std::io::Result<()> {
    let server = server.clone();
    if protocol == PortProtocol::Udp {
        spawn_local(dns::answer_datagrams(server, sockets::watched(socket)?));
    } else {
        let listener = TcpListener::from_std(socket.into())?;
        spawn_local(connections::accept(listener, move |stream| dns::converse(server.clone(), stream)));
    }
    Ok(())
}
