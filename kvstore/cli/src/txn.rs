//! `niagara txn`: compares keys, then executes one list of operations or another.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::Args;
use niagara_client::{Again, Request};
use serde::Deserialize;

use super::ask::{ask, cluster, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::{Failure, Status};
use super::manual;
use super::output::print;
use super::put::read_value;

/// Compare keys, then put, get and delete, all at one position.
#[derive(Debug, Args)]
#[command(after_long_help = manual::TXN)]
pub struct TxnArgs {
    /// A JSON object with `compare`, `then` and `else`; without one, or with `-`, it is read from standard input.
    pub transaction: Option<OsString>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What a server says of a transaction.
#[derive(Deserialize)]
struct Executed {
    succeeded: bool,
}

pub fn run(arguments: TxnArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let body = match arguments.transaction {
        Some(text) if text != OsStr::new("-") => text.into_encoded_bytes(),
        _ => read_value()?,
    };
    let request = Request::post("/txn").header("Content-Type", "application/json").body(body);
    let response = ask(&cluster, &request, Again::Once)?;
    if response.status != 200 {
        return Err(refusal(&response));
    }
    print(&response.body)?;
    match serde_json::from_slice(&response.body) {
        Ok(Executed { succeeded: true }) => Ok(ExitCode::SUCCESS),
        Ok(Executed { succeeded: false }) => Ok(Status::No.code()),
        Err(error) => {
            let hint = "check that server and command are of the same release: `niagara --version`";
            Err(Failure::unknown(format!("the server's answer is malformed: {error}"), hint))
        }
    }
}
