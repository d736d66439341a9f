//! Host settings: shared by all labs, and restored by the last one that needs them.
//!
//! A setting has a folder `/run/nslab/host/KEY` with a file `was`, its value before the first lab, and a folder `labs`
//! with a file for each lab that needs it, in which is the value that the lab needs. The shell commands that `plan`
//! prints read and write the same files, so a lab made by the printed script can be removed by nslab, and the other way
//! round.
//!
//! The shell commands neither write nor read two more: `along` has what the kernel changes along with the setting, as
//! it was before the first change, and `set` the values that nslab has set, one a line, each written before it is set.

use std::collections::BTreeMap;

use super::folder::Folder;
use super::lock::Lock;
use crate::kernel::KernelError;
use crate::lab::{Claims, LabName, SysctlKey, SysctlValue, setting_folder, setting_of_folder};

pub(super) const FOLDER: &str = "host";
pub(super) const WAS: &str = "was";
pub(super) const LABS: &str = "labs";
pub(super) const ALONG: &str = "along";
pub(super) const SET: &str = "set";

/// The folder of all host settings, locked by this process. The lock also keeps two labs from removing each other's
/// firewall tables in `host`.
#[derive(Debug)]
pub(crate) struct HostSettings {
    folder: Folder,
    _lock: Lock,
}

/// The folder of one host setting, while that of all is locked.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    settings: &'a HostSettings,
    key: SysctlKey,
    folder: Folder,
}

impl HostSettings {
    /// The folder, made if it is not there, and its lock, for which it waits.
    ///
    /// # Errors
    /// The folder or its lock cannot be made.
    pub(crate) fn lock() -> Result<Self, KernelError> {
        let (folder, lock) = Folder::locked_folder(FOLDER)?;
        Ok(Self { folder, _lock: lock })
    }

    /// The same; none where there is no such folder.
    ///
    /// # Errors
    /// The folder or its lock cannot be opened.
    pub(crate) fn lock_if_any() -> Result<Option<Self>, KernelError> {
        Ok(Folder::locked_folder_if_any(FOLDER)?.map(|(folder, lock)| Self { folder, _lock: lock }))
    }

    /// Removes what is where the folder belongs and is none.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn clear_place() -> Result<(), KernelError> {
        Folder::find_sound()?.map_or(Ok(()), |root| root.remove_if_idle(FOLDER))
    }

    /// The labs that need a setting, and the value that each needs.
    ///
    /// # Errors
    /// A claim cannot be read.
    pub(crate) fn claims_to(&self, key: &SysctlKey) -> Result<BTreeMap<LabName, Option<SysctlValue>>, KernelError> {
        claims_to(&self.folder, key)
    }

    /// Counts a lab among those that need a value of a setting; none where that value is no longer known.
    ///
    /// # Errors
    /// The claim cannot be written.
    pub(crate) fn claim(
        &self,
        key: &SysctlKey,
        value: Option<&SysctlValue>,
        lab: &LabName,
    ) -> Result<Setting<'_>, KernelError> {
        let folder = self.folder.make(&setting_folder(key))?;
        folder.make(LABS)?.write_line(lab.as_str(), value.map_or("", SysctlValue::as_str))?;
        Ok(Setting { settings: self, key: key.clone(), folder })
    }

    /// A setting that has a folder.
    ///
    /// # Errors
    /// The folder is there and cannot be opened.
    pub(crate) fn get(&self, key: &SysctlKey) -> Result<Option<Setting<'_>>, KernelError> {
        let folder = self.folder.get(&setting_folder(key))?;
        Ok(folder.map(|folder| Setting { settings: self, key: key.clone(), folder }))
    }

    /// The settings of which a former value is kept and that no lab needs: their claims are lost.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(crate) fn unclaimed(&self) -> Result<Vec<Setting<'_>>, KernelError> {
        let mut unclaimed = Vec::new();
        for key in self.folder.names()?.iter().filter_map(|name| setting_of_folder(name)) {
            if let Some(setting) = self.get(&key)?
                && setting.has_former()?
                && setting.labs()?.is_empty()
            {
                unclaimed.push(setting);
            }
        }
        Ok(unclaimed)
    }

    /// Removes the folders of settings that no lab needs, which a kill may leave, and the folder of all if it is then
    /// empty.
    ///
    /// # Errors
    /// Something cannot be read or removed.
    pub(crate) fn remove_unclaimed(&self) -> Result<(), KernelError> {
        for key in self.folder.names()?.iter().filter_map(|name| setting_of_folder(name)) {
            let Some(setting) = self.get(&key)? else {
                // Something else is in its place.
                self.folder.remove_folder(&setting_folder(&key))?;
                continue;
            };
            if !setting.has_former()? && setting.labs()?.is_empty() {
                setting.remove_values()?;
                setting.remove_folders()?;
            }
        }
        Folder::find_sound()?.map_or(Ok(()), |root| root.remove_if_idle(FOLDER))
    }
}

/// Held by who changes firewall tables of `host`: the lock of all host settings or, where there cannot be one, that of
/// `/run`.
#[derive(Debug)]
pub(crate) enum FirewallLock {
    /// The usual one.
    Settings { _settings: HostSettings },
    /// What there is instead.
    Instead { _lock: Option<Lock> },
}

impl FirewallLock {
    /// Waits for it.
    ///
    /// # Errors
    /// Not even `/run` can be locked.
    pub(crate) fn lock() -> Result<Self, KernelError> {
        match HostSettings::lock() {
            Ok(settings) => return Ok(Self::Settings { _settings: settings }),
            Err(error) if error.code().is_of_state() => {}
            Err(error) => return Err(error),
        }
        // Without `/run/nslab`, whoever removes a lab has locked `/run` (see `LabFolder::try_lock_for_removal`).
        let lock = Folder::find_sound()?.map_or(Ok(None), |_| Folder::run()?.lock_itself())?;
        Ok(Self::Instead { _lock: lock })
    }
}

impl Setting<'_> {
    /// Which it is.
    pub(crate) fn key(&self) -> &SysctlKey {
        &self.key
    }

    /// The labs that need it.
    ///
    /// # Errors
    /// The claims cannot be listed.
    pub(crate) fn labs(&self) -> Result<Vec<LabName>, KernelError> {
        let names = self.folder.get(LABS)?.map_or(Ok(Vec::new()), |labs| labs.names())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The value that a lab needs, if that is known.
    ///
    /// # Errors
    /// The claim cannot be read.
    pub(crate) fn claim_of(&self, lab: &LabName) -> Result<Option<SysctlValue>, KernelError> {
        let text = self.folder.get(LABS)?.map_or(Ok(None), |labs| labs.read(lab.as_str()))?;
        Ok(text.and_then(|text| SysctlValue::normalised(&text).ok()))
    }

    /// Whether its value before the first lab is kept.
    ///
    /// # Errors
    /// The folder cannot be looked into.
    pub(crate) fn has_former(&self) -> Result<bool, KernelError> {
        self.folder.holds(WAS)
    }

    /// Its value before the first lab, as the kernel printed it.
    ///
    /// # Errors
    /// It is kept and cannot be read.
    pub(crate) fn former(&self) -> Result<Option<String>, KernelError> {
        self.folder.read(WAS)
    }

    /// Keeps its value before the first lab.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_former(&self, was: &str) -> Result<(), KernelError> {
        self.folder.write(WAS, was)
    }

    /// What the kernel changes along with it, as it was before.
    ///
    /// # Errors
    /// It is kept and cannot be read.
    pub(crate) fn along(&self) -> Result<Option<String>, KernelError> {
        self.folder.read(ALONG)
    }

    /// Keeps what the kernel changes along with it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_along(&self, along: &str) -> Result<(), KernelError> {
        self.folder.write(ALONG, along)
    }

    /// The values that nslab has set.
    ///
    /// # Errors
    /// They are kept and cannot be read.
    pub(crate) fn set_values(&self) -> Result<Vec<SysctlValue>, KernelError> {
        let text = self.folder.read(SET)?.unwrap_or_default();
        Ok(text.lines().filter_map(|line| SysctlValue::normalised(line).ok()).collect())
    }

    /// Keeps a value that nslab sets.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_set(&self, value: &SysctlValue) -> Result<(), KernelError> {
        let before = self.set_values()?;
        if before.contains(value) {
            return Ok(());
        }
        let lines: String = before.iter().chain([value]).map(|value| format!("{}\n", value.as_str())).collect();
        self.folder.write(SET, &lines)
    }

    /// A lab no longer needs it.
    ///
    /// # Errors
    /// The claim cannot be removed.
    pub(crate) fn release(&self, lab: &LabName) -> Result<(), KernelError> {
        self.folder.get(LABS)?.map_or(Ok(()), |labs| labs.remove_file(lab.as_str()))
    }

    /// The last lab no longer needs it, and it is restored: nothing of it is kept.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(crate) fn release_last(&self, lab: &LabName) -> Result<(), KernelError> {
        // The claim goes after the value: a claim alone means that nothing was changed.
        self.remove_values()?;
        self.release(lab)?;
        self.remove_folders()
    }

    fn remove_values(&self) -> Result<(), KernelError> {
        self.folder.remove_file(ALONG)?;
        self.folder.remove_file(WAS)?;
        self.folder.remove_file(SET)
    }

    fn remove_folders(&self) -> Result<(), KernelError> {
        self.folder.remove_folder(LABS)?;
        self.settings.folder.remove_folder(&setting_folder(&self.key))
    }
}

/// The host settings that labs need.
///
/// # Errors
/// A claim cannot be read.
pub(crate) fn claims() -> Result<Claims, KernelError> {
    let mut claims = Claims::new();
    let Some(settings) = unlocked()? else { return Ok(claims) };
    for key in settings.names()?.iter().filter_map(|name| setting_of_folder(name)) {
        let labs = claims_to(&settings, &key)?;
        if !labs.is_empty() {
            claims.insert(key, labs);
        }
    }
    Ok(claims)
}

/// What the host settings that a lab needs were before the first lab, each in one line; without those that do not
/// exist.
///
/// # Errors
/// A value is kept and cannot be read.
pub(crate) fn former_values(lab: &LabName) -> Result<BTreeMap<SysctlKey, String>, KernelError> {
    let mut former = BTreeMap::new();
    let Some(settings) = unlocked()? else { return Ok(former) };
    for key in claims()?.into_iter().filter(|(_, labs)| labs.contains_key(lab)).map(|(key, _)| key) {
        let was = settings.get(&setting_folder(&key))?.map_or(Ok(None), |setting| setting.read(WAS))?;
        former.extend(was.map(|was| (key, was.split_whitespace().collect::<Vec<_>>().join(" "))));
    }
    Ok(former)
}

/// The folder of all host settings, to be read without its lock.
fn unlocked() -> Result<Option<Folder>, KernelError> {
    Folder::find_sound()?.map_or(Ok(None), |root| root.get(FOLDER))
}

fn claims_to(settings: &Folder, key: &SysctlKey) -> Result<BTreeMap<LabName, Option<SysctlValue>>, KernelError> {
    let mut needs = BTreeMap::new();
    let labs = settings.get(&setting_folder(key))?.map(|setting| setting.get(LABS)).transpose()?.flatten();
    let Some(labs) = labs else { return Ok(needs) };
    for lab in labs.names()?.iter().filter_map(|name| name.parse::<LabName>().ok()) {
        // Without the lock, a claim may be gone meanwhile. One that cannot be read is one all the same.
        let Some(text) = labs.look(lab.as_str())? else { continue };
        needs.insert(lab, text.ok().and_then(|text| SysctlValue::normalised(&text).ok()));
    }
    Ok(needs)
}
