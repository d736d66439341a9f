//! The addresses of the machine's own interfaces, as the C library lists them (getifaddrs(3)).

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use super::KernelError;
use crate::lab::{IfName, is_global};

/// Each address of this thread's network namespace that others can reach it by, with its interface.
///
/// # Errors
/// The kernel refuses to list them.
pub fn list() -> Result<Vec<(IpAddr, IfName)>, KernelError> {
    let refused = |errno| KernelError::new("list the addresses of this machine").with_errno(errno);
    let own = getifaddrs().map_err(refused)?.filter_map(|interface| {
        let address = interface.address?;
        let ipv4 = address.as_sockaddr_in().map(|own| IpAddr::from(own.ip()));
        let address = ipv4.or_else(|| address.as_sockaddr_in6().map(|own| own.ip().into()))?;
        // What it calls an interface is the label of the address, as `eth1:0` (netdevice(7)).
        let name = interface.interface_name.split(':').next()?;
        Some((address, name.parse().ok()?))
    });
    Ok(own.filter(|(address, _)| is_global(*address)).collect())
}
