//! Applied means ready: an apply that changed something returns when every port of its bridges forwards.

use std::time::{Duration, Instant};

use super::{EngineError, Event, Interrupts, Listener};
use crate::kernel::{Kernel, PortState};
use crate::lab::{InterfaceKind, InterfaceRef, Lab};

/// How long a port without a spanning tree may take: kernels that are not hurried handle its event within a second.
const LIMIT: Duration = Duration::from_secs(3);

/// With a spanning tree, a port listens and learns for 15 seconds each before it forwards (IEEE 802.1D, table 8-3), and the tree
/// may change meanwhile.
const SPANNING_TREE_LIMIT: Duration = Duration::from_secs(50);

/// Longer waits are reported.
const QUIET: Duration = Duration::from_secs(1);

/// How long to wait before the same ports are asked for again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Waits for the ports of the lab's bridges; those that still do not forward when the time is over are reported.
///
/// # Errors
/// The kernel refuses to show a port, or somebody interrupts.
pub(super) fn wait(
    kernel: &mut Kernel,
    lab: &Lab,
    stop: &mut Interrupts,
    report: &mut Listener<'_>,
) -> Result<(), EngineError> {
    let (mut waiting, has_tree) = ports(lab);
    let (start, limit) = (Instant::now(), if has_tree { SPANNING_TREE_LIMIT } else { LIMIT });
    let (mut pause, mut is_reported) = (FIRST_PAUSE, false);
    loop {
        let mut not_yet = Vec::new();
        for port in waiting {
            // The first question makes the kernel handle what it has put off, the second one hears of it.
            let is_coming = |kernel: &mut Kernel| Ok::<_, EngineError>(kernel.port_state(&port)? == PortState::NotYet);
            if is_coming(kernel)? && is_coming(kernel)? {
                not_yet.push(port);
            }
        }
        if not_yet.is_empty() || start.elapsed() >= limit {
            if !not_yet.is_empty() {
                report(Event::NotForwarding(&not_yet, limit));
            }
            return Ok(());
        }
        if !is_reported && start.elapsed() >= QUIET {
            is_reported = true;
            report(Event::WaitingForPorts(not_yet.len(), has_tree));
        }
        stop.heed()?;
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        waiting = not_yet;
    }
}

/// The ports of bridges that are to be up, on bridges that are, and whether one of these has a spanning tree.
fn ports(lab: &Lab) -> (Vec<InterfaceRef>, bool) {
    let (mut ports, mut has_tree) = (Vec::new(), false);
    for (ns, namespace) in &lab.namespaces {
        for (name, interface) in namespace.interfaces.iter().filter(|(_, interface)| interface.up) {
            let master = interface.master.as_ref().and_then(|master| namespace.interfaces.get(master));
            if let Some(InterfaceKind::Bridge(options)) = master.filter(|master| master.up).map(|master| &master.kind) {
                ports.push(InterfaceRef { ns: ns.clone(), name: name.clone() });
                has_tree |= options.stp;
            }
        }
    }
    (ports, has_tree)
}
