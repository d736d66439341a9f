//! The only room with system calls. No policy: it does what it is told and reports what the kernel said.

mod error;
pub mod neighbours;
pub mod netns;
pub mod sockets;

pub use error::KernelError;
