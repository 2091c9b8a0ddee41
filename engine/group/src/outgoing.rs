//! Messages that wait for other servers, so that a slow link uses little memory and loses nothing that
//! matters.
//!
//! The transport gets messages for a peer only while it has few bytes queued for it. Other messages wait
//! here, where a newer message replaces the older ones that it makes redundant: one heartbeat waits, not
//! hundreds. Entries do not wait here at all: the driver has raft-rs read them from the log again when there
//! is room.
//!
//! Urgent messages pass all others, here and in the transport: a leader that sends 16 MiB over a slow link
//! must be heard meanwhile.

use std::collections::VecDeque;

use super::superseded::supersedes;
use crate::planted::{self, Bug};
use crate::wire::Wire;

/// Bytes that may always wait, however slow the link is: dozens of small messages, or an entry of a few
/// commands.
const LEAST_QUEUED: usize = 16 << 10;

/// Capacity for messages that is kept when none wait.
const SPARE_PLACES: usize = 64;

/// Send queues of all peers.
#[derive(Debug)]
pub struct Outgoing {
    most_queued: usize,
    lines: Vec<Line>,
}

/// Send queue of one peer.
#[derive(Debug)]
struct Line {
    peer: u64,
    /// Bytes that the transport reported as queued, and those handed to it since; `None` without a
    /// connection.
    queued: Option<usize>,
    /// The most bytes to queue in the transport. It adapts to the link: falls while the queue does not drain
    /// between two ticks, rises while it does. Otherwise urgent messages would wait for minutes behind
    /// others.
    limit: usize,
    /// Whether the queue was empty at some moment since the last tick.
    drained: bool,
    /// Bytes of urgent messages handed to a full transport, less those that it has written since: an upper
    /// bound of what it still has of them, but for the rest of a piece, as it writes them first.
    passing: usize,
    waiting: VecDeque<Wire>,
    bytes: usize,
}

impl Outgoing {
    /// `most_queued` is the most bytes that the transport may queue for a peer on the fastest link.
    pub fn new(most_queued: usize) -> Outgoing {
        Outgoing { most_queued, lines: Vec::new() }
    }

    /// Reports how much the transport has queued for a peer; `None` if it is not connected. Then what waits
    /// is lost, and will be resent if it matters.
    pub fn report(&mut self, peer: u64, queued: Option<usize>) {
        let line = self.line(peer);
        if queued.is_none() {
            line.waiting.clear();
            (line.bytes, line.passing) = (0, 0);
        }
        let written = line.queued.unwrap_or(0).saturating_sub(queued.unwrap_or(0));
        line.passing = line.passing.saturating_sub(written);
        line.drained |= queued == Some(0);
        line.queued = queued;
    }

    /// Adapts the limits to the links, once per tick.
    pub fn tick(&mut self) {
        let most = self.most_queued;
        for line in &mut self.lines {
            line.limit = if line.drained { line.limit.saturating_mul(2) } else { line.limit / 2 };
            line.limit = line.limit.clamp(LEAST_QUEUED.min(most), most);
            line.drained = line.queued.is_none_or(|queued| queued == 0);
        }
    }

    /// Whether more may be sent to a peer. A peer that was never reported counts as connected and idle.
    pub fn has_room(&self, peer: u64) -> bool {
        self.lines.iter().find(|line| line.peer == peer).is_none_or(Line::has_room)
    }

    /// Bytes that wait for a peer, including those that the transport has queued.
    pub fn bytes(&self, peer: u64) -> usize {
        let line = self.lines.iter().find(|line| line.peer == peer);
        line.map_or(0, |line| line.bytes + line.queued.unwrap_or(0))
    }

    /// Adds a message for a peer.
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

    /// Moves the messages that the transport has room for to `out`.
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
                passing: 0,
                waiting: VecDeque::new(),
                bytes: 0,
            });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }
}

impl Line {
    /// Moves the urgent messages among those that wait to `out`, as long as few of them wait in the transport.
    fn pass(&mut self, out: &mut Vec<(u64, Wire)>) {
        let Line { peer, queued: Some(queued), passing, waiting, bytes, .. } = self else { return };
        waiting.retain(|wire| {
            let passes = wire.is_urgent() && *passing < LEAST_QUEUED;
            if passes {
                let length = wire.bytes();
                *passing += length;
                *queued += length;
                *bytes -= length;
                out.push((*peer, wire.clone()));
            }
            !passes
        });
    }

    fn has_room(&self) -> bool {
        self.queued.is_some_and(|queued| queued + self.bytes < self.limit)
    }

    /// Drops waiting messages that would be useless once this one has arrived.
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
        self.pass(out);
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
        let all = [heartbeat(1, b""), Wire::Nack { lane: 0, attempt: 3 }, heartbeat(2, b"")];
        for wire in all.clone() {
            outgoing.push((2, wire));
        }
        assert_eq!(released(&mut outgoing), all);
    }

    fn append() -> Wire {
        let msg_type = MessageType::MsgAppend;
        Wire::Raft(Box::new(Message { msg_type, term: 1, ..Message::default() }))
    }

    #[test]
    fn urgent_messages_pass_a_full_queue_but_only_some_while_it_does_not_move() {
        let mut outgoing = Outgoing::new(1 << 20);
        outgoing.report(2, Some(16 << 20));
        outgoing.push((2, append()));
        outgoing.push((2, heartbeat(1, b"")));
        assert_eq!(released(&mut outgoing), [heartbeat(1, b"")]);

        let mut passed = 0;
        for commit in 1..=10_000 {
            outgoing.push((2, heartbeat(commit, b"")));
            passed += released(&mut outgoing).iter().map(Wire::bytes).sum::<usize>();
        }
        assert!((LEAST_QUEUED / 2..=LEAST_QUEUED).contains(&passed), "{passed} bytes");
        outgoing.report(2, Some(15 << 20));
        assert_eq!(released(&mut outgoing), [heartbeat(10_000, b"")], "the link lives");
        outgoing.report(2, Some(0));
        assert_eq!(released(&mut outgoing), [append()]);
    }

    #[test]
    fn behind_a_full_queue_one_message_of_a_kind_waits() {
        let mut outgoing = Outgoing::new(1 << 20);
        outgoing.report(2, Some(1 << 20));
        outgoing.line(2).passing = LEAST_QUEUED;
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
