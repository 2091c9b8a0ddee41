//! `niagara del`: deletes a key.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use niagara_client::{Again, Request};

use super::ask::{ask, cluster, condition_failed, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::put::print_position;
use super::{ask, manual};

/// Delete a key.
#[derive(Debug, Args)]
#[command(after_long_help = manual::DEL)]
pub struct DelArgs {
    /// The key.
    pub key: OsString,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only if the key has this version (as `put` prints it), or any version: `*`.
    #[arg(long, value_name = "VERSION", value_parser = ask::parse_version)]
    pub if_match: Option<String>,
    /// Do not print the position.
    #[arg(short, long)]
    pub quiet: bool,
}

pub fn run(arguments: &DelArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let mut request = Request::on_key("DELETE", arguments.key.as_encoded_bytes(), "");
    if let Some(version) = &arguments.if_match {
        request = request.header("If-Match", version);
    }
    let response = ask(&cluster, &request, Again::Once)?;
    match response.status {
        404 if arguments.if_match.is_some() => Err(condition_failed(&response)),
        // 404: there was nothing to delete.
        200 | 204 | 404 if arguments.quiet => Ok(ExitCode::SUCCESS),
        200 | 204 | 404 => print_position(&response),
        412 => Err(condition_failed(&response)),
        _ => Err(refusal(&response)),
    }
}
