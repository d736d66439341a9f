//! The private keys of a lab's WireGuard interfaces: `/run/nslab/LAB/wireguard/NAMESPACE:INTERFACE`, as `wg genkey`
//! writes them, and readable by nobody else. A new key is written before an interface gets it.

use std::collections::BTreeSet;

use super::folder::{Folder, WIREGUARD};
use super::lab_folder::LabFolder;
use crate::kernel::KernelError;
use crate::lab::{InterfaceRef, LabName, SecretKey, SecretKeys};

/// The keys that a lab keeps. What is no key is as good as nothing.
///
/// # Errors
/// They are there and cannot be read.
pub(crate) fn wireguard_keys(lab: &LabName) -> Result<SecretKeys, KernelError> {
    let folder = Folder::of_lab(lab)?;
    folder.map_or(Ok(SecretKeys::new()), |folder| kept(&folder))
}

fn kept(lab: &Folder) -> Result<SecretKeys, KernelError> {
    let Some(folder) = lab.get(WIREGUARD)? else { return Ok(SecretKeys::new()) };
    let mut keys = SecretKeys::new();
    for name in folder.names()? {
        let Some(interface) = interface(&name) else { continue };
        let key = folder.read(&name)?.and_then(|text| SecretKey::from_base64(&text));
        keys.extend(key.map(|key| (interface, key)));
    }
    Ok(keys)
}

/// The interface of a file. No name of an interface has a colon in it (`dev_valid_name` in the kernel).
fn interface(name: &str) -> Option<InterfaceRef> {
    let (ns, interface) = name.rsplit_once(':')?;
    Some(InterfaceRef { ns: ns.parse().ok()?, name: interface.parse().ok()? })
}

impl LabFolder {
    /// Keeps keys, besides those that are kept already.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn keep_wireguard_keys(&self, keys: &SecretKeys) -> Result<(), KernelError> {
        let known = kept(self.files())?;
        let mut new = keys.iter().filter(|(interface, key)| known.get(interface) != Some(key)).peekable();
        if new.peek().is_none() {
            return Ok(());
        }
        let folder = self.files().make(WIREGUARD)?;
        new.try_for_each(|(InterfaceRef { ns, name }, key)| {
            folder.write(&format!("{ns}:{name}"), &format!("{}\n", key.to_base64()))
        })
    }

    /// Forgets the keys of all interfaces but these.
    ///
    /// # Errors
    /// They cannot be removed.
    pub(crate) fn forget_other_wireguard_keys(&self, of: &BTreeSet<&InterfaceRef>) -> Result<(), KernelError> {
        let Some(folder) = self.files().get(WIREGUARD)? else { return Ok(()) };
        for name in folder.names()?.iter().filter(|name| interface(name).is_none_or(|one| !of.contains(&one))) {
            folder.remove_file(name)?;
        }
        self.files().remove_folder_if_empty(WIREGUARD)
    }
}
