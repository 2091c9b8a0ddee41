//! What no sound leader says: that its log lacks what is committed here (leader_completeness, Raft section 5.4).
//!
//! It happens where acknowledged entries were lost on a quorum, or were never there: a new leader then fills their indices
//! anew. raft-rs ends the process at such an append, or answers it as if all were well, so it is noticed before.

use std::fmt;

use raft::eraftpb::{Message, MessageType};

use super::Driver;

/// How a leader has contradicted what is committed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// It has another entry at an index that is committed here.
    OtherEntry {
        /// The leader.
        leader: u64,
        /// The index.
        index: u64,
        /// The term of the entry there, in its log.
        term: u64,
        /// The last index that is known to be committed here.
        commit: u64,
    },
    /// It has confirmed with a quorum that nothing above this index is committed.
    CommittedLess {
        /// The leader that was asked, as far as it is known.
        leader: u64,
        /// What it takes for committed.
        index: u64,
        /// What was known to be committed here when it was asked.
        commit: u64,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contradiction::OtherEntry { leader, index, term, commit } => write!(
                formatter,
                "server {leader} leads with another entry {index}, of term {term}, though all up to entry {commit} is \
                 committed here: acknowledged data was lost on other servers"
            ),
            Contradiction::CommittedLess { leader, index, commit } => write!(
                formatter,
                "server {leader} leads and takes nothing above entry {index} for committed, though entry {commit} is committed \
                 here: acknowledged data was lost on other servers"
            ),
        }
    }
}

impl Driver {
    /// Whether a message is an append that contradicts what is committed here. Appends of former leaders count for nothing.
    pub(super) fn contradiction(&self, message: &Message) -> Option<Contradiction> {
        let commit = self.commit();
        if message.msg_type != MessageType::MsgAppend || message.term < self.term() || message.index > commit
        {
            return None;
        }
        let newest = self.term_at(commit).unwrap_or(0);
        let before = (message.index, message.log_term);
        let entries = message.entries.iter().map(|entry| (entry.index, entry.term));
        let mut committed = std::iter::once(before).chain(entries).take_while(|(index, _)| *index <= commit);
        // Terms rise along a log, so what was compacted is of no later term than the last that is committed.
        let differs =
            |(index, term): &(u64, u64)| self.term_at(*index).map_or(*term > newest, |mine| mine != *term);
        let (index, term) = committed.find(differs)?;
        Some(Contradiction::OtherEntry { leader: message.from, index, term, commit })
    }

    /// The term of an entry that the log holds, or of the one just below the first.
    fn term_at(&self, index: u64) -> Option<u64> {
        let log = &self.raft.raft.raft_log;
        if index + 1 < log.first_index() || index > log.last_index() {
            return None;
        }
        log.term(index).ok()
    }
}
