//! Notices a leader whose log lacks what is committed here (leader_completeness, Raft section 5.4), or whose
//! bookkeeping says that this log lacks what it has acknowledged.
//!
//! This happens if a quorum has lost acknowledged entries, or never had them: a new leader then reuses their
//! indices. raft-rs would end the process at such an append, or acknowledge it as if all were well, so the
//! driver checks first.

use std::fmt;

use raft::eraftpb::{Message, MessageType};

use super::Driver;

/// How a leader contradicts what is committed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Its log has another entry at an index that is committed here.
    OtherEntry {
        /// Id of the leader.
        leader: u64,
        /// Index of the entry.
        index: u64,
        /// Term of the leader's entry at that index.
        term: u64,
        /// Last index known to be committed here.
        commit: u64,
    },
    /// It has confirmed with a quorum that nothing above this index is committed.
    CommittedLess {
        /// Id of the leader that was asked; 0 if unknown.
        leader: u64,
        /// Commit index of the leader.
        index: u64,
        /// Commit index of this replica when it asked.
        commit: u64,
    },
    /// It has seen this replica acknowledge an entry that is not in its log.
    Forgotten {
        /// Id of the leader.
        leader: u64,
        /// Index of the entry.
        index: u64,
        /// Last index in the log here.
        last: u64,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contradiction::OtherEntry { leader, index, term, commit } => write!(
                formatter,
                "server {leader} leads with another entry {index}, of term {term}, but everything up to \
                 entry {commit} is committed here: acknowledged data was lost on other servers"
            ),
            Contradiction::CommittedLess { leader, index, commit } => write!(
                formatter,
                "server {leader} leads and knows nothing above entry {index} to be committed, but entry \
                 {commit} is committed here: acknowledged data was lost on other servers"
            ),
            Contradiction::Forgotten { leader, index, last } => write!(
                formatter,
                "server {leader} leads and has seen this server acknowledge entry {index}, but the log here \
                 ends at entry {last}: acknowledged data was lost here, or that server lies"
            ),
        }
    }
}

impl Driver {
    /// How a leader's message contradicts what is committed here, or what the log here holds, if it does. Messages of
    /// deposed leaders do not count.
    pub(super) fn contradiction(&self, message: &Message) -> Option<Contradiction> {
        if message.msg_type == MessageType::MsgHeartbeat
            && message.term >= self.term()
            && message.commit > self.last_index()
        {
            // A leader tells a follower of no more than the follower has acknowledged.
            let (leader, index, last) = (message.from, message.commit, self.last_index());
            return Some(Contradiction::Forgotten { leader, index, last });
        }
        let commit = self.commit();
        if message.msg_type != MessageType::MsgAppend || message.term < self.term() || message.index > commit
        {
            return None;
        }
        let newest = self.term_at(commit).unwrap_or(0);
        let before = (message.index, message.log_term);
        let entries = message.entries.iter().map(|entry| (entry.index, entry.term));
        let mut committed = std::iter::once(before).chain(entries).take_while(|(index, _)| *index <= commit);
        // Terms rise along a log, so a compacted entry has at most the term of the last committed one.
        let differs =
            |(index, term): &(u64, u64)| self.term_at(*index).map_or(*term > newest, |mine| mine != *term);
        let (index, term) = committed.find(differs)?;
        Some(Contradiction::OtherEntry { leader: message.from, index, term, commit })
    }

    /// Term of an entry in the log, or of the one just below the first.
    fn term_at(&self, index: u64) -> Option<u64> {
        let log = &self.raft.raft.raft_log;
        if index + 1 < log.first_index() || index > log.last_index() {
            return None;
        }
        log.term(index).ok()
    }
}
