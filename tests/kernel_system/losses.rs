//! What sockets lose for want of room.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use nix::sys::socket::{setsockopt, sockopt};
use nslab::kernel::losses;

use super::support::sandbox;

#[test]
fn what_a_socket_has_no_room_for_is_counted() -> std::io::Result<()> {
    sandbox();
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let to = socket.local_addr()?;
    setsockopt(&socket, sockopt::RcvBuf, &4096)?;
    let receiver = OwnedFd::from(socket);
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.send_to(b"one", to)?;
    assert_eq!(losses::of_socket(&receiver), 0);
    for _ in 0..100 {
        sender.send_to(b"many", to)?;
    }
    let lost = losses::of_socket(&receiver);
    assert!((50..100).contains(&lost), "{lost} of 101 packets");
    Ok(())
}
