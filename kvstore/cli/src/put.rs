//! `niagara put`: sets a key's value.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use clap::Args;
use niagara_client::{Again, Request, Response};
use niagara_kvstore::command::MAX_VALUE_BYTES;

use super::ask::{ask, cluster, condition_failed, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::output::{note, print};
use super::{ask, manual};

/// Set a key's value.
#[derive(Debug, Args)]
#[command(after_long_help = manual::PUT)]
pub struct PutArgs {
    /// The key: 0 to 65,536 bytes of any kind.
    pub key: OsString,
    /// The value; without one, or with `-`, it is read from standard input to its end.
    pub value: Option<OsString>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Only if the key has this version (as `put` prints it), or any version: `*`.
    #[arg(long, value_name = "VERSION", value_parser = ask::parse_version)]
    pub if_match: Option<String>,
    /// Only if the key does not exist.
    #[arg(long, conflicts_with = "if_match")]
    pub if_absent: bool,
    /// Do not print the position and the version.
    #[arg(short, long)]
    pub quiet: bool,
}

pub fn run(arguments: PutArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let value = match arguments.value {
        Some(value) if value != OsStr::new("-") => value.into_encoded_bytes(),
        _ => read_value()?,
    };
    let mut request = Request::on_key("PUT", arguments.key.as_encoded_bytes(), "").body(value);
    if let Some(version) = arguments.if_match {
        request = request.header("If-Match", version);
    }
    if arguments.if_absent {
        request = request.header("If-None-Match", "*");
    }
    let response = ask(&cluster, &request, Again::Once)?;
    match response.status {
        200 | 201 | 204 if arguments.quiet => Ok(ExitCode::SUCCESS),
        200 | 201 | 204 => print_position(&response),
        412 => Err(condition_failed(&response)),
        _ => Err(refusal(&response)),
    }
}

/// Prints a write's position in the global log, and the key's version if the key exists.
pub fn print_position(response: &Response) -> Result<ExitCode, Failure> {
    let mut line = format!("position {}", response.header("Niagara-Position").unwrap_or("unknown"));
    if let Some(tag) = response.header("ETag") {
        line.push_str(&format!(" version {}", tag.trim_matches('"')));
    }
    line.push('\n');
    print(line)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the value from standard input, up to the length of the largest value.
pub fn read_value() -> Result<Vec<u8>, Failure> {
    let input = io::stdin().lock();
    if input.is_terminal() {
        note("Reading the value from the terminal; press Ctrl-D on an empty line to end it.\n");
    }
    let mut value = Vec::new();
    input.take(MAX_VALUE_BYTES as u64 + 1).read_to_end(&mut value).map_err(|error| {
        Failure::refused(
            format!("cannot read the value from standard input: {error}"),
            "check where standard input comes from, or give the value on the command line",
        )
    })?;
    if value.len() > MAX_VALUE_BYTES {
        let what = format!("the value on standard input is too large: the limit is {MAX_VALUE_BYTES} bytes");
        return Err(Failure::refused(what, "nothing was written; store it in parts, under several keys"));
    }
    Ok(value)
}
