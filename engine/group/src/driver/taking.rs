//! Which entries of its leader a replica accepts when too much waits on its server already.

use raft::eraftpb::{Entry, Message, MessageType};

use super::Driver;
use crate::unpersisted::bytes_of;

/// Which entries of a leader this replica accepts. It receives the others again, since a leader retries at
/// every answer to a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taking {
    /// Accepts all entries.
    #[default]
    All,
    /// Accepts entries without commands. They take almost no room, and they let committed entries be merged
    /// and a new leader take office.
    NoCommands,
    /// Accepts what the leader inherited from its predecessors and does not know to be committed, and the
    /// entry that opens its term. A leader commits nothing before that one, so a server that refused it could
    /// keep all others from what they wait for. What is committed is on a quorum, so a leader does not depend
    /// on a server that lacks it.
    Inherited,
}

impl Taking {
    /// How many entries of a leader's message may be accepted, counted from the first. `has` says which ones
    /// this log already holds.
    fn how_many(self, message: &Message, has: impl Fn(&Entry) -> bool) -> usize {
        let mut before = message.log_term;
        let may_take = |entry: &&Entry| {
            let begins_term = entry.term > std::mem::replace(&mut before, entry.term);
            match self {
                Taking::All => true,
                Taking::NoCommands => entry.data.is_empty(),
                Taking::Inherited => {
                    let is_open = entry.index > message.commit;
                    let is_before = entry.term < message.term || begins_term && entry.data.is_empty();
                    has(entry) || is_open && is_before
                }
            }
        };
        message.entries.iter().take_while(may_take).count()
    }
}

impl Driver {
    /// Sets which entries of a leader are accepted from now on.
    pub fn take(&mut self, taking: Taking) {
        self.taking = taking;
    }

    /// Truncates a message to the entries that there is room for; `false` if there is room for none. Then
    /// raft-rs must not see it: the next heartbeats tell the leader how far this log goes, and it resends the
    /// entries.
    pub(super) fn takes(&mut self, message: &mut Message) -> bool {
        if message.msg_type != MessageType::MsgAppend || message.entries.is_empty() {
            return true;
        }
        let sent = message.entries.len();
        let log = &self.raft.raft.raft_log;
        let taken = self.taking.how_many(message, |entry| log.match_term(entry.index, entry.term));
        message.entries.truncate(taken);
        let bytes = bytes_of(&message.entries);
        let takes = taken > 0 && self.unpersisted.has_room_for(bytes);
        if takes {
            self.unpersisted.arrived(bytes);
        }
        self.asks_for_more = !takes || taken < sent;
        self.untaken += u64::from(self.asks_for_more);
        takes
    }

    /// A leader whose entries are refused retries more and more rarely. So once there is room, a follower
    /// tells it so every heartbeat until entries arrive, by acknowledging what its log holds: raft-rs knows
    /// no other message for it.
    pub(super) fn ask_for_more(&mut self) {
        let due = self.ticks.is_multiple_of(self.config.heartbeat_ticks.into());
        let has_room = self.taking == Taking::All && !self.unpersisted.is_full();
        let leader = self.leader();
        let may_speak = leader != 0 && !self.leads() && !self.unpersisted.has_vote();
        if !(self.asks_for_more && due && has_room && may_speak) {
            return;
        }
        let log = &self.raft.raft.raft_log;
        let acknowledged = Message {
            msg_type: MessageType::MsgAppendResponse,
            from: self.config.server,
            to: leader,
            term: self.term(),
            index: log.persisted.min(log.committed),
            commit: log.committed,
            ..Message::default()
        };
        self.send_all([acknowledged]);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use raft::eraftpb::Entry;

    use super::super::fixture::NoCommands;
    use super::super::{DriverConfig, Output, View};
    use super::*;
    use crate::batch::{Span, SubBatch, encode_commands, encode_skip};
    use crate::wire::Wire;

    /// Server 1, a follower of server 2, with room for four entries of commands on its way to disk.
    struct Follower {
        driver: Driver,
        output: Output,
    }

    impl Follower {
        fn new() -> Self {
            Follower::of(DriverConfig::small())
        }

        fn of(config: DriverConfig) -> Self {
            let config = DriverConfig { unsynced_bytes: 5000, ..config };
            let driver = Driver::in_memory(config);
            Follower { driver, output: Output::default() }
        }

        /// Receives the leader's entry at `index`, which holds commands or a skip.
        fn receive(&mut self, index: u64, commands: bool) {
            let (context, data) = if commands {
                let span = Span { server: 2, incarnation: 1, lane: 0, attempt: 0, first: index, count: 1 };
                let body = Bytes::from(vec![7; 1 << 10]);
                encode_commands(index, &[SubBatch { span, lone: true, body }])
            } else {
                (encode_skip(index), Bytes::new())
            };
            let entry = Entry { index, term: 1, context, data, ..Entry::default() };
            let append = Message {
                msg_type: MessageType::MsgAppend,
                from: 2,
                to: 1,
                term: 1,
                index: index - 1,
                log_term: u64::from(index > 1),
                entries: vec![entry].into(),
                ..Message::default()
            };
            self.driver.receive(2, Wire::Raft(Box::new(append)));
            self.driver.turn(&View::default(), &[&NoCommands], &mut self.output);
        }

        /// Lets the disk finish everything.
        fn disk_comes_on(&mut self) {
            self.driver.disk_finishes(&mut self.output);
            self.driver.turn(&View::default(), &[&NoCommands], &mut self.output);
        }

        /// Acknowledgements sent within that many ticks.
        fn acknowledgements(&mut self, ticks: usize) -> Vec<u64> {
            self.output.messages.clear();
            for _ in 0..ticks {
                self.driver.tick(&View::default());
                self.driver.turn(&View::default(), &[&NoCommands], &mut self.output);
            }
            let acknowledged = self.output.messages.iter().filter_map(|(_, wire)| match wire {
                Wire::Raft(message) if message.msg_type == MessageType::MsgAppendResponse => {
                    Some(message.index)
                }
                _ => None,
            });
            acknowledged.collect()
        }
    }

    #[test]
    fn a_follower_takes_no_more_than_may_wait_for_its_disk_and_asks_for_the_rest() {
        // It trusts its leader for the whole test.
        let config = DriverConfig { election_ticks: 50, campaign_ticks: 51..100, ..DriverConfig::small() };
        let mut follower = Follower::of(config);
        (1..=100).for_each(|index| follower.receive(index, true));
        assert_eq!(follower.driver.last_index(), 4);
        assert!((4096..=5000).contains(&follower.driver.unsynced_bytes()));
        assert_eq!(follower.output.untaken, 96);
        assert_eq!(follower.acknowledgements(6), [], "there is no room yet");

        follower.disk_comes_on();
        assert_eq!(follower.driver.unsynced_bytes(), 0);
        assert_eq!(
            follower.acknowledgements(4),
            [0, 0],
            "what is durable and committed is acknowledged with every heartbeat"
        );
        follower.receive(5, true);
        assert_eq!(follower.driver.last_index(), 5);
        assert_eq!(follower.acknowledgements(12), [], "what comes is answered as ever");
    }

    #[test]
    fn a_full_disk_takes_entries_without_commands() {
        let mut follower = Follower::new();
        follower.receive(1, true);
        follower.driver.take(Taking::NoCommands);
        follower.receive(2, true);
        assert_eq!(follower.driver.last_index(), 1);
        follower.receive(2, false);
        assert_eq!(follower.driver.last_index(), 2);
    }

    /// Otherwise two servers that wait for different groups could keep each other's leaders from office
    /// forever.
    #[test]
    fn a_server_that_is_behind_takes_what_lets_a_leader_take_office_and_no_more() {
        let commands = |index, term| Entry { index, term, data: vec![7].into(), ..Entry::default() };
        let none = |index, term| Entry { index, term, ..Entry::default() };
        let taken = |log_term, entries: Vec<Entry>| {
            let entries = entries.into();
            let append = Message { term: 5, log_term, entries, ..Message::default() };
            Taking::Inherited.how_many(&append, |_| false)
        };
        let from_office = vec![commands(8, 3), none(9, 4), none(10, 5), none(11, 5), commands(12, 5)];
        assert_eq!(taken(3, from_office.clone()), 3);
        assert_eq!(taken(4, from_office[2..].to_vec()), 1);
        assert_eq!(taken(5, from_office[3..].to_vec()), 0, "a skip of this term");
        assert_eq!(taken(5, from_office[4..].to_vec()), 0);
        assert_eq!(taken(4, vec![commands(9, 5)]), 0);
        let entries = from_office.into();
        let append = Message { term: 5, log_term: 3, commit: 9, entries, ..Message::default() };
        assert_eq!(Taking::Inherited.how_many(&append, |_| false), 0, "others have it");
        assert_eq!(Taking::Inherited.how_many(&append, |entry| entry.index <= 9), 3, "so has this one");

        let mut follower = Follower::new();
        follower.driver.take(Taking::Inherited);
        follower.receive(1, false);
        assert_eq!(follower.driver.last_index(), 1, "the first of its term");
        follower.receive(2, false);
        assert_eq!((follower.driver.last_index(), follower.output.untaken), (1, 1));
    }

    #[test]
    fn a_write_that_is_not_finished_in_two_election_time_outs_makes_the_disk_stuck() {
        let mut follower = Follower::new();
        follower.receive(1, true);
        follower.acknowledgements(20);
        assert!(!follower.driver.disk_is_stuck());
        follower.acknowledgements(1);
        assert!(follower.driver.disk_is_stuck());
        follower.disk_comes_on();
        assert!(!follower.driver.disk_is_stuck());
    }
}
