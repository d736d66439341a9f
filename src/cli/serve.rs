//! `nslab serve`

use super::failure::Failure;
use super::output;
use crate::engine;
use crate::lab::Server;

/// Options of `nslab serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The servers, such as http:80, tcp:7 or udp:7; with `,address=…` at one address only; of http, with
    /// `,status=…` and `,text=…`, which comes last
    #[arg(required = true, value_name = "KIND:PORT")]
    servers: Vec<Server>,
}

/// Serves until it is ended.
///
/// # Errors
/// A port is taken.
pub(super) fn run(args: &ServeArgs) -> Result<u8, Failure> {
    let servers: Vec<String> = args.servers.iter().map(Server::to_string).collect();
    match engine::serve(&args.servers, |ns| output::say(&format!("{ns} serves {}", servers.join(", "))))? {}
}
