//! Removes all that is in a folder, whoever has put it there, of whatever names and however deep.
//!
//! Programs write into folders below `/run/nslab`. So nothing here goes deeper than one level, where it would need a
//! descriptor and a part of the stack for each: what a folder in the folder holds is moved up, and then removed.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// How a folder is opened: not by a link.
pub(super) const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Removes all that is in a folder.
///
/// # Errors
/// Something in it cannot be removed.
pub(super) fn clear(folder: &OwnedFd) -> nix::Result<()> {
    let mut moved = 0;
    loop {
        let names = names(folder)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            remove(folder, &name, &mut moved)?;
        }
    }
}

/// Removes a file, or a folder of which what it holds is moved up first.
fn remove(folder: &OwnedFd, name: &CStr, moved: &mut u64) -> nix::Result<()> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        // What unlink(2) says of a folder: EISDIR on Linux, EPERM by POSIX.
        Err(Errno::EISDIR | Errno::EPERM) if is_folder(folder, name) => {}
        Err(Errno::ENOENT) => return Ok(()),
        other => return other,
    }
    match unlinkat(folder, name, UnlinkatFlags::RemoveDir) {
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
        Err(Errno::ENOENT) => return Ok(()),
        other => return other,
    }
    let inner = openat(folder, name, FOLDER, Mode::empty())?;
    for inside in names(&inner)? {
        if !is_folder(&inner, &inside) {
            unlinkat(&inner, inside.as_c_str(), UnlinkatFlags::NoRemoveDir)?;
            continue;
        }
        // A name that is taken, or was by then, is no place to move to.
        loop {
            *moved += 1;
            match renameat(&inner, inside.as_c_str(), folder, format!(".moved-{moved}").as_str()) {
                Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                other => break other?,
            }
        }
    }
    unlinkat(folder, name, UnlinkatFlags::RemoveDir)
}

fn is_folder(folder: &OwnedFd, name: &CStr) -> bool {
    let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

/// The names of what is in a folder, as the kernel has them: they need not be text.
fn names(folder: &impl AsFd) -> nix::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::openat(folder, ".", FOLDER, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn deep_folders_and_names_that_are_no_text_go() {
        let top = std::env::temp_dir().join(format!("nslab-tree-{}", std::process::id()));
        fs::create_dir_all(&top).unwrap();
        let handle = OwnedFd::from(fs::File::open(&top).unwrap());
        let mut inner = handle.try_clone().unwrap();
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&inner, "x", Mode::S_IRWXU).unwrap();
            inner = openat(&inner, "x", FOLDER, Mode::empty()).unwrap();
        }
        fs::create_dir_all(top.join("y/.moved-1/z")).unwrap();
        fs::create_dir_all(top.join(".moved-2/z")).unwrap();
        fs::write(top.join(".moved-3"), "").unwrap();
        fs::write(top.join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
        std::os::unix::fs::symlink("/", top.join("y/link")).unwrap();
        clear(&handle).unwrap();
        assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
        fs::remove_dir(&top).unwrap();
    }
}
