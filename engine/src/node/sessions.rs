//! Replicated sessions: which numbered commands of a caller have been applied, and the last one's reply.
//!
//! Raft's dissertation, section 6.3, and Raft, section 8, let a client number its commands, so that one that
//! is sent twice is applied once. The table is part of the replicated state: every server makes the same
//! decisions, and a snapshot holds it. It is bounded; the sessions that were used least recently end first,
//! by the order of the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most sessions that are open at once.
const MOST_SESSIONS: usize = 10_000;
/// The most bytes of replies that are kept for them.
const MOST_REPLY_BYTES: usize = 16 << 20;

/// All open sessions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    /// Number of sessions that were ever opened; ids start at 1.
    opened: u64,
    /// Number of uses of all sessions.
    uses: u64,
    reply_bytes: usize,
    open: BTreeMap<u64, OpenSession>,
    /// Ids of the open sessions, by their last use.
    by_use: BTreeMap<u64, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OpenSession {
    used: u64,
    /// Number of the last command that was applied; 0 for none.
    last: u64,
    /// Where it was applied.
    position: u64,
    reply: Vec<u8>,
}

/// What to do with a numbered command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted<'a> {
    /// Apply it, and [record](Sessions::record) its reply.
    Apply,
    /// It has been applied, there and with that reply.
    Repeated { position: u64, reply: &'a [u8] },
    /// The session has ended, or has gone on to a later command: do not apply it.
    Ended,
}

impl Sessions {
    /// Opens a session, and ends those for which there is no room. Returns its id.
    pub fn open(&mut self) -> u64 {
        self.opened += 1;
        self.uses += 1;
        let session = OpenSession { used: self.uses, last: 0, position: 0, reply: Vec::new() };
        self.open.insert(self.opened, session);
        self.by_use.insert(self.uses, self.opened);
        self.make_room();
        self.opened
    }

    pub fn admit(&mut self, id: u64, number: u64) -> Admitted<'_> {
        let Some(session) = self.open.get_mut(&id) else { return Admitted::Ended };
        self.by_use.remove(&session.used);
        self.uses += 1;
        session.used = self.uses;
        self.by_use.insert(self.uses, id);
        if number > session.last {
            return Admitted::Apply;
        }
        if number < session.last {
            return Admitted::Ended;
        }
        Admitted::Repeated { position: session.position, reply: &session.reply }
    }

    /// Records that an admitted command was applied.
    pub fn record(&mut self, id: u64, number: u64, position: u64, reply: Vec<u8>) {
        let session = self.open.get_mut(&id).expect("session_once: it was admitted");
        assert!(number > session.last, "session_once: a session's commands are applied in order, once each");
        self.reply_bytes = self.reply_bytes - session.reply.len() + reply.len();
        (session.last, session.position, session.reply) = (number, position, reply);
        self.make_room();
    }

    fn make_room(&mut self) {
        // The session that was used last stays, however long its reply.
        while self.open.len() > 1 && (self.open.len() > MOST_SESSIONS || self.reply_bytes > MOST_REPLY_BYTES)
        {
            let (_, id) = self.by_use.pop_first().expect("each open session has a last use");
            let ended = self.open.remove(&id).expect("each last use is of an open session");
            self.reply_bytes -= ended.reply.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sessions_used_least_recently_end_first() {
        let mut sessions = Sessions::default();
        let first = sessions.open();
        let second = sessions.open();
        for _ in 2..MOST_SESSIONS {
            sessions.open();
        }
        assert_eq!(sessions.admit(first, 1), Admitted::Apply);
        sessions.open();
        assert_eq!(sessions.admit(second, 1), Admitted::Ended);
        assert_eq!(sessions.admit(first, 1), Admitted::Apply);
        assert_eq!(sessions.open.len(), MOST_SESSIONS);
        assert_eq!(sessions.by_use.len(), MOST_SESSIONS);
    }

    #[test]
    fn long_replies_end_others_sessions_not_their_own() {
        let mut sessions = Sessions::default();
        let (idle, busy) = (sessions.open(), sessions.open());
        assert_eq!(sessions.admit(busy, 1), Admitted::Apply);
        sessions.record(busy, 1, 7, vec![0; MOST_REPLY_BYTES + 1]);
        assert_eq!(sessions.admit(idle, 1), Admitted::Ended);
        assert!(matches!(sessions.admit(busy, 1), Admitted::Repeated { position: 7, .. }));
    }

    proptest! {
        /// Whatever is sent again and in whatever order: each number is applied at most once.
        #[test]
        fn each_number_is_applied_at_most_once(sent in prop::collection::vec((0..3u64, 1..6u64), 0..60)) {
            let mut sessions = Sessions::default();
            let ids = [sessions.open(), sessions.open(), sessions.open()];
            let mut applied: Map<(u64, u64), Vec<u8>> = Map::new();
            for (at, (who, number)) in sent.into_iter().enumerate() {
                let id = ids[who as usize];
                match sessions.admit(id, number) {
                    Admitted::Apply => {
                        let reply = vec![at as u8];
                        prop_assert!(applied.insert((id, number), reply.clone()).is_none());
                        sessions.record(id, number, at as u64, reply);
                    }
                    Admitted::Repeated { reply, .. } => prop_assert_eq!(reply, &applied[&(id, number)][..]),
                    Admitted::Ended => prop_assert!(applied.keys().any(|(other, later)| *other == id && *later > number)),
                }
            }
        }
    }
}
