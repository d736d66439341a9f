//! What programs in a lab's namespaces find in `/etc`: files in `/run/nslab/LAB/etc/NAMESPACE`, and the link
//! `/etc/netns/NAMESPACE` that leads to them, by which `ip netns exec` finds them (ip-netns(8)).
//!
//! The link says whose it is: of what is in `/etc/netns`, only links to these folders are nslab's. A file is rewritten
//! where it is, so that who has mounted it sees the new text, and so that a name server sees that its zones have been
//! written: they are beside these folders, in `.zones/NAMESPACE`, as `ip netns exec` would show them in `/etc`.

use std::collections::BTreeSet;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, lstat, stat};
use nix::unistd::{AccessFlags, UnlinkatFlags, access, mkdir, symlinkat, unlink, unlinkat};

use super::folder::{ETC, Folder, refused};
use crate::failpoint;
use crate::kernel::KernelError;
use crate::lab::{EtcFiles, EtcHosts, LabEtc, LabName, NsName, ZONES};

/// The sticky bit, which means nothing where root alone may write, says that nslab has made the folder.
const OURS: Mode = Mode::from_bits_truncate(0o1755);
const HOSTS: &str = "hosts";
const HOSTNAME: &str = "hostname";
const RESOLV_CONF: &str = "resolv.conf";
const NETNS: &str = "/etc/netns";
/// Where the hosts file of a namespace leads if it is that of the lab.
const SHARED: &str = "../.hosts";
/// That file, beside the folders of namespaces, none of which can have this name.
const OF_LAB: &str = ".hosts";

/// How often a link is tried.
const TRIES: usize = 10;

/// The path of a namespace's files.
pub(crate) fn etc_folder(lab: &LabName, ns: &NsName) -> String {
    format!("/run/nslab/{lab}/{ETC}/{ns}")
}

/// What there is of a lab, and which of the namespaces that are `wanted` somebody else keeps files for.
///
/// # Errors
/// A file or folder is there and cannot be read.
pub(crate) fn etc_files<'a>(lab: &LabName, wanted: impl Iterator<Item = &'a NsName>) -> Result<LabEtc, KernelError> {
    let root = Folder::find_sound()?;
    let folder = root.map_or(Ok(None), |root| root.get(lab.as_str()))?.map_or(Ok(None), |lab| lab.get(ETC))?;
    let mut etc = LabEtc::default();
    let wanted: BTreeSet<&NsName> = wanted.collect();
    if folder.is_none() && wanted.is_empty() && lstat(NETNS).is_err() {
        return Ok(etc);
    }
    if let Some(folder) = &folder {
        etc.hosts = folder.read(OF_LAB)?;
        for ns in folder.names()?.iter().filter_map(|name| name.parse::<NsName>().ok()) {
            if let Some(own) = folder.get(ns.as_str())? {
                etc.namespaces.insert(ns, files(&own)?);
            }
        }
        if let Some(zones) = folder.get(ZONES)? {
            for ns in zones.names()?.iter().filter_map(|name| name.parse::<NsName>().ok()) {
                let text = zones.read(ns.as_str())?;
                etc.namespaces.entry(ns).or_default().zones = text;
            }
        }
    }
    let can_link = why_no_links().is_none();
    for ns in linked(lab) {
        etc.namespaces.entry(ns).or_default().linked = true;
    }
    for (ns, files) in &mut etc.namespaces {
        files.linked |= !can_link && wanted.contains(ns);
    }
    etc.taken = wanted.into_iter().filter(|ns| can_link && is_taken(lab, ns)).cloned().collect();
    Ok(etc)
}

fn files(folder: &Folder) -> Result<EtcFiles, KernelError> {
    let hosts = match folder.kind(HOSTS)? {
        Some(SFlag::S_IFLNK) if readlinkat(&folder.fd, HOSTS).is_ok_and(|to| to == SHARED) => Some(EtcHosts::Lab),
        Some(SFlag::S_IFREG) => folder.read(HOSTS)?.map(EtcHosts::Own),
        _ => None,
    };
    let (hostname, resolv_conf) = (folder.read(HOSTNAME)?, folder.read(RESOLV_CONF)?);
    Ok(EtcFiles { hosts, resolv_conf, hostname, zones: None, linked: false })
}

/// Writes the hosts file that namespaces share, or removes it.
///
/// # Errors
/// It cannot be written or removed.
pub(crate) fn set_lab_hosts(lab: &LabName, text: Option<&str>) -> Result<(), KernelError> {
    match (text, Folder::find_sound()?) {
        (Some(text), _) => Folder::open()?.make(lab.as_str())?.make(ETC)?.rewrite(OF_LAB, text),
        // It goes last, with whatever a run that was killed has left.
        (None, Some(root)) => root.get(lab.as_str())?.map_or(Ok(()), |lab| lab.remove_tree(ETC)),
        (None, None) => Ok(()),
    }
}

/// Makes the files of a namespace those that are wanted, and the link that leads to them where there can be one.
///
/// # Errors
/// One of them cannot be written or removed.
pub(crate) fn set_etc_files(lab: &LabName, ns: &NsName, wanted: &EtcFiles) -> Result<(), KernelError> {
    if *wanted == EtcFiles::default() {
        return remove(lab, ns);
    }
    let etc = Folder::open()?.make(lab.as_str())?.make(ETC)?;
    match &wanted.zones {
        Some(text) => etc.make(ZONES)?.rewrite(ns.as_str(), text)?,
        None => remove_zones(&etc, ns)?,
    }
    let folder = etc.make(ns.as_str())?;
    let is_shared = files(&folder)?.hosts == Some(EtcHosts::Lab);
    match &wanted.hosts {
        Some(EtcHosts::Lab) if is_shared => {}
        Some(EtcHosts::Lab) => {
            folder.remove_file(HOSTS)?;
            symlinkat(SHARED, &folder.fd, HOSTS)
                .map_err(|errno| refused("make", &folder.below(HOSTS)).with_errno(errno))?;
        }
        Some(EtcHosts::Own(text)) => {
            if is_shared {
                folder.remove_file(HOSTS)?;
            }
            folder.rewrite(HOSTS, text)?;
        }
        None => folder.remove_file(HOSTS)?,
    }
    for (name, text) in [(HOSTNAME, &wanted.hostname), (RESOLV_CONF, &wanted.resolv_conf)] {
        match text {
            Some(text) => folder.rewrite(name, text)?,
            None => folder.remove_file(name)?,
        }
    }
    if why_no_links().is_none() { link(lab, ns) } else { Ok(()) }
}

fn remove(lab: &LabName, ns: &NsName) -> Result<(), KernelError> {
    if is_linked(lab, ns) {
        let path = format!("{NETNS}/{ns}");
        failpoint::pass("remove a link in /etc/netns")
            .and_then(|()| unlink(path.as_str()))
            .map_err(|errno| refused("remove", &path).with_errno(errno))?;
        remove_netns_if_ours()?;
    }
    let root = Folder::find_sound()?;
    let Some(lab) = root.map_or(Ok(None), |root| root.get(lab.as_str()))? else { return Ok(()) };
    let Some(etc) = lab.get(ETC)? else { return Ok(()) };
    if let Some(own) = etc.get(ns.as_str())? {
        for name in [HOSTS, HOSTNAME, RESOLV_CONF] {
            own.remove_file(name)?;
        }
        etc.remove_folder_if_empty(ns.as_str())?;
    }
    remove_zones(&etc, ns)?;
    lab.remove_folder_if_empty(ETC)
}

fn remove_zones(etc: &Folder, ns: &NsName) -> Result<(), KernelError> {
    let Some(zones) = etc.get(ZONES)? else { return Ok(()) };
    zones.remove_file(ns.as_str())?;
    etc.remove_folder_if_empty(ZONES)
}

fn link(lab: &LabName, ns: &NsName) -> Result<(), KernelError> {
    if is_linked(lab, ns) {
        return Ok(());
    }
    let (path, to) = (format!("{NETNS}/{ns}"), etc_folder(lab, ns));
    let link = || {
        if std::fs::read_link(&path).is_ok_and(|to| is_left_behind(&to)) {
            unlink(path.as_str())?;
        }
        symlinkat(to.as_str(), AT_FDCWD, path.as_str())
    };
    failpoint::pass("make a link in /etc/netns").map_err(|errno| refused("make", &path).with_errno(errno))?;
    // Another nslab may remove the folder together with its last link at this moment.
    for _ in 0..TRIES {
        make_netns().map_err(|errno| refused("make", NETNS).with_errno(errno))?;
        match link() {
            Err(Errno::ENOENT) => {}
            linked => return linked.map_err(|errno| refused("make", &path).with_errno(errno)),
        }
    }
    Err(refused("make", &path).with_errno(Errno::ENOENT))
}

/// Makes `/etc/netns`, if it is not there.
fn make_netns() -> nix::Result<()> {
    match mkdir(NETNS, OURS) {
        Ok(()) => match fchmodat(AT_FDCWD, NETNS, OURS, FchmodatFlags::FollowSymlink) {
            Err(Errno::ENOENT) => Ok(()),
            set => set,
        },
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Whether a link leads to where a lab's files were, and nothing is there any more.
fn is_left_behind(to: &Path) -> bool {
    to.starts_with("/run/nslab") && lstat(to).is_err()
}

/// The namespaces for which there is a link to a folder of the lab.
fn linked(lab: &LabName) -> BTreeSet<NsName> {
    let Ok(entries) = std::fs::read_dir(NETNS) else { return BTreeSet::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<NsName>().ok());
    names.filter(|ns| is_linked(lab, ns)).collect()
}

fn is_linked(lab: &LabName, ns: &NsName) -> bool {
    std::fs::read_link(format!("{NETNS}/{ns}")).is_ok_and(|to| to.as_os_str() == etc_folder(lab, ns).as_str())
}

/// Whether something else is where the link of a namespace belongs. A link into the folder of a lab that is no longer
/// there, as after a reboot, is nobody's.
fn is_taken(lab: &LabName, ns: &NsName) -> bool {
    let path = format!("{NETNS}/{ns}");
    match std::fs::read_link(&path) {
        Ok(to) if is_left_behind(&to) => false,
        Ok(to) => to.as_os_str() != etc_folder(lab, ns).as_str(),
        Err(_) => lstat(path.as_str()).is_ok(),
    }
}

/// Why there can be no links in `/etc/netns`; none where there can. What is mounted for some processes alone must not
/// be seen by others: where nslab has other mounts than the machine's first process, `/etc/netns` has to be a mount.
pub(crate) fn why_no_links() -> Option<&'static str> {
    let netns = stat(NETNS);
    let folder = if netns.is_ok() { NETNS } else { "/etc" };
    if access(folder, AccessFlags::W_OK).is_err() {
        return Some("/etc/netns cannot be written");
    }
    let is_mount = match (&netns, stat("/etc")) {
        (Ok(netns), Ok(etc)) => netns.st_dev != etc.st_dev,
        _ => false,
    };
    let mounts = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    (!is_mount && mounts("1") != mounts("self")).then_some("/etc/netns is the machine's, and this is a private host")
}

fn remove_netns_if_ours() -> Result<(), KernelError> {
    let is_ours = stat(NETNS).is_ok_and(|netns| netns.st_mode & 0o1000 != 0);
    if !is_ours {
        return Ok(());
    }
    match unlinkat(AT_FDCWD, NETNS, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOTEMPTY | Errno::ENOENT | Errno::EBUSY) => Ok(()),
        Err(errno) => Err(refused("remove", NETNS).with_errno(errno)),
    }
}
