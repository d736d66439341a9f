//! The command line: one small file a command. Commands load, ask the other rooms to work, and hand the result to
//! `show`; they hold no knowledge of their own.

mod apply;
mod check;
mod commands;
mod destroy;
mod doctor;
mod exec;
mod failure;
mod init;
mod list;
mod plan;
mod report_args;
mod sandbox;
mod schema;
mod status;
mod test;
mod validate;

use std::io::{ErrorKind, IsTerminal, Write};

use clap::{Parser, Subcommand, ValueEnum};
pub use failure::Failure;

/// Done as asked.
pub const DONE: u8 = 0;
/// A check failed, or a lab is not as its file says.
pub const OUT_OF_SYNC: u8 = 1;
/// The command line or the file is wrong; nothing was changed.
pub const WRONG_INPUT: u8 = 2;
/// The system refused; what had been changed was undone.
pub const REFUSED: u8 = 3;

/// Networks on one Linux machine, from a topology file to a proven network and back to nothing.
#[derive(Debug, Parser)]
#[command(name = "nslab", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed or out of sync (a check failed, `plan --exit-code` found steps); 2 the command line or the \
file is wrong, nothing was changed; 3 the system refused, what had been changed was undone; 130/143 interrupted, undone \
as well.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the kernel look like a topology file, changing only what differs
    Apply(apply::ApplyArgs),
    /// Show what `apply` would do, and why; change nothing
    Plan(plan::PlanArgs),
    /// Run the file's checks on the live lab
    Check(check::CheckArgs),
    /// Remove labs and leave the host as it was
    Destroy(destroy::DestroyArgs),
    /// Apply, check and destroy in a throw-away sandbox; needs no root
    Test(test::TestArgs),
    /// List the labs on this machine
    List(list::ListArgs),
    /// Show a lab's namespaces, interfaces, addresses, processes and drift
    Status(status::StatusArgs),
    /// Run a command in a namespace of a lab; its exit code is ours
    Exec(exec::ExecArgs),
    /// Open a shell in a namespace of a lab
    Shell(exec::ShellArgs),
    /// Print the shell script that builds the same lab with ip, sysctl and iptables
    Commands(commands::CommandsArgs),
    /// Find every fault in topology files, with line and column
    Validate(validate::ValidateArgs),
    /// Find what stands in the way of a lab, or of labs in general, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Run a command, or a shell, in a private host of its own
    Sandbox(sandbox::SandboxArgs),
    /// Print the JSON Schema of topology files, or of a command's JSON output
    Schema(schema::SchemaArgs),
    /// Print completions for a shell
    Completions(schema::CompletionsArgs),
    /// Write a small topology file to start from
    Init(init::InitArgs),
}

/// How a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs; `nslab schema COMMAND` describes it
    Json,
}

/// Runs a command; the exit code where it did its work.
pub fn run(args: Args) -> Result<u8, Failure> {
    match args.command {
        Command::Apply(args) => apply::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Destroy(args) => destroy::run(&args),
        Command::Test(args) => test::run(&args),
        Command::List(args) => list::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Shell(args) => exec::run_shell(&args),
        Command::Commands(args) => commands::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => schema::run_completions(&args),
        Command::Init(args) => init::run(&args),
    }
}

/// Whether results are shown in colour: on a terminal, unless NO_COLOR (no-color.org) says otherwise.
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a result. A reader that has gone away (`nslab … | head`) is no fault; a full disk is one.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{newline}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Output(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a result as JSON.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print(&text.map_err(|error| Failure::Output(format!("cannot write the result: {error}")))?)
}

/// Says something on the side.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
