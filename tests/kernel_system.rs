//! Sysctls, firewall rules, processes and the sandbox, against the kernel's own account.

// The lints spare `#[test]` functions, but not what they share.
mod support;

#[path = "kernel_system/firewall.rs"]
mod firewall;
#[path = "kernel_system/host_settings.rs"]
mod host_settings;
#[path = "kernel_system/losses.rs"]
mod losses;
#[path = "kernel_system/nft.rs"]
mod nft;
#[path = "kernel_system/process.rs"]
mod process;
#[path = "kernel_system/sandbox.rs"]
mod sandbox;
