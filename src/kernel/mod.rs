//! The only room with system calls: what exists is observed here, and steps are carried out. No policy.

mod error;
pub mod firewall;
pub mod netns;
pub mod process;
pub mod sandbox;
mod state;
pub mod sysctl;

pub use error::KernelError;
