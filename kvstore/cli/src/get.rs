//! `niagara get`: writes a key's value to standard output.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use niagara_client::{Again, Request};

use super::ask::{ask, cluster, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::manual;
use super::output::{print, print_aside};

/// Write a key's value to standard output.
#[derive(Debug, Args)]
#[command(after_long_help = manual::GET)]
pub struct GetArgs {
    /// The key.
    pub key: OsString,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How fresh the value must be: `strong` (sees everything acknowledged before), `at-least:G` (the state
    /// at global position G or later; `put` prints G), or `weak` (the server's current state).
    #[arg(long, value_name = "LEVEL", default_value = "strong", value_parser = parse_read_level)]
    pub read: String,
    /// Print the value's version and the position it was read at to standard error.
    #[arg(short, long)]
    pub verbose: bool,
}

pub fn run(arguments: &GetArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let query = format!("?read={}", arguments.read);
    let request = Request::on_key("GET", arguments.key.as_encoded_bytes(), &query);
    let response = ask(&cluster, &request, Again::Harmless)?;
    match response.status {
        200 => {}
        404 => {
            let key = arguments.key.to_string_lossy();
            return Err(Failure::new(
                format!("the key \"{key}\" does not exist"),
                "`niagara put` creates it",
            ));
        }
        _ => return Err(refusal(&response)),
    }
    print(&response.body)?;
    if io::stdout().is_terminal() {
        print("\n")?;
    }
    if arguments.verbose {
        let header = |name| response.header(name).unwrap_or("unknown").trim_matches('"');
        let text = format!("version {} read at position {}\n", header("ETag"), header("Niagara-Position"));
        print_aside(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks a consistency level.
pub fn parse_read_level(text: &str) -> Result<String, String> {
    let at_least = text.strip_prefix("at-least:").is_some_and(|position| position.parse::<u64>().is_ok());
    match text {
        "strong" | "weak" => Ok(text.to_owned()),
        _ if at_least => Ok(text.to_owned()),
        _ => Err("write strong, weak or at-least:POSITION, for example at-least:1024".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked() {
        for text in ["strong", "weak", "at-least:0", "at-least:18446744073709551615"] {
            assert_eq!(parse_read_level(text).as_deref(), Ok(text));
        }
        for text in ["", "Strong", "at-least", "at-least:", "at-least:-1", "at-least:1 2"] {
            assert!(parse_read_level(text).is_err(), "{text}");
        }
    }
}
