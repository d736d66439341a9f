//! `nslab schema` and `nslab completions`

use clap::ValueEnum;
use clap_complete::Shell;

use super::exit_code::DONE;
use super::failure::Failure;
use super::output::{print, print_json};
use crate::{show, topology};

/// Options of `nslab schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// The document that the schema describes
    #[arg(value_enum, default_value_t)]
    of: Document,
}

/// A document that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Document {
    /// The topology file
    #[default]
    Topology,
    /// The output of `plan --format json`
    Plan,
    /// The output of `apply --format json` and `destroy --format json`
    Apply,
    /// The output of `check --format json`
    Check,
    /// The output of `check LAB --end`
    Side,
    /// The output of `test --format json`
    Test,
    /// The output of `list --format json`
    List,
    /// The output of `status LAB --format json`
    Status,
    /// The output of `status LAB NAMESPACE --format json`
    Namespace,
    /// The output of `policy LAB --format json`
    Policy,
    /// The output of `policy LAB FROM TO PORT --format json`
    Verdict,
    /// The output of `trace --format json`
    Trace,
    /// The output of `explain --format json`
    Explain,
    /// The output of `validate --format json`
    Validate,
    /// The output of `doctor --format json`
    Doctor,
}

/// Options of `nslab completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints a JSON Schema.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &SchemaArgs) -> Result<u8, Failure> {
    print_json(&match args.of {
        Document::Topology => topology::schema(),
        Document::Plan => show::schema_of::<show::PlanView>(),
        Document::Apply => show::schema_of::<show::AppliedView>(),
        Document::Check => show::schema_of::<crate::check::Report>(),
        Document::Side => show::schema_of::<crate::check::Side>(),
        Document::Test => show::schema_of::<Vec<show::TestView>>(),
        Document::List => show::schema_of::<Vec<show::LabView>>(),
        Document::Status => show::schema_of::<show::StatusView>(),
        Document::Namespace => show::schema_of::<show::NamespaceStatusView>(),
        Document::Policy => show::schema_of::<show::PolicyView>(),
        Document::Verdict => show::schema_of::<show::VerdictView>(),
        Document::Explain => show::schema_of::<crate::trace::Lookup>(),
        Document::Trace => show::schema_of::<crate::trace::Trace>(),
        Document::Doctor => show::schema_of::<show::DoctorView>(),
        Document::Validate => show::schema_of::<Vec<show::ValidView>>(),
    })?;
    Ok(DONE)
}

/// Prints completions for a shell.
///
/// # Errors
/// The result cannot be written.
pub(super) fn run_completions(args: &CompletionsArgs, command: &mut clap::Command) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, command, "nslab", &mut text);
    print(&String::from_utf8_lossy(&text))?;
    Ok(DONE)
}
