//! `niagara list`: the keys with a prefix.

use std::ffi::OsString;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use niagara_client::{Again, Request};
use serde::Deserialize;
use serde::de::Error;
use serde_json::Value;

use super::ask::{ask, cluster, refusal};
use super::cluster_args::ClusterArgs;
use super::failure::Failure;
use super::get::parse_read_level;
use super::manual;
use super::output::print;

/// List the keys that begin with a prefix.
#[derive(Debug, Args)]
#[command(after_long_help = manual::LIST)]
pub struct ListArgs {
    /// What the keys begin with; without it, all keys.
    #[arg(default_value = "")]
    pub prefix: OsString,
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// How fresh the listing must be: `strong`, `at-least:G` or `weak`, as in `niagara get`.
    #[arg(long, value_name = "LEVEL", default_value = "strong", value_parser = parse_read_level)]
    pub read: String,
    /// Print a JSON object for each key, with its version, its length and its deadline.
    #[arg(long)]
    pub json: bool,
    /// Print the values, too.
    #[arg(long, requires = "json")]
    pub values: bool,
}

/// A page, as a server prints it.
#[derive(Deserialize)]
struct Page {
    keys: Vec<Value>,
    next: Option<String>,
}

pub fn run(arguments: &ListArgs) -> Result<ExitCode, Failure> {
    let cluster = cluster(&arguments.cluster)?;
    let options = format!("&read={}&values={}", arguments.read, arguments.values);
    let mut after = String::new();
    loop {
        let query = format!("{options}{after}&limit=1000");
        let request = Request::list(arguments.prefix.as_encoded_bytes(), &query);
        let response = ask(&cluster, &request, Again::Harmless)?;
        if response.status != 200 {
            return Err(refusal(&response));
        }
        let page: Page = serde_json::from_slice(&response.body).map_err(|error| malformed(&error))?;
        print(lines(&page, arguments.json)?)?;
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// A line for each key.
fn lines(page: &Page, json: bool) -> Result<Vec<u8>, Failure> {
    let mut lines = Vec::new();
    for entry in &page.keys {
        if json {
            lines.extend_from_slice(entry.to_string().as_bytes());
        } else {
            lines.extend_from_slice(&key(entry).map_err(|error| malformed(&error))?);
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

/// The key of an entry.
fn key(entry: &Value) -> Result<Vec<u8>, serde_json::Error> {
    let text = |name| entry.get(name).and_then(Value::as_str);
    match (text("key"), text("key_base64")) {
        (Some(key), _) => Ok(key.as_bytes().to_vec()),
        (None, Some(encoded)) => STANDARD.decode(encoded).map_err(Error::custom),
        (None, None) => Err(Error::missing_field("key")),
    }
}

fn malformed(error: &serde_json::Error) -> Failure {
    let what = format!("the server's listing is malformed: {error}");
    Failure::new(what, "check that server and command are of the same release: `niagara --version`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_bytes_are_printed_as_they_are() {
        let text =
            r#"{"position":7,"keys":[{"key":"a\nb","bytes":1},{"key_base64":"/wA=","bytes":0}],"next":"12"}"#;
        let page: Page = serde_json::from_str(text).unwrap();
        assert_eq!(lines(&page, false).unwrap(), b"a\nb\n\xff\0\n");
        let json = String::from_utf8(lines(&page, true).unwrap()).unwrap();
        assert!(json.starts_with("{\"bytes\":1,\"key\":\"a\\nb\"}\n{"), "{json}");
        assert_eq!(page.next.as_deref(), Some("12"));
        let nameless: Page = serde_json::from_str(r#"{"keys":[{"bytes":1}]}"#).unwrap();
        assert!(lines(&nameless, false).is_err());
    }
}
