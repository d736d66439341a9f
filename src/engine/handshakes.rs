//! Peers of WireGuard are introduced to each other before checks run, one end after the other.
//!
//! Where both ends begin at the same moment, as checks in both directions have them do, neither handshake comes to an
//! end, and they try again only five seconds later (`REKEY_TIMEOUT` in the kernel): longer than most checks wait.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::EngineError;
use crate::kernel::Kernel;
use crate::lab::{InterfaceRef, Lab, WireguardPeer};

/// A handshake takes a round trip; where a lab lets none through, that is for the checks to say.
const LIMIT: Duration = Duration::from_secs(1);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

/// Two interfaces that are peers of each other.
struct Pair {
    /// The one that speaks first.
    from: InterfaceRef,
    to: InterfaceRef,
    /// An address of the other one in the tunnel.
    address: IpAddr,
}

/// Sees to it that peers which can have had a handshake.
///
/// # Errors
/// The kernel cannot be opened.
pub(super) fn have(lab: &Lab) -> Result<(), EngineError> {
    let pairs = pairs(lab);
    if pairs.is_empty() {
        return Ok(());
    }
    let mut kernel = Kernel::open()?;
    // What is not there, the checks report in their own way.
    let is_strange = |kernel: &mut Kernel, pair: &Pair| kernel.has_session(&pair.from, &pair.to).is_ok_and(|has| !has);
    let mut waiting: Vec<Pair> = pairs.into_iter().filter(|pair| is_strange(&mut kernel, pair)).collect();
    waiting.retain(|pair| kernel.send_nothing(&pair.from, pair.address).is_ok());
    let start = Instant::now();
    while !waiting.is_empty() && start.elapsed() < LIMIT {
        std::thread::sleep(PAUSE);
        waiting.retain(|pair| is_strange(&mut kernel, pair));
    }
    Ok(())
}

/// The pairs of a lab, each once: the end that knows where the other one is speaks first.
fn pairs(lab: &Lab) -> Vec<Pair> {
    let (mut pairs, mut seen) = (Vec::new(), BTreeSet::new());
    for (ns, namespace) in &lab.namespaces {
        for (name, peers) in &namespace.wireguard {
            let from = InterfaceRef { ns: ns.clone(), name: name.clone() };
            for peer in peers.iter().filter(|peer| peer.endpoint.is_some()) {
                let Some(to) = peer.interface.clone() else { continue };
                let Some(address) = address_of(lab, &to, peer) else { continue };
                if !seen.contains(&(to.clone(), from.clone())) {
                    seen.insert((from.clone(), to.clone()));
                    pairs.push(Pair { from: from.clone(), to, address });
                }
            }
        }
    }
    pairs
}

/// An address of a peer that it may have.
fn address_of(lab: &Lab, to: &InterfaceRef, peer: &WireguardPeer) -> Option<IpAddr> {
    let interface = lab.namespaces.get(&to.ns)?.interfaces.get(&to.name)?;
    interface.addresses.iter().map(|own| own.ip()).find(|address| peer.allows(*address).is_some())
}
