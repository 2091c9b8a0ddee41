//! Whether a member answers where clients are to find it.

use std::time::Duration;

use niagara_client::{Endpoint, Request};
use niagara_engine::MemberView;
use niagara_kvstore::Note;
use serde::Deserialize;

use super::cluster_args::ClusterArgs;
use super::failure::Failure;

/// How long the member may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where clients find a member's HTTP port, if it says so.
pub fn of(member: &MemberView, arguments: &ClusterArgs) -> Result<Option<Endpoint>, Failure> {
    let Note { http, https, .. } = Note::parse(&member.note);
    let url = https.map(|https| format!("https://{https}")).or(http.map(|http| format!("http://{http}")));
    let Some(url) = url else { return Ok(None) };
    let endpoint: Endpoint =
        url.parse().map_err(|hint| Failure::usage(format!("{url} is no address"), hint))?;
    Ok(Some(endpoint.with(&arguments.access.read(None)?)))
}

/// What a server says of itself.
#[derive(Deserialize)]
struct Page {
    server: u64,
}

/// The server that answers there; `None` if none does.
pub fn who_answers(endpoint: &Endpoint) -> Option<u64> {
    // A password is given to Niagara servers only.
    if endpoint.access().credentials().is_some() {
        endpoint.recognise(PATIENCE).ok()?;
    }
    let response = endpoint.send(&Request::get("/status"), PATIENCE).ok()?;
    serde_json::from_slice(&response.body).ok().map(|Page { server }| server)
}

/// Refuses an address at which another server answers, or nobody does.
pub fn check(member: &MemberView, arguments: &ClusterArgs) -> Result<(), Failure> {
    let Some(endpoint) = of(member, arguments)? else { return Ok(()) };
    let server = member.server;
    let hint = "start the server there first, or correct the address";
    match who_answers(&endpoint) {
        Some(found) if found == server => Ok(()),
        Some(found) => {
            Err(Failure::refused(format!("server {found} answers at {endpoint}, not server {server}"), hint))
        }
        None => Err(Failure::refused(format!("server {server} does not answer at {endpoint}"), hint)),
    }
}
