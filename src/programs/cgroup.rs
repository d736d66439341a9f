//! The control groups of programs, where there are some that nslab may make: the processes of a program are in its
//! group, unless they move to another, and the kernel ends all that are in there at once. What nobody keeps any more is
//! found by them.
//!
//! A lab's groups are below the one that its supervisor was started in: `nslab-LAB-INODE/NS.PROGRAM`. The inode is that
//! of the host's network namespace: labs of different sandboxes may have one name. Who shares the network namespace of
//! the host and its groups, but not its mounts, has the same labs. Those of a sandbox that was killed stay, empty. No
//! controller is used.
//!
//! Facts from cgroups(7) and the kernel's Documentation/admin-guide/cgroup-v2.rst.

use std::fs::{DirBuilder, File, read_dir, read_to_string};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, geteuid};

use crate::kernel::process::identity;
use crate::lab::{LabName, ProgramRef};

/// How deep groups are looked for, and removed.
const DEEPEST: usize = 32;

/// Where the groups of a lab are made.
pub(super) struct Groups {
    folder: PathBuf,
}

impl Groups {
    /// Those of a lab below the group of this process; none where the kernel shows none.
    pub(super) fn of(lab: &LabName) -> Option<Self> {
        let groups = read_to_string("/proc/self/cgroup").ok()?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let folder = root()?.join(own.trim_start_matches('/')).join(name_of(lab)?);
        // A group that is outside of what this process may see begins with `..`.
        (!own.starts_with("/..")).then_some(Self { folder })
    }

    /// Makes the group of a program; none where that is refused, or the kernel (before 5.14) cannot end one at once.
    pub(super) fn make(&self, ProgramRef { ns, name }: &ProgramRef) -> Option<Group> {
        let folder = self.folder.join(format!("{ns}.{name}"));
        for folder in [&self.folder, &folder] {
            match DirBuilder::new().mode(0o755).create(folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return None,
                _ => {}
            }
        }
        match (File::options().write(true).open(folder.join("cgroup.procs")), to_kill(&folder)) {
            (Ok(processes), Ok(kill)) => Some(Group { folder, processes, kill }),
            _ => {
                remove(&folder, 0);
                None
            }
        }
    }

    /// Removes those that are empty.
    pub(super) fn remove(&self) {
        remove(&self.folder, DEEPEST);
    }
}

/// The group of one program.
pub(super) struct Group {
    folder: PathBuf,
    processes: File,
    kill: File,
}

impl Group {
    /// Moves this process into the group; what it starts is in it, too.
    pub(super) fn enter(&self) {
        // Where that is refused, the group stays empty: it is one way to find the processes, and not the only one.
        let _ = (&self.processes).write_all(b"0");
    }

    /// Ends all of its processes.
    pub(super) fn kill(&self) {
        let _ = (&self.kill).write_all(b"1");
    }

    /// Removes it, once nothing is in it.
    pub(super) fn remove(&self) {
        remove(&self.folder, DEEPEST);
    }
}

/// The groups that a lab has left, wherever its supervisor was started.
pub(super) struct Left(Vec<PathBuf>);

impl Left {
    /// Looks for them.
    pub(super) fn find(lab: &LabName) -> Self {
        let mut found = Vec::new();
        if let Some((root, name)) = root().zip(name_of(lab)) {
            find(&root, &name, DEEPEST, &mut found);
        }
        Self(found)
    }

    /// Ends their processes, and removes those that are empty; a process that has not ended yet.
    pub(super) fn end(&self) -> Option<Pid> {
        for folder in &self.0 {
            let _ = to_kill(folder).and_then(|mut file| file.write_all(b"1"));
        }
        let left = self.0.iter().find_map(|folder| process_in(folder, DEEPEST));
        self.0.iter().for_each(|folder| remove(folder, DEEPEST));
        left
    }
}

/// Where the groups are to be seen.
fn root() -> Option<PathBuf> {
    let mounts = read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(point))
    })
}

fn name_of(lab: &LabName) -> Option<String> {
    let (_, inode) = identity("/proc/thread-self/ns/net")?;
    Some(format!("nslab-{lab}-{inode}"))
}

/// What ends all processes of a group at once, if they are ended by this process.
fn to_kill(folder: &Path) -> std::io::Result<File> {
    File::options().write(true).open(folder.join("cgroup.kill"))
}

/// Groups of this name that this user has made and may end.
fn find(below: &Path, name: &str, depth: usize, found: &mut Vec<PathBuf>) {
    for group in groups_in(below) {
        if group.file_name().is_some_and(|own| own == name) {
            let is_ours = group.metadata().is_ok_and(|meta| meta.uid() == geteuid().as_raw());
            found.extend(Some(group).filter(|group| is_ours && to_kill(group).is_ok()));
        } else if let Some(depth) = depth.checked_sub(1) {
            find(&group, name, depth, found);
        }
    }
}

fn groups_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// A process that is in a group, or in one below it.
fn process_in(folder: &Path, depth: usize) -> Option<Pid> {
    let processes = read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let own = processes.lines().find_map(|line| line.parse().ok().map(Pid::from_raw));
    own.or_else(|| groups_in(folder).find_map(|group| process_in(&group, depth.checked_sub(1)?)))
}

/// Removes a group with those below it. One that has processes stays.
fn remove(folder: &Path, depth: usize) {
    if let Some(depth) = depth.checked_sub(1) {
        groups_in(folder).for_each(|group| remove(&group, depth));
    }
    let _ = std::fs::remove_dir(folder);
}
