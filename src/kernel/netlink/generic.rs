//! Generic netlink: parts of the kernel that are known by a name, and get their number when they are loaded
//! (Documentation/networking/generic_netlink.rst of the kernel; numbers from linux/genetlink.h).

use netlink_packet_core::parse_u16;
use nix::errno::Errno;

use super::socket::{Dump, Protocol, Socket};
use super::{NetlinkError, append, attributes};

const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// The length of `struct genlmsghdr` in bytes.
pub const GENERIC_HEADER: usize = 4;

/// A socket to one such part.
pub struct GenericSocket {
    socket: Socket,
    family: u16,
    version: u8,
}

impl GenericSocket {
    /// Opens a socket in the calling thread's network namespace to the part of a name (`ENOENT` where there is none).
    pub fn open(name: &str, version: u8) -> Result<Self, NetlinkError> {
        let mut socket = Socket::open_to(Protocol::Generic)?;
        let mut request = header(CTRL_CMD_GETFAMILY, 1);
        append(&mut request, CTRL_ATTR_FAMILY_NAME, &[name.as_bytes(), &[0]].concat());
        let answer = socket.get_bytes(GENL_ID_CTRL, &request)?;
        for attribute in attributes(answer.get(GENERIC_HEADER..).unwrap_or_default()) {
            if let (CTRL_ATTR_FAMILY_ID, value) = attribute? {
                return Ok(Self { socket, family: parse_u16(value)?, version });
            }
        }
        Err(Errno::EBADMSG.into())
    }

    /// Asks for a change and waits until it is made.
    pub fn change(&mut self, command: u8, attributes: &[u8]) -> Result<(), NetlinkError> {
        let message = [&header(command, self.version), attributes].concat();
        self.socket.change_listed(self.family, &message, 0)
    }

    /// Asks for all things of a kind; each message of the answer begins with a header.
    pub fn dump(&mut self, command: u8, attributes: &[u8]) -> Result<Dump, NetlinkError> {
        self.socket.dump_bytes(self.family, &[&header(command, self.version), attributes].concat())
    }
}

fn header(command: u8, version: u8) -> Vec<u8> {
    vec![command, version, 0, 0]
}
