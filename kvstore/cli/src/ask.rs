//! Asks servers one after the other until one can serve, without ever hiding that a write may have been executed.

use std::io::Write;
use std::time::Duration;

use niagara_kvstore::config::ConfigFile;
use niagara_kvstore::{Tag, Version};

use super::failure::Failure;
use crate::arguments::ClusterArgs;
use niagara_kvstore::client::{DEFAULT_URL, Endpoint, ErrorBody, Request, Response, Trouble};

/// Where the servers are, unless the command line says it.
const AT_VARIABLE: &str = "NIAGARA_AT";

/// What it means to send a request again although it may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing: it is a read.
    Harmless,
    /// The same in the end: an unconditional write. But the user is told.
    SameEffect,
    /// Something else: a conditional write that has succeeded would now fail.
    Never,
}

/// How one server's answer, or its silence, is to be taken.
enum Verdict {
    Answer(Response),
    /// It has not executed the request, and another server might.
    Elsewhere(String),
    /// It may have executed the request.
    Unknown(String),
}

/// The servers that a command line names.
pub fn endpoints(arguments: &ClusterArgs) -> Result<Vec<Endpoint>, Failure> {
    if let Some(path) = &arguments.config {
        let file = ConfigFile::read(path).map_err(|error| {
            Failure::new(error, "name a server's configuration file, as `niagara serve` reads it")
        })?;
        if file.http.is_empty() {
            let what = format!("no member in {} has an `http` address", path.display());
            return Err(Failure::new(what, "add them to its [[members]], or name the servers by --at"));
        }
        return file
            .http
            .iter()
            .map(|(_, address)| parse_endpoint(address, "the configuration file"))
            .collect();
    }
    if !arguments.at.is_empty() {
        return Ok(arguments.at.clone());
    }
    let variable = std::env::var(AT_VARIABLE).ok().filter(|text| !text.is_empty());
    let text = variable.as_deref().unwrap_or(DEFAULT_URL);
    text.split(',').map(|url| parse_endpoint(url, AT_VARIABLE)).collect()
}

fn parse_endpoint(text: &str, origin: &str) -> Result<Endpoint, Failure> {
    text.trim()
        .parse()
        .map_err(|hint| Failure::usage(format!("{origin} has no usable address in \"{text}\""), hint))
}

/// Sends a request to the first server that can serve it. What the user should know on the way goes to `notices`.
pub fn ask(
    endpoints: &[Endpoint],
    request: &Request,
    again: Again,
    timeout: Duration,
    notices: &mut impl Write,
) -> Result<Response, Failure> {
    let mut tried = Vec::new();
    let mut unknown = false;
    for endpoint in endpoints {
        if unknown && again == Again::SameEffect {
            let _ = writeln!(
                notices,
                "note: {}\nnote: so it may or may not have been executed; sending it again to {endpoint}, which has the \
                 same effect",
                tried.last().map_or("", String::as_str)
            );
        }
        // A write is for servers of ours only: who answers is asked before it is sent.
        let recognised = if again == Again::Harmless { Ok(()) } else { endpoint.recognise(timeout) };
        if let Err(trouble) = recognised {
            tried.push(format!("{endpoint}: {trouble}"));
            continue;
        }
        match judge(endpoint.send(request, timeout)) {
            Verdict::Answer(response) => return Ok(response),
            Verdict::Elsewhere(why) => tried.push(format!("{endpoint}: {why}")),
            Verdict::Unknown(why) => {
                tried.push(format!("{endpoint}: {why}"));
                unknown |= again != Again::Harmless;
                if again == Again::Never {
                    break;
                }
            }
        }
    }
    Err(exhausted(&tried, unknown))
}

fn judge(outcome: Result<Response, Trouble>) -> Verdict {
    match outcome {
        Ok(response) => match response.status {
            429 | 503 | 507 => Verdict::Elsewhere(message_of(&response).0),
            504 => Verdict::Unknown(message_of(&response).0),
            _ if response.is_ours() => Verdict::Answer(response),
            status => Verdict::Elsewhere(format!(
                "this is not a Niagara server's HTTP port: something else answers, with HTTP status {status}"
            )),
        },
        Err(trouble) if trouble.is_foreign() => Verdict::Elsewhere(trouble.to_string()),
        Err(trouble @ Trouble::NotSent(_)) => Verdict::Elsewhere(trouble.to_string()),
        Err(trouble @ Trouble::Lost(_)) => Verdict::Unknown(trouble.to_string()),
    }
}

fn exhausted(tried: &[String], unknown: bool) -> Failure {
    let tried = tried.join("\n  ");
    if unknown {
        let hint = "look with `niagara get` what the key has now, before you decide to send it again";
        return Failure::unknown(
            format!("the outcome is unknown: it may or may not have been executed\n  {tried}"),
            hint,
        );
    }
    let hint = "look with `niagara status`; are the servers running, and is a majority of them reachable? Name further \
                servers by --at URL,URL";
    Failure::refused(format!("no server could serve the request\n  {tried}"), hint)
}

/// An error reply in a server's own words: what happened, and what to do.
fn message_of(response: &Response) -> (String, String) {
    match serde_json::from_slice(&response.body) {
        Ok(ErrorBody { message, hint }) => (message, hint),
        Err(_) => {
            let what = format!("the answer was HTTP status {}, without an explanation", response.status);
            (what, "is it a Niagara server's HTTP port? `niagara status` shows which are".into())
        }
    }
}

/// The failure that a reply stands for which is not the hoped-for one. Servers check before they execute; where one fails in the
/// midst of it, nobody knows how far it came.
pub fn refusal(response: &Response) -> Failure {
    let (what, hint) = message_of(response);
    match response.status {
        500 => Failure::unknown(what, hint),
        _ => Failure::refused(what, hint),
    }
}

/// The failure of a write whose condition did not hold.
pub fn condition_failed(response: &Response) -> Failure {
    let now = match response.header("ETag") {
        Some(tag) => format!("has version {}", tag.trim_matches('"')),
        None => "does not exist".to_owned(),
    };
    let hint = "read it again with `niagara get --verbose`, and decide anew";
    Failure::new(format!("the condition does not hold: the key {now}"), hint)
}

/// A version as the user writes it (9f86d081884c7d65-12, the same in quotes, or *) as HTTP wants it.
pub fn parse_version(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    // Earlier servers gave out versions without a life. They name nothing any more, which the server says.
    match bare.parse::<Tag>().is_ok() || bare.parse::<Version>().is_ok() {
        true => Ok(format!("\"{bare}\"")),
        false => {
            Err("write a version as `niagara put` prints it, like 9f86d081884c7d65-1024, or * for any".into())
        }
    }
}

#[cfg(test)]
mod tests;
