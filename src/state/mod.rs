//! The files of `/run/nslab`: each lab's lock, journal, applied topology, list of routes, programs' output and private
//! keys, what its programs find in `/etc`, and what host settings were before the first lab that needs them.
//!
//! It knows the model, and of the kernel no more than how it reports an error. It does not know what the files are for,
//! nor what a setting is now: `engine` does. All of them are gone after a reboot, as the namespaces are, and none of
//! them is needed to remove a lab: the marks in the kernel say which lab an object belongs to.

mod checks_socket;
mod deviceless_routes;
mod etc_files;
mod folder;
mod host_settings;
mod journal;
mod lab_folder;
mod labs;
mod lock;
mod machine;
mod oddities;
mod program_files;
mod tree;
mod wireguard_keys;

pub(crate) use checks_socket::ChecksSocket;
pub(crate) use deviceless_routes::{Identity, listed_by, listed_by_others};
pub(crate) use etc_files::{etc_files, etc_folder, set_etc_files, set_lab_hosts, why_no_links};
pub(crate) use host_settings::{FirewallLock, HostSettings, Setting, claims, former_values};
pub(crate) use journal::{Activity, Journal};
pub(crate) use lab_folder::{LabFolder, ToRemove, identity, topology, topology_file};
pub(crate) use labs::{IdleLabs, labs};
pub(crate) use machine::machine_of;
pub(crate) use oddities::oddities;
pub(crate) use program_files::{Log, ProgramFiles};
pub(crate) use wireguard_keys::wireguard_keys;
