//! Large firewalls that need not be listed again after steps: of which the kernel says that nobody but these steps has
//! changed them since they were read.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::netns::NetnsHandles;
use crate::kernel::{KernelError, firewall};
use crate::lab::{NsName, Observed, ObservedNamespace};
use crate::steps::{Step, take_effect};

/// From how many chains on a firewall is large: to list that many takes longer than everything else.
const LARGE: usize = 500;

/// From how many steps on the kernel's own account, of its chains and how often each is in use, is compared with what
/// they should have led to. How iptables words the rules is seen by the next look alone.
const MANY: usize = 500;

/// The generation of a namespace that is new (`nf_tables_init_net` in the kernel's nf_tables_api.c).
const FIRST: u32 = 1;

/// Lets steps take effect on the large firewalls of some namespaces as they were `before`; those of which that is all,
/// with the generations that they have now.
pub(super) fn firewalls(
    handles: &mut NetnsHandles,
    namespaces: &BTreeSet<NsName>,
    done: &[&Step],
    before: &Observed,
) -> Result<BTreeMap<NsName, ObservedNamespace>, KernelError> {
    let (mut known, mut by_namespace) = (BTreeMap::new(), BTreeMap::<NsName, Vec<&Step>>::new());
    let makes_or_changes = |step: &&&Step| step.makes_namespace() || step.changes_a_firewall();
    for step in done.iter().filter(makes_or_changes) {
        by_namespace.entry(step.namespace()).or_default().push(step);
    }
    for (ns, steps) in by_namespace {
        let is_new = steps.iter().any(|step| step.makes_namespace());
        let was = before.namespaces.get(&ns).filter(|_| !is_new);
        if !namespaces.contains(&ns) || was.map_or(0, chains) + steps.len() < LARGE {
            continue;
        }
        let Some(read) = was.map_or(Some(FIRST), |was| was.firewall_generation) else { continue };
        let netns = handles.get(&ns)?;
        let expected = netns.own_generation(read);
        // Without a transaction of ours, these are no changes of nf_tables, or of another namespace of this name.
        if expected == read || firewall::generation(netns.fd())? != Some(expected) {
            continue;
        }
        let mut namespace = was.cloned().unwrap_or_default();
        if take_effect(&steps, &mut namespace).is_some()
            && chains(&namespace) >= LARGE
            && (steps.len() < MANY || firewall::is_so(netns.fd(), &namespace.firewall)?)
        {
            namespace.firewall_generation = Some(expected);
            known.insert(ns, namespace);
        }
    }
    Ok(known)
}

fn chains(namespace: &ObservedNamespace) -> usize {
    let in_tables: usize = namespace.is.nft.values().map(|table| table.chains.len()).sum();
    namespace.firewall.chains.len() + in_tables
}
