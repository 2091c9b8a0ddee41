//! What a server tells of its cluster: which one it is, and where the members are.

use std::time::Duration;

use serde::Deserialize;

use crate::{Endpoint, Request, Response, Trouble};

/// Where one member is.
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub server: u64,
    http: String,
    https: Option<String>,
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

    #[derive(Deserialize)]
    struct Page {
        members: Vec<Member>,
    }

    #[test]
    fn members_are_asked_as_the_one_that_lists_them() {
        let page = r#"{"server":1,"cluster":"a","members":[
            {"server":1,"http":"0.0.0.0:1","https":"[::]:2"},{"server":2,"http":"h:3"},{"server":3,"http":"?"}]}"#;
        let told: Page = serde_json::from_str(page).unwrap();
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
