//! The `nslab` program: parse the command line, run the command, say how it ended.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::ExitCode;

/// The allocator of musl takes several times as long as that of glibc (docs/performance.md).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match nslab::cli::parse() {
        Ok(args) => args,
        Err(code) => return ExitCode::from(code),
    };
    match nslab::cli::run(args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            nslab::cli::report(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
