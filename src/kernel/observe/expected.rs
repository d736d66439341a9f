//! Large firewalls that need not be listed again after steps: of which the kernel says that nobody but these steps has
//! changed them since they were read.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::netns::NetnsHandles;
use crate::kernel::{KernelError, firewall};
use crate::lab::{NsName, Observed, ObservedNamespace};
use crate::steps::Step;

/// From how many chains on a firewall is large: to list that many takes longer than everything else.
const LARGE: usize = 500;

/// How many steps on one are looked at by what they do.
const FEW: usize = 500;

/// Lets steps take effect on the large firewalls of some namespaces as they were; those of which that is all, with the
/// generations that they have now.
pub(super) fn firewalls(
    handles: &mut NetnsHandles,
    namespaces: &BTreeSet<NsName>,
    done: &[&Step],
    live: &mut Observed,
) -> Result<BTreeMap<NsName, u32>, KernelError> {
    let mut known = BTreeMap::new();
    for ns in namespaces {
        let steps: Vec<&Step> = done.iter().filter(|step| step.namespace() == *ns).copied().collect();
        let large = live.namespaces.get_mut(ns).filter(|namespace| is_large(namespace) && steps.len() <= FEW);
        let Some(namespace) = large else { continue };
        let Some(read) = namespace.firewall_generation else { continue };
        let netns = handles.get(ns)?;
        let expected = netns.own_generation(read);
        if firewall::generation(netns.fd())? == Some(expected)
            && steps.into_iter().try_for_each(|step| step.take_effect(namespace)).is_some()
        {
            known.insert(ns.clone(), expected);
        }
    }
    Ok(known)
}

fn is_large(namespace: &ObservedNamespace) -> bool {
    let in_tables: usize = namespace.is.nft.values().map(|table| table.chains.len()).sum();
    namespace.firewall.chains.len() + in_tables >= LARGE
}
