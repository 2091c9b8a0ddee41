//! What waits to be sent to the other servers, so that a slow link holds little memory and loses nothing.
//!
//! The transport is given messages for a peer only while it has few bytes queued for it. What comes meanwhile waits here, where
//! a message that says what an older one says, and more, takes its place: one heartbeat waits, not hundreds. Entries do not
//! wait here at all: the driver has raft-rs read them from the log again when there is room.

use std::collections::VecDeque;

use super::superseded::supersedes;
use crate::planted::{self, Bug};
use crate::wire::Wire;

/// However slow a link is, so many bytes may wait for it: dozens of small messages, or an entry of some commands.
const LEAST_QUEUED: usize = 16 << 10;

/// Room for messages that is kept when none wait.
const SPARE_PLACES: usize = 64;

/// The lines to all peers.
#[derive(Debug)]
pub struct Outgoing {
    most_queued: usize,
    lines: Vec<Line>,
}

/// The line to one peer.
#[derive(Debug)]
struct Line {
    peer: u64,
    /// Bytes that the transport has queued, and was given since it said so; `None` without a connection.
    queued: Option<usize>,
    /// Nothing more is queued above this. It follows the link: down while the queue does not drain between two ticks, up while
    /// it does. Else what is urgent would wait for minutes behind what is not.
    limit: usize,
    /// The queue was empty at some moment since the last tick.
    drained: bool,
    waiting: VecDeque<Wire>,
    bytes: usize,
}

impl Outgoing {
    /// `most_queued`: bytes that the transport may have queued for a peer on the fastest link.
    pub fn new(most_queued: usize) -> Outgoing {
        Outgoing { most_queued, lines: Vec::new() }
    }

    /// The transport says how much it has queued for a peer; nothing if it is not connected: what waits is lost then, and
    /// everybody who cares sends again.
    pub fn report(&mut self, peer: u64, queued: Option<usize>) {
        let line = self.line(peer);
        if queued.is_none() {
            line.waiting.clear();
            line.bytes = 0;
        }
        line.drained |= queued == Some(0);
        line.queued = queued;
    }

    /// A step of the clock.
    pub fn tick(&mut self) {
        let most = self.most_queued;
        for line in &mut self.lines {
            line.limit = if line.drained { line.limit.saturating_mul(2) } else { line.limit / 2 };
            line.limit = line.limit.clamp(LEAST_QUEUED.min(most), most);
            line.drained = line.queued.is_none_or(|queued| queued == 0);
        }
    }

    /// Whether more may be sent to a peer. What has been said of none yet counts as connected and idle.
    pub fn has_room(&self, peer: u64) -> bool {
        self.lines.iter().find(|line| line.peer == peer).is_none_or(Line::has_room)
    }

    /// Bytes that wait for a peer, those that the transport has queued included.
    pub fn bytes(&self, peer: u64) -> usize {
        let line = self.lines.iter().find(|line| line.peer == peer);
        line.map_or(0, |line| line.bytes + line.queued.unwrap_or(0))
    }

    /// Takes a message for a peer.
    pub fn push(&mut self, (peer, wire): (u64, Wire)) {
        let line = self.line(peer);
        if line.queued.is_none() {
            return;
        }
        if !line.has_room() && !planted::is(Bug::NothingSuperseded) {
            line.supersede(&wire);
        }
        line.bytes += wire.bytes();
        line.waiting.push_back(wire);
    }

    /// Hands over what the transport has room for.
    pub fn release(&mut self, out: &mut Vec<(u64, Wire)>) {
        for line in &mut self.lines {
            line.release(out);
        }
    }

    fn line(&mut self, peer: u64) -> &mut Line {
        let known = self.lines.iter().position(|line| line.peer == peer);
        let at = known.unwrap_or_else(|| {
            self.lines.push(Line {
                peer,
                queued: Some(0),
                limit: self.most_queued,
                drained: true,
                waiting: VecDeque::new(),
                bytes: 0,
            });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }
}

impl Line {
    fn has_room(&self) -> bool {
        self.queued.is_some_and(|queued| queued + self.bytes < self.limit)
    }

    /// Drops what waits and would be of no more use once this message has arrived.
    fn supersede(&mut self, newer: &Wire) {
        let mut dropped = 0;
        self.waiting.retain_mut(|older| {
            let goes = supersedes(newer, older);
            if goes {
                dropped += older.bytes();
            }
            !goes
        });
        self.bytes -= dropped;
    }

    fn release(&mut self, out: &mut Vec<(u64, Wire)>) {
        while let Some(queued) = self.queued.filter(|queued| *queued < self.limit)
            && let Some(wire) = self.waiting.pop_front()
        {
            let bytes = wire.bytes();
            self.bytes -= bytes;
            self.queued = Some(queued + bytes);
            out.push((self.peer, wire));
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(SPARE_PLACES);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::{Message, MessageType};

    use super::*;

    fn heartbeat(commit: u64, context: &'static [u8]) -> Wire {
        let msg_type = MessageType::MsgHeartbeat;
        Wire::Raft(Box::new(Message {
            msg_type,
            term: 1,
            commit,
            context: context.into(),
            ..Message::default()
        }))
    }

    fn released(outgoing: &mut Outgoing) -> Vec<Wire> {
        let mut out = Vec::new();
        outgoing.release(&mut out);
        out.into_iter().map(|(_, wire)| wire).collect()
    }

    #[test]
    fn while_there_is_room_everything_goes_at_once_in_order() {
        let mut outgoing = Outgoing::new(1 << 20);
        let all = [heartbeat(1, b""), Wire::Nack { attempt: 3 }, heartbeat(2, b"")];
        for wire in all.clone() {
            outgoing.push((2, wire));
        }
        assert_eq!(released(&mut outgoing), all);
    }

    #[test]
    fn behind_a_full_queue_one_message_of_a_kind_waits() {
        let mut outgoing = Outgoing::new(1 << 20);
        outgoing.report(2, Some(1 << 20));
        for commit in 1..=10_000 {
            outgoing.push((2, heartbeat(commit, b"a read")));
            outgoing.push((2, Wire::PadRequest { level: commit }));
        }
        assert!(released(&mut outgoing).is_empty());
        assert!(outgoing.bytes(2) < (1 << 20) + 1000, "{}", outgoing.bytes(2));
        outgoing.push((3, Wire::Claim));
        assert_eq!(released(&mut outgoing), [Wire::Claim], "another peer does not wait");

        outgoing.report(2, Some(0));
        let newest = [heartbeat(10_000, b"a read"), Wire::PadRequest { level: 10_000 }];
        assert_eq!(released(&mut outgoing), newest);
    }

    #[test]
    fn the_limit_follows_the_link() {
        let mut outgoing = Outgoing::new(1 << 20);
        outgoing.report(2, Some(100_000));
        assert!(outgoing.has_room(2));
        (0..10).for_each(|_| outgoing.tick());
        assert!(!outgoing.has_room(2), "a queue of 100 kB that never drains is too long");
        outgoing.report(2, Some(LEAST_QUEUED - 1));
        assert!(outgoing.has_room(2), "a few small messages may always wait");
        for _ in 0..10 {
            outgoing.report(2, Some(0));
            outgoing.tick();
        }
        outgoing.report(2, Some(1_000_000));
        assert!(outgoing.has_room(2), "the link is fast again");
    }

    #[test]
    fn what_waits_for_a_peer_without_a_connection_is_lost_and_its_memory_given_back() {
        let mut outgoing = Outgoing::new(1 << 20);
        outgoing.report(2, Some(1 << 20));
        (0..10_000).for_each(|attempt| outgoing.push((2, Wire::Snapshot { term: attempt, round: 1 })));
        outgoing.lines[0].waiting.reserve(10_000);
        outgoing.report(2, None);
        outgoing.push((2, Wire::Claim));
        assert!(!outgoing.has_room(2));
        assert!(released(&mut outgoing).is_empty());
        outgoing.report(2, Some(0));
        assert!(released(&mut outgoing).is_empty());
        assert_eq!(outgoing.bytes(2), 0);
        assert!(outgoing.lines[0].waiting.capacity() <= 2 * SPARE_PLACES);
    }
}
