//! /groups: the epoch and its number of groups, and requests for another number.

use niagara_engine::{EpochView, NotChanged, ServerId};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::fields;

/// A request for another number of groups, as the JSON object in the body of a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupsChange {
    pub groups: u16,
}

/// The epoch and its groups, as GET shows them.
#[derive(Debug, Serialize)]
pub(super) struct GroupsPage {
    epoch: u32,
    groups: u16,
    members: Vec<ServerId>,
}

impl GroupsPage {
    pub(super) fn of(epoch: EpochView) -> GroupsPage {
        let EpochView { number, groups, members, .. } = epoch;
        GroupsPage { epoch: number, groups, members }
    }
}

pub(super) const HINT: &str = "send {\"groups\":8}";

impl GroupsChange {
    pub(super) fn parse(body: &[u8]) -> Result<GroupsChange, Fault> {
        fields::read(body).map_err(|error| {
            Fault::bad_request(format!("the body is no request for a number of groups: {error}"), HINT)
        })
    }
}

impl Fault {
    /// Nothing was asked for.
    pub(super) fn not_changed(why: &NotChanged) -> Fault {
        Fault::of_change(why, "GET /groups shows the epoch and its groups")
    }

    /// Nothing was asked for.
    pub(super) fn members_not_changed(why: &NotChanged) -> Fault {
        Fault::of_change(why, "GET /members shows the epoch and its members")
    }

    pub(super) fn of_change(why: &NotChanged, hint: &'static str) -> Fault {
        let (status, error) = match why {
            NotChanged::Groups { .. }
            | NotChanged::NotAMember { .. }
            | NotChanged::WasMember { .. }
            | NotChanged::Members { .. }
            | NotChanged::NobodyStays
            | NotChanged::Address { .. } => (400, "bad_request"),
            NotChanged::LeadsNothing { .. } => (409, "not_leading"),
            NotChanged::UnderWay => (409, "under_way"),
            NotChanged::TooFewUp { .. } => (409, "too_few_up"),
            NotChanged::LowerLevel { .. } => (400, "lower_level"),
            NotChanged::UnknownLevel { .. } => (400, "level_unknown"),
            NotChanged::Away { .. } => (409, "away"),
            NotChanged::Same => (409, "same"),
            NotChanged::Follower => (409, "follower"),
            NotChanged::Stopping => (503, "stopping"),
            _ => (409, "not_changed"),
        };
        Fault::new(status, error, why.to_string(), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_an_object_with_a_number() {
        assert_eq!(GroupsChange::parse(br#"{"groups": 8}"#).ok(), Some(GroupsChange { groups: 8 }));
        for wrong in ["", "8", "{}", r#"{"groups":-1}"#, r#"{"groups":70000}"#, r#"{"groups":1,"now":true}"#]
        {
            let fault = GroupsChange::parse(wrong.as_bytes()).unwrap_err();
            assert_eq!((fault.status, fault.hint.as_ref()), (400, HINT), "{wrong}");
        }
    }
}
