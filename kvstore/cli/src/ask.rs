//! Sends the requests of `put`, `get` and `del`, and explains failures.

use std::time::Duration;

use niagara_client::{Again, Cluster, DEFAULT_URL, Endpoint, ErrorBody, Failed, Request, Response};
use niagara_kvstore::config::ConfigFile;
use niagara_kvstore::{Tag, Version};

use super::failure::Failure;
use crate::cluster_args::ClusterArgs;

/// Where the servers are, if the command line does not say.
const AT_VARIABLE: &str = "NIAGARA_AT";

/// The servers that the command line names.
pub fn endpoints(arguments: &ClusterArgs) -> Result<Vec<Endpoint>, Failure> {
    if let Some(path) = &arguments.config {
        let file = ConfigFile::read(path).map_err(|error| {
            Failure::new(error, "name a server's configuration file, as `niagara serve` reads it")
        })?;
        let tls = file.server.front.tls.as_ref();
        let access = arguments.access.read(tls)?;
        // The ports of this server are those of the others.
        if tls.is_some_and(|tls| tls.only) && !file.https.is_empty() {
            let each = file
                .https
                .iter()
                .map(|(_, address)| parse_endpoint(&format!("https://{address}"), "the configuration file"));
            return each.map(|endpoint| Ok(endpoint?.with(&access))).collect();
        }
        if file.http.is_empty() {
            let what = format!("no member in {} has an `http` address", path.display());
            return Err(Failure::new(what, "add one to its [[members]], or name the servers with --at"));
        }
        return file
            .http
            .iter()
            .map(|(_, address)| Ok(parse_endpoint(address, "the configuration file")?.with(&access)))
            .collect();
    }
    let access = arguments.access.read(None)?;
    if !arguments.at.is_empty() {
        return Ok(arguments.at.iter().map(|endpoint| endpoint.clone().with(&access)).collect());
    }
    let variable = std::env::var(AT_VARIABLE).ok().filter(|text| !text.is_empty());
    let text = variable.as_deref().unwrap_or(DEFAULT_URL);
    text.split(',').map(|url| Ok(parse_endpoint(url, AT_VARIABLE)?.with(&access))).collect()
}

fn parse_endpoint(text: &str, origin: &str) -> Result<Endpoint, Failure> {
    text.trim()
        .parse()
        .map_err(|hint| Failure::usage(format!("{origin} has no usable address in \"{text}\""), hint))
}

/// The cluster that the command line names.
pub fn cluster(arguments: &ClusterArgs) -> Result<Cluster, Failure> {
    let timeout = Duration::from_secs(arguments.timeout.into());
    Ok(Cluster::new(endpoints(arguments)?).timeout(timeout))
}

/// Sends a request to the first server that can serve it.
pub fn ask(cluster: &Cluster, request: &Request, again: Again) -> Result<Response, Failure> {
    cluster.send(request, again).map_err(|failed| match failed {
        Failed::Unknown(_) => {
            let hint = "check the key with `niagara get` before you decide to retry";
            Failure::unknown(failed, hint)
        }
        Failed::Refused(_) => {
            let hint = "check with `niagara status`: are the servers running, and is a majority of them reachable? Name more \
                        servers by --at URL,URL";
            Failure::refused(failed, hint)
        }
    })
}

/// An error reply in the server's own words: what happened, and what to do.
fn message_of(response: &Response) -> (String, String) {
    match response.explanation() {
        Some(ErrorBody { message, hint }) => (message, hint),
        None => {
            let what = format!("the answer was HTTP status {} without an explanation", response.status);
            (what, "check that this is a Niagara server's HTTP port; `niagara status` shows them".into())
        }
    }
}

/// The failure for an error reply. Servers check before they execute. If one fails halfway (500), nobody
/// knows how far it got.
pub fn refusal(response: &Response) -> Failure {
    let (what, hint) = message_of(response);
    match response.status {
        500 => Failure::unknown(what, hint),
        _ => Failure::refused(what, hint),
    }
}

/// The failure of a write whose condition does not hold.
pub fn condition_failed(response: &Response) -> Failure {
    let now = match response.header("ETag") {
        Some(tag) => format!("has version {}", tag.trim_matches('"')),
        None => "does not exist".to_owned(),
    };
    let hint = "read it again with `niagara get --verbose`, then decide";
    Failure::new(format!("the condition does not hold: the key {now}"), hint)
}

/// Turns a version as users write it (9f86d081884c7d65-12, the same in quotes, or *) into HTTP's form.
pub fn parse_version(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    // Earlier servers issued versions without a life. They match nothing any more, and the server says so.
    match bare.parse::<Tag>().is_ok() || bare.parse::<Version>().is_ok() {
        true => Ok(format!("\"{bare}\"")),
        false => {
            Err("write a version as `niagara put` prints it, such as 9f86d081884c7d65-1024, or * for any"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_quoted_for_http() {
        assert_eq!(parse_version("*").as_deref(), Ok("*"));
        assert_eq!(parse_version("12").as_deref(), Ok("\"12\""));
        assert_eq!(parse_version("9f86d081884c7d65-12.3").as_deref(), Ok("\"9f86d081884c7d65-12.3\""));
        assert_eq!(parse_version("\"9f86d081884c7d65-1\"").as_deref(), Ok("\"9f86d081884c7d65-1\""));
        assert_eq!(parse_version("\"12.3\"").as_deref(), Ok("\"12.3\""));
        for text in ["", "12.", ".3", "1.2.3", "W/\"1\"", "abc", "\"12"] {
            assert!(parse_version(text).is_err(), "{text}");
        }
    }
}
