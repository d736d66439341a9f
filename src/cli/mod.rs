//! The command line: one small file for each command. A command parses its arguments, calls the engine, gives the
//! result to `show` and chooses the exit code; it knows nothing else.

mod apply;
mod attend;
mod check;
mod commands;
mod destroy;
mod dns;
mod doctor;
mod exec;
mod exit_code;
mod explain;
mod failure;
mod init;
mod lab_arg;
mod list;
mod logs;
mod man;
mod output;
mod plan;
mod policy;
mod printable;
mod report_args;
mod run_once;
mod sandbox;
mod schema;
mod serve;
mod status;
mod supervise;
mod test;
mod trace;
mod unknown_lab;
mod validate;

use clap::{CommandFactory, Parser, Subcommand};
pub use exit_code::{DONE, OUT_OF_SYNC, REFUSED, WRONG_INPUT};
pub use failure::Failure;
pub use output::{Format, report};

/// Networks on one Linux machine: built from a topology file, checked, and removed without a trace.
#[derive(Debug, Parser)]
#[command(name = "nslab", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed or out of sync (a check or a proof failed, `plan --exit-code` found steps); 2 the command line or \
the file is wrong, nothing was changed; 3 the system refused, what had been changed was undone; 130/143 interrupted, also \
undone.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the lab of a topology file, or change only what differs from it
    Apply(apply::ApplyArgs),
    /// Show what `apply` would do, and why; change nothing
    Plan(plan::PlanArgs),
    /// Run the file's checks on the live lab
    Check(check::CheckArgs),
    /// Show who may reach whom by the network policies, and which policy says so
    Policy(policy::PolicyArgs),
    /// Show what the name servers of a lab know, or a Corefile for the real CoreDNS
    Dns(dns::DnsArgs),
    /// Follow one packet through every interface that it crosses, and say why it does not arrive
    Trace(trace::TraceArgs),
    /// Show what a namespace does with packets to an address: route, next hop, rules, each with a command that shows it
    Explain(explain::ExplainArgs),
    /// Remove labs and leave the host as it was
    Destroy(destroy::DestroyArgs),
    /// Apply, check and destroy in a temporary sandbox; needs no root
    Test(test::TestArgs),
    /// List the labs on this machine
    List(list::ListArgs),
    /// Show a lab's namespaces, interfaces, addresses, programs, processes and drift, or one namespace in full
    Status(status::StatusArgs),
    /// Show what the programs of a lab have printed
    Logs(logs::LogsArgs),
    /// Run a command in a namespace of a lab, and exit with its exit code
    Exec(exec::ExecArgs),
    /// Open a shell in a namespace of a lab
    Shell(exec::ShellArgs),
    /// Run built-in servers where you are: HTTP that says who answers, echo over TCP and UDP
    Serve(serve::ServeArgs),
    /// Print the shell script that builds the same lab with ip, sysctl and iptables
    Commands(commands::CommandsArgs),
    /// Find every mistake in topology files, with line and column
    Validate(validate::ValidateArgs),
    /// Find what the machine lacks for a lab, or for labs in general, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Run a command, or a shell, in a sandbox: a private host
    Sandbox(sandbox::SandboxArgs),
    /// Hold the programs of a lab; nslab itself starts this
    #[command(hide = true)]
    Supervise(supervise::SuperviseArgs),
    /// Hold the checks of a lab of several machines open; nslab itself starts this
    #[command(hide = true)]
    Attend(attend::AttendArgs),
    /// Run the command of a check; nslab itself starts this
    #[command(hide = true)]
    RunOnce,
    /// Print the JSON Schema of topology files, or of a command's JSON output
    Schema(schema::SchemaArgs),
    /// Print completions for a shell
    Completions(schema::CompletionsArgs),
    /// Write the manual pages of all commands into a folder
    Man(man::ManArgs),
    /// Write a small topology file to start from
    Init(init::InitArgs),
}

/// Reads the command line. What is wrong with it, or the help that it asks for, is printed.
///
/// # Errors
/// The exit code, where there is nothing to run.
pub fn parse() -> Result<Args, u8> {
    Args::try_parse().map_err(|error| {
        let is_on_terminal = if error.use_stderr() { output::colour_of_messages() } else { output::colour() };
        let text = error.render();
        let text = if is_on_terminal { text.ansi().to_string() } else { text.to_string() };
        if error.use_stderr() {
            output::say(text.trim_end());
        } else {
            let _ = output::print(&text);
        }
        u8::try_from(error.exit_code()).unwrap_or(WRONG_INPUT)
    })
}

/// Runs a command; its exit code.
///
/// # Errors
/// The command could not do its work.
pub fn run(args: Args) -> Result<u8, Failure> {
    match args.command {
        Command::Apply(args) => apply::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Dns(args) => dns::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Destroy(args) => destroy::run(&args),
        Command::Test(args) => test::run(&args),
        Command::List(args) => list::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Exec(args) => exec::run(&args),
        Command::Shell(args) => exec::run_shell(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Commands(args) => commands::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Supervise(args) => supervise::run(&args),
        Command::Attend(args) => attend::run(&args),
        Command::RunOnce => run_once::run(),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => schema::run_completions(&args, &mut Args::command()),
        Command::Man(args) => man::run(&args, Args::command()),
        Command::Init(args) => init::run(&args),
    }
}
