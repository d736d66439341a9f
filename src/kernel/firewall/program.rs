//! The iptables programs: where they are, and which half of the kernel they speak to.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{AccessFlags, access};

use super::running::Running;
use crate::kernel::{KernelCode, KernelError};
use crate::lab::Family;

/// The installed iptables of one address family.
#[derive(Debug, Clone)]
pub struct Program {
    folder: PathBuf,
    family: Family,
    /// Which of the kernel's two packet filters it drives.
    pub variant: Variant,
}

/// iptables comes in two variants, whose rules do not see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// It writes nf_tables (`iptables-nft`): the default of all distributions of today.
    Nft,
    /// It writes the tables of old (`iptables-legacy`).
    Legacy,
}

/// Where programs are looked for, in this order; never in PATH, in which anything could stand: what is found is run as
/// root. The last one is NixOS's.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/run/current-system/sw/bin"];

/// The installed iptables of a family.
pub fn program(family: Family) -> Result<Program, KernelError> {
    let name = family.program();
    let Some(folder) = folder_of(name) else {
        return Err(KernelError::new(format!("find the program {name}"))
            .said("it is not installed")
            .with_code(KernelCode::ProgramMissing)
            .hint("NAT and filter rules need it: install your distribution's package `iptables`"));
    };
    let variant = match variant_of_link(&folder.join(name)) {
        Some(variant) => variant,
        None => variant_of_words(&version(&folder.join(name))?),
    };
    Ok(Program { folder, family, variant })
}

/// A program, by its name.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    folder_of(name).map(|folder| folder.join(name))
}

fn folder_of(name: &str) -> Option<PathBuf> {
    FOLDERS.map(PathBuf::from).into_iter().find(|folder| access(&folder.join(name), AccessFlags::X_OK).is_ok())
}

impl Program {
    /// The program itself: `/usr/sbin/iptables`.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.family.program())
    }

    /// What it says of itself: `iptables v1.8.9 (nf_tables)`.
    pub fn version(&self) -> Result<String, KernelError> {
        version(&self.path())
    }

    /// The program beside it that prints all rules.
    pub(super) fn save(&self) -> Command {
        Command::new(self.folder.join(format!("{}-save", self.family.program())))
    }

    /// The program beside it that takes many rules at once.
    pub(super) fn restore(&self) -> Command {
        Command::new(self.folder.join(format!("{}-restore", self.family.program())))
    }
}

/// Distributions install `iptables` as a link to `xtables-nft-multi` or `xtables-legacy-multi`: no need to start it.
fn variant_of_link(program: &Path) -> Option<Variant> {
    let target = program.canonicalize().ok()?;
    match target.file_name()?.to_str()? {
        name if name.contains("nft") => Some(Variant::Nft),
        name if name.contains("legacy") => Some(Variant::Legacy),
        _ => None,
    }
}

/// Releases before 1.8 name no variant; they are legacy.
fn variant_of_words(version: &str) -> Variant {
    if version.contains("nf_tables") { Variant::Nft } else { Variant::Legacy }
}

fn version(program: &Path) -> Result<String, KernelError> {
    let refused = || KernelError::new(format!("ask {} for its version", program.display()));
    let output = Running::start(Command::new(program).arg("--version"), "")?.output()?;
    if !output.status.success() {
        return Err(refused().said(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
