//! /members: the servers of the cluster, and requests for others.

use niagara_engine::{EpochView, MembersChange};
use serde::Serialize;

use super::fault::Fault;
use super::fields;
use crate::protocol::Engine;

pub(super) const HINT: &str =
    "send {\"leave\":[2],\"come\":[{\"server\":4,\"addresses\":[\"HOST:PORT\"],\"transfer\":\"HOST:PORT\"}]}";

/// The epoch and its members, and the cluster that they are of, as GET shows them.
#[derive(Debug, Serialize)]
pub(super) struct MembersPage {
    cluster: String,
    #[serde(flatten)]
    epoch: EpochView,
}

impl MembersPage {
    pub(super) fn of(engine: &impl Engine) -> MembersPage {
        MembersPage { cluster: engine.status().cluster, epoch: engine.epoch() }
    }
}

/// A request for other members, from the JSON object in the body of a POST.
pub(super) fn parse(body: &[u8]) -> Result<MembersChange, Fault> {
    let wrong =
        |what: String| Fault::bad_request(format!("the body is no request for other members: {what}"), HINT);
    let change: MembersChange = fields::read(body).map_err(|error| wrong(error.to_string()))?;
    if change.leave.is_empty() && change.come.is_empty() {
        return Err(wrong("nobody comes or leaves".into()));
    }
    Ok(change)
}

/// The request in words.
pub(super) fn in_words(MembersChange { leave, come }: &MembersChange) -> String {
    let come: Vec<u64> = come.iter().map(|member| member.server).collect();
    format!("ask for other members: {leave:?} leave, {come:?} come")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_who_comes_and_who_leaves() {
        let body = br#"{"leave":[2],"come":[{"server":4,"addresses":["h:1"],"transfer":"h:2"}]}"#;
        let change = parse(body).unwrap();
        assert_eq!((change.leave, change.come[0].weight), (vec![2], 100));
        for wrong in ["", "{}", "[]", r#"{"leave":2}"#, r#"{"leave":[-1]}"#, r#"{"leave":[1],"now":1}"#] {
            let fault = parse(wrong.as_bytes()).unwrap_err();
            assert_eq!((fault.status, fault.hint.as_ref()), (400, HINT), "{wrong}");
        }
    }
}
