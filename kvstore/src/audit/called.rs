//! What scripts call that administers the cluster.

use super::{is_administrative, words};
use crate::reply::CalledAct;
use crate::{Data, Database};

/// Acts of one script that are told one by one. The others are counted.
const MOST_ACTS: usize = 32;

/// The acts of a script, in the order of their first calls.
#[derive(Debug, Default)]
pub(crate) struct CalledActs {
    acts: Vec<CalledAct>,
    further: u64,
}

impl CalledActs {
    /// Notes what a call was answered, if it was an act.
    pub(crate) fn note(&mut self, what: Option<String>, answer: &Data) {
        let Some(what) = what else { return };
        let error = match answer {
            Data::Error(text) => Some(text.clone().into_owned()),
            _ => None,
        };
        if let Some(act) = self.acts.iter_mut().find(|act| act.what == what && act.error == error) {
            act.times += 1;
        } else if self.acts.len() < MOST_ACTS {
            self.acts.push(CalledAct { what, error, times: 1 });
        } else {
            self.further += 1;
        }
    }

    /// All of them, as the reply carries them.
    pub(crate) fn into_acts(mut self) -> Vec<CalledAct> {
        if self.further > 0 {
            let what = "other administrative commands".to_owned();
            self.acts.push(CalledAct { what, error: None, times: self.further });
        }
        self.acts
    }
}

/// Which act a script is about to call for a database, in words, if it is one. It need not be one that scripts may call.
pub(crate) fn called(name: &[u8], behind: &[&[u8]], database: Database) -> Option<String> {
    let name = std::str::from_utf8(name).ok().filter(|name| is_administrative(name))?.to_ascii_uppercase();
    let is =
        |at: usize, word: &str| behind.get(at).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()));
    let from = |at: usize| behind.iter().skip(at).copied();
    match &*name {
        "FLUSHDB" => Some(format!("FLUSHDB {}", database.number())),
        "FAILOVER" | "SWAPDB" => Some(words(&name, from(0))),
        "CONFIG" if is(0, "SET") => Some(words("CONFIG SET", from(1).step_by(2))),
        "ACL" if is(0, "SETUSER") => Some(words("ACL SETUSER", from(1))),
        "ACL" if is(0, "DELUSER") => Some(words("ACL DELUSER", from(1))),
        "ACL" if is(0, "LOG") && is(1, "RESET") => Some("ACL LOG RESET".into()),
        "SCRIPT" if is(0, "FLUSH") => Some("SCRIPT FLUSH".into()),
        "ACL" | "CONFIG" | "SCRIPT" => None,
        _ => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(name: &str, behind: &[&str]) -> Option<String> {
        let behind: Vec<&[u8]> = behind.iter().map(|word| word.as_bytes()).collect();
        called(name.as_bytes(), &behind, Database::FIRST)
    }

    #[test]
    fn acts_are_known_by_their_words_and_secrets_are_left_out() {
        assert_eq!(act("FlushAll", &["ASYNC"]).as_deref(), Some("FLUSHALL"));
        assert_eq!(act("flushdb", &[]).as_deref(), Some("FLUSHDB 0"));
        assert_eq!(act("swapdb", &["0", "1"]).as_deref(), Some("SWAPDB 0 1"));
        assert_eq!(
            act("config", &["set", "requirepass", "hunter2"]).as_deref(),
            Some("CONFIG SET requirepass")
        );
        assert_eq!(
            act("ACL", &["setuser", "alice", ">hunter2"]).as_deref(),
            Some("ACL SETUSER alice >(password)")
        );
        assert_eq!(act("ACL", &["log", "reset"]).as_deref(), Some("ACL LOG RESET"));
        assert_eq!(act("script", &["flush"]).as_deref(), Some("SCRIPT FLUSH"));
        for (name, behind) in
            [("ACL", &["LIST"][..]), ("CONFIG", &["GET", "*"]), ("SCRIPT", &[]), ("SET", &["k", "v"])]
        {
            assert_eq!(act(name, behind), None, "{name}");
        }
    }

    #[test]
    fn repeated_acts_are_counted_and_their_number_is_bounded() {
        let mut acts = CalledActs::default();
        for _ in 0..1000 {
            acts.note(Some("FLUSHALL".into()), &Data::OK);
        }
        for number in 0..100 {
            acts.note(Some(format!("SWAPDB 0 {number}")), &Data::Error("ERR no".into()));
        }
        acts.note(None, &Data::OK);
        let acts = acts.into_acts();
        assert_eq!(acts.len(), MOST_ACTS + 1);
        assert_eq!((acts[0].times, acts[0].error.as_deref()), (1000, None));
        assert_eq!((acts[1].times, acts[1].error.as_deref()), (1, Some("ERR no")));
        assert_eq!(acts[MOST_ACTS].times, 100 - (MOST_ACTS as u64 - 1));
    }
}
