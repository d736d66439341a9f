//! What one of several machines sends to the others before its probes and after them. Whoever has heard both has heard
//! what was between: so that is known without clocks, which may differ.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::harness::{Harness, RawKey};
use super::others::mark_of_token;
use super::packet;
use crate::kernel::sockets::{self, Protocol};
use crate::lab::{Family, Lab, NsName, Share};

/// Nobody needs to answer there (the discard protocol, RFC 863); whoever filters one of both protocols lets the other
/// through.
const PORT: u16 = 9;

/// How often each is sent: one may be lost, as where a neighbour is asked for.
const TIMES: usize = 3;

/// How long between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Greets all other machines; the marks of what was sent.
pub(super) async fn send(harness: &Harness, lab: &Lab, share: &Share) -> Vec<String> {
    let mut marks = Vec::new();
    for turn in 0..TIMES {
        if turn > 0 {
            sleep(PAUSE).await;
        }
        for (_, addresses) in lab.machines().into_iter().filter(|(machine, _)| *machine != share.node) {
            for address in addresses {
                marks.extend(greet(harness, &share.node, SocketAddr::new(address, PORT)));
            }
        }
    }
    marks
}

/// Sends an echo request and a datagram. What the kernel refuses is not heard.
fn greet(harness: &Harness, node: &NsName, to: SocketAddr) -> [String; 2] {
    let family = Family::of(to.ip());
    let next = || {
        let (token, _) = harness.registry.open(node);
        harness.registry.close(token);
        token
    };
    let (echo, datagram) = (next(), next());
    let key = RawKey { protocol: Protocol::Icmp, family, ns: node.clone() };
    if let Some(socket) = harness.raw.get(&key) {
        let _ = sockets::send(socket.get_ref(), &packet::echo_request(family, echo, None), Some(to), None);
    }
    if let Ok(socket) = harness.take(node, Protocol::Udp, family) {
        let _ = sockets::send(&socket, &packet::datagram(family, datagram, None), Some(to), None);
    }
    [echo, datagram].map(|token| mark_of_token(token.to_bytes()))
}
