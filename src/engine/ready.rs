//! An apply that changed something returns when every port of its bridges forwards, except those that wait for a
//! spanning tree; checks wait for those.

use std::time::{Duration, Instant};

use super::{EngineError, Event, Interrupts, Listener};
use crate::kernel::{Kernel, PortState};
use crate::lab::{InterfaceKind, InterfaceRef, Lab};

/// How long a port without a spanning tree may take: a kernel handles its event within a second.
const LIMIT: Duration = Duration::from_secs(3);

/// With a spanning tree, a port listens and learns for 15 seconds each before it forwards (IEEE 802.1D, table 8-3), and
/// the tree may change meanwhile.
const SPANNING_TREE_LIMIT: Duration = Duration::from_secs(50);

/// Waits that are longer than this are reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// How long to wait before the same ports are asked for again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Waits for the ports of the lab's bridges that have no spanning tree; those that still do not forward when the time
/// is over are reported. What has to wait for a spanning tree is only reported: that takes half a minute, and checks
/// wait for it.
///
/// # Errors
/// The kernel refuses to show a port, or a signal came.
pub(super) fn wait(
    kernel: &mut Kernel,
    lab: &Lab,
    stop: &mut Interrupts,
    report: &mut Listener<'_>,
) -> Result<(), EngineError> {
    let Ports { plain, in_tree } = ports(lab);
    wait_for(kernel, plain, LIMIT, &mut || stop.check(), report)?;
    let coming = not_yet(kernel, in_tree)?;
    if !coming.is_empty() {
        report(Event::SpanningTree(coming.len()));
    }
    Ok(())
}

/// Whether a lab has bridge ports that wait for a spanning tree when they come up.
pub(super) fn has_spanning_tree(lab: &Lab) -> bool {
    !ports(lab).in_tree.is_empty()
}

/// Waits until the spanning trees of a lab have formed: before that, checks would see a network that is not there yet.
///
/// # Errors
/// The kernel refuses to show a port.
pub(super) fn wait_for_spanning_trees(lab: &Lab, mut report: Listener<'_>) -> Result<(), EngineError> {
    let in_tree = ports(lab).in_tree;
    let mut kernel = Kernel::open()?;
    // What is not there, the checks report in their own way.
    let exists = |kernel: &mut Kernel, port: &InterfaceRef| kernel.port_state(port).is_ok();
    let there = in_tree.into_iter().filter(|port| exists(&mut kernel, port)).collect();
    wait_for(&mut kernel, there, SPANNING_TREE_LIMIT, &mut || Ok(()), &mut report)
}

fn wait_for(
    kernel: &mut Kernel,
    mut waiting: Vec<InterfaceRef>,
    limit: Duration,
    check_signals: &mut dyn FnMut() -> Result<(), EngineError>,
    report: &mut Listener<'_>,
) -> Result<(), EngineError> {
    let start = Instant::now();
    let (mut pause, mut is_reported) = (FIRST_PAUSE, false);
    loop {
        waiting = not_yet(kernel, waiting)?;
        if waiting.is_empty() {
            return Ok(());
        }
        if start.elapsed() >= limit {
            report(Event::NotForwarding(&waiting, limit));
            return Ok(());
        }
        if !is_reported && start.elapsed() >= REPORT_AFTER {
            is_reported = true;
            report(Event::WaitingForPorts(waiting.len()));
        }
        check_signals()?;
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Those of some ports that do not forward yet, but will.
fn not_yet(kernel: &mut Kernel, ports: Vec<InterfaceRef>) -> Result<Vec<InterfaceRef>, EngineError> {
    let mut coming = Vec::new();
    for port in ports {
        // The first request makes the kernel handle what it has put off, the second one shows the result.
        let is_coming = |kernel: &mut Kernel| Ok::<_, EngineError>(kernel.port_state(&port)? == PortState::NotYet);
        if is_coming(kernel)? && is_coming(kernel)? {
            coming.push(port);
        }
    }
    Ok(coming)
}

/// The ports of bridges that are to be up, on bridges that are.
#[derive(Default)]
struct Ports {
    /// Those of bridges without a spanning tree.
    plain: Vec<InterfaceRef>,
    /// Those of bridges with one.
    in_tree: Vec<InterfaceRef>,
}

fn ports(lab: &Lab) -> Ports {
    let mut ports = Ports::default();
    for (ns, namespace) in &lab.namespaces {
        for (name, interface) in namespace.interfaces.iter().filter(|(_, interface)| interface.up) {
            let master = interface.master.as_ref().and_then(|master| namespace.interfaces.get(master));
            if let Some(InterfaceKind::Bridge(options)) = master.filter(|master| master.up).map(|master| &master.kind) {
                let list = if options.stp { &mut ports.in_tree } else { &mut ports.plain };
                list.push(InterfaceRef { ns: ns.clone(), name: name.clone() });
            }
        }
    }
    ports
}
