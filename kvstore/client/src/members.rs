//! What a server tells of its cluster: which one it is, and where the members are.

use std::time::Duration;

use serde::Deserialize;

use crate::{Endpoint, Request, Response, Trouble};

/// What `GET /status` tells, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    pub server: u64,
    /// The cluster's id.
    pub cluster: String,
    /// The epoch that the server is in, whose members it lists; 0 if it runs an older release.
    #[serde(default)]
    pub epoch: u32,
    #[serde(default)]
    pub members: Vec<Member>,
}

/// Why a server tells nothing.
#[derive(Debug)]
pub(crate) struct Untold {
    pub why: String,
    /// Whether it must not tell this client.
    pub denied: bool,
}

/// Where one member is.
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub server: u64,
    http: String,
    https: Option<String>,
}

impl Told {
    /// Asks a server.
    pub fn by(endpoint: &Endpoint, timeout: Duration) -> Result<Told, Untold> {
        let untold = |why: String| Untold { why, denied: false };
        let response = status_of(endpoint, timeout).map_err(|trouble| untold(trouble.to_string()))?;
        if response.status != 200 {
            let denied = matches!(response.status, 401 | 403);
            return Err(Untold { why: response.what_happened(), denied });
        }
        serde_json::from_slice(&response.body).map_err(|_| untold("it does not tell its cluster".into()))
    }
}

impl Member {
    /// Its address, for whoever has learned it from the server at `teller` and speaks to all alike.
    pub fn endpoint(&self, teller: &Endpoint) -> Option<Endpoint> {
        let at = match teller.is_encrypted() {
            true => format!("https://{}", self.https.as_ref()?),
            false => self.http.clone(),
        };
        Some(at.parse::<Endpoint>().ok()?.or_at_host_of(teller).with(teller.access()))
    }
}

/// Asks a server for its status. A password is given to Niagara servers only: who knows what is at an address that was listed?
pub(crate) fn status_of(endpoint: &Endpoint, timeout: Duration) -> Result<Response, Trouble> {
    if endpoint.access().credentials().is_some() {
        endpoint.recognise(timeout)?;
    }
    endpoint.send(&Request::get("/status"), timeout)
}

/// What is wrong with a server of the wrong cluster.
pub(crate) fn of_another_cluster(its: &str, ours: &str) -> String {
    format!("is a server of another cluster, {its}; the one asked for is {ours}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;

    #[test]
    fn members_are_asked_as_the_one_that_lists_them() {
        let page = r#"{"server":1,"cluster":"a","members":[
            {"server":1,"http":"0.0.0.0:1","https":"[::]:2"},{"server":2,"http":"h:3"},{"server":3,"http":"?"}]}"#;
        let told: Told = serde_json::from_str(page).unwrap();
        let seen_from = |at: &str| -> Vec<String> {
            let teller = at.parse::<Endpoint>().unwrap().with(&Access::new().password("x"));
            let members: Vec<_> = told.members.iter().filter_map(|member| member.endpoint(&teller)).collect();
            assert!(members.iter().all(|member| member.access().credentials().is_some()));
            members.iter().map(ToString::to_string).collect()
        };
        assert_eq!(seen_from("http://teller:7"), ["http://teller:1", "http://h:3"]);
        assert_eq!(seen_from("https://teller:7"), ["https://teller:2"]);
    }
}
