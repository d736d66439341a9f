//! UDP: every datagram goes back to where it came from; before one of text, a line that says who answers.
//!
//! What is no text goes back as it is, so that programs get what they sent: a measurement, a packet as large as a path
//! lets through.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;

use super::named::Named;
use crate::kernel::sockets::{self, Received};

/// No datagram is larger.
const LARGEST: usize = 65_535;

/// Ports below are those of servers. They are not answered: two servers that answer each other never end.
const FIRST_OF_CLIENTS: u16 = 1024;

/// Answers until the runtime ends.
pub(super) async fn answer(named: Rc<Named>, socket: AsyncFd<OwnedFd>) {
    let mut buffer = vec![0; LARGEST];
    loop {
        if let Ok(received) = socket.async_io(sockets::ANYTHING, |fd| Ok(sockets::receive(fd, &mut buffer)?)).await {
            answer_one(&named, socket.get_ref(), received, buffer.get(..received.length).unwrap_or_default());
        }
        // However much comes, the other servers have their turn.
        yield_now().await;
    }
}

fn answer_one(named: &Named, socket: &OwnedFd, received: Received, datagram: &[u8]) {
    let (from, port) = (received.from, named.server.port);
    // The kernel says to which address it came, of every datagram.
    let Some(to) = received.to else { return };
    let at = SocketAddr::new(to, port);
    let is_of_a_client = from.port() >= FIRST_OF_CLIENTS && from.port() != port;
    let unanswered = if is_of_a_client { "" } else { ", not answered: it comes from the port of a server" };
    named.tell(from, at, format_args!(": {} bytes{unanswered}", datagram.len()));
    if is_of_a_client {
        let introduction = match is_text(datagram) {
            true => format!("{} to {from}\n", named.introduction(at)),
            false => String::new(),
        };
        let answer = [introduction.as_bytes(), datagram].concat();
        // From the address that was asked: from any other it would not count as an answer. One that cannot be sent is
        // lost, as any datagram may be.
        let _ = sockets::send(socket, &answer, Some(from), Some(to));
    }
}

/// Whether somebody wrote it: text without control characters but those that end lines and words.
fn is_text(datagram: &[u8]) -> bool {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(datagram).is_ok_and(|text| text.chars().all(is_plain))
}
