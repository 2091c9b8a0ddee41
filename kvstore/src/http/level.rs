//! /level: the cluster's level, and requests to raise it.

use niagara_engine::NotChanged;
use serde::Deserialize;

use super::fault::Fault;
use super::fields;

/// A request for a higher level, as the JSON object in the body of a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelChange {
    pub(super) level: u32,
}

pub(super) const HINT: &str = "send {\"level\":2}";

impl LevelChange {
    pub(super) fn parse(body: &[u8]) -> Result<LevelChange, Fault> {
        fields::read(body)
            .map_err(|error| Fault::bad_request(format!("the body is no request for a level: {error}"), HINT))
    }
}

impl Fault {
    /// Nothing was asked for.
    pub(super) fn level_not_changed(why: &NotChanged) -> Fault {
        Fault::of_change(why, "GET /level shows the level, and those that the members know")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_an_object_with_a_level() {
        assert_eq!(LevelChange::parse(br#"{"level": 2}"#).ok(), Some(LevelChange { level: 2 }));
        for wrong in ["", "2", "{}", r#"{"level":-1}"#, r#"{"level":"2"}"#, r#"{"level":2,"now":true}"#] {
            let fault = LevelChange::parse(wrong.as_bytes()).unwrap_err();
            assert_eq!((fault.status, fault.hint.as_ref()), (400, HINT), "{wrong}");
        }
    }

    #[test]
    fn who_does_not_know_the_level_is_named() {
        let fault = Fault::level_not_changed(&NotChanged::UnknownLevel { server: 3, known: 1, level: 2 });
        assert_eq!((fault.status, fault.error), (400, "level_unknown"));
        assert!(fault.message.contains("server 3 runs a release that knows levels up to 1"));
    }
}
