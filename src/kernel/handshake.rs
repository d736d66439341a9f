//! The handshakes of WireGuard interfaces: begun by a packet, and looked for.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, SystemTime};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;

use super::netns::run_in;
use super::objects::wireguard;
use super::{Kernel, KernelError};
use crate::lab::InterfaceRef;

/// The port of what is thrown away (RFC 863).
const DISCARD: u16 = 9;

/// So long after a handshake, a peer takes packets without another one (`REJECT_AFTER_TIME`), less a rest.
const LASTING: Duration = Duration::from_secs(170);

impl Kernel {
    /// Sends an empty datagram through an interface, and no other, so that the peer that it is for is spoken to.
    ///
    /// # Errors
    /// The namespace cannot be entered, or sends nothing there.
    pub fn send_nothing(&mut self, from: &InterfaceRef, to: IpAddr) -> Result<(), KernelError> {
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let send = || {
            let socket = UdpSocket::bind((any, 0))?;
            setsockopt(&socket, BindToDevice, &OsString::from(from.name.as_str()))?;
            socket.send_to(&[], (to, DISCARD))
        };
        let sent: std::io::Result<usize> = run_in(self.handles.get(&from.ns)?.fd(), send)?;
        sent.map(drop).map_err(|error| KernelError::new(format!("send from {from} to {to}")).with_io(&error))
    }

    /// Whether one WireGuard interface has had a handshake with another one that still lasts.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn has_session(&mut self, from: &InterfaceRef, to: &InterfaceRef) -> Result<bool, KernelError> {
        let (_, own) = self.wireguard(from)?;
        let (_, other) = self.wireguard(to)?;
        let latest = other.key.and_then(|key| own.heard.get(&key.public()).copied());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(latest.is_some_and(|latest| now.saturating_sub(Duration::from_secs(latest)) < LASTING))
    }

    fn wireguard(&mut self, interface: &InterfaceRef) -> Result<wireguard::Device, KernelError> {
        let looked = run_in(self.handles.get(&interface.ns)?.fd(), || wireguard::get(&interface.name))?;
        looked.map_err(|error| error.about(format!("look at {interface}")))
    }
}
