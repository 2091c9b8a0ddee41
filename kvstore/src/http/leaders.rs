//! /leaders: who leads which group, and requests to change that.

use niagara_engine::{NotMoved, Unfit};
use serde::Deserialize;

use super::fault::Fault;
use super::fields;

/// A request to change who leads, as the JSON object in the body of a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum LeadersChange {
    /// Hand a group that this server leads over to a server.
    Move { group: u16, to: u64 },
    /// Leave a group to others, even if this server should lead it.
    Leave { group: u16 },
    /// Hand over all that this server leads, and claim nothing.
    Drain {},
    /// End a drain, and claim what this server should lead.
    Balance {},
}

pub(super) const HINT: &str =
    "send {\"move\":{\"group\":1,\"to\":2}}, {\"leave\":{\"group\":1}}, {\"drain\":{}} or {\"balance\":{}}";

impl LeadersChange {
    /// What is asked for, in words.
    pub(super) fn words(self) -> String {
        match self {
            LeadersChange::Move { group, to } => {
                format!("hand the leadership of group {group} over to server {to}")
            }
            LeadersChange::Leave { group } => format!("leave group {group} to others"),
            LeadersChange::Drain {} => "drain: hand all leaderships over".into(),
            LeadersChange::Balance {} => "balance: end a drain, claim what this server should lead".into(),
        }
    }

    pub(super) fn parse(body: &[u8]) -> Result<LeadersChange, Fault> {
        fields::read(body).map_err(|error| {
            Fault::bad_request(format!("the body is no request to change leaders: {error}"), HINT)
        })
    }
}

impl Fault {
    /// Nothing has changed, since the leadership cannot move.
    pub(super) fn not_moved(why: &NotMoved) -> Fault {
        let (status, error) = match why {
            NotMoved::NoSuchGroup { .. } | NotMoved::NoMember { .. } => (404, "not_found"),
            NotMoved::NotLeading { .. } => (409, "not_leading"),
            NotMoved::Unfit { why: Unfit::Unreachable, .. } => (409, "unreachable"),
            NotMoved::Unfit { .. } => (409, "behind"),
            NotMoved::Stopping => (503, "stopping"),
            _ => (409, "not_moved"),
        };
        Fault::new(status, error, why.to_string(), "GET /leaders shows who leads, and who could")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_objects_with_one_word() {
        let parse = |text: &str| LeadersChange::parse(text.as_bytes()).ok();
        assert_eq!(
            parse(r#"{"move": {"group": 1, "to": 2}}"#),
            Some(LeadersChange::Move { group: 1, to: 2 })
        );
        assert_eq!(parse(r#"{"leave":{"group":3}}"#), Some(LeadersChange::Leave { group: 3 }));
        assert_eq!(parse(r#"{"drain":{}}"#), Some(LeadersChange::Drain {}));
        assert_eq!(parse(r#"{"balance":{}}"#), Some(LeadersChange::Balance {}));
        for wrong in [
            "",
            "{}",
            "drain",
            r#"{"move":{"group":1}}"#,
            r#"{"drain":{"now":true}}"#,
            r#"{"move":{"group":70000,"to":1}}"#,
        ] {
            let fault = LeadersChange::parse(wrong.as_bytes()).unwrap_err();
            assert_eq!((fault.status, fault.hint.as_ref()), (400, HINT), "{wrong}");
        }
    }
}
