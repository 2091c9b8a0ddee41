//! Which messages of other servers a replica accepts.
//!
//! raft-rs trusts its peers: it panics on a term of 0, on an index beyond the log, or on a vote that nobody
//! requested. And whatever enters a log is executed on every server. So each message is compared with what a
//! correct server could have sent, and any other is dropped before raft-rs sees it. A broken or malicious
//! member can hold up its groups, as Raft allows, but cannot end another server's process.
//!
//! Two claims are not dropped, since nothing here can tell that they are false: that this replica has acknowledged
//! what its log does not hold, and that something else is committed than is committed here. If such a claim is true,
//! acknowledged data is lost. So the replica takes no part in its group any more, and its server is not ready; but
//! neither ends (`contradiction.rs`).

use niagara_sequencer::MAX_PLACE;
use niagara_sequencer::epoch::EpochEnd;
use raft::StateRole;
use raft::eraftpb::{EntryType, Message, MessageType};

use super::Driver;
use crate::batch::{EntryFill, Span, SubBatch, check_entry};
use crate::epoch_end::{decode_end, is_end};
use crate::reads::CONTEXT_BYTES;
use crate::wire::crosses_the_network;

/// No correct server reaches a term or an index above this, and below it no sum overflows.
const MOST: u64 = 1 << 62;

/// The most that a place may be above every place known here. At a million rounds a second, it takes half a
/// year to get there.
const MOST_PLACES_AHEAD: u64 = 1 << 44;

/// The most that a term may be above this replica's. Whoever could raise terms at will would use them up with one
/// message, for ever, since they are durable. With ten elections a second, it takes thirteen years to get there.
const MOST_TERMS_AHEAD: u64 = 1 << 32;

/// Refusals are logged at most once per this many ticks.
const TICKS_BETWEEN_WARNINGS: u64 = 200;

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too late or too early: a correct server may have sent it, and does not rely on it.
    Untimely,
    /// No correct server sends this.
    Wrong(&'static str),
}

use Refused::{Untimely, Wrong};

/// Refusals since the last log line, and since the last turn.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: u64,
    quiet_until: u64,
    of_turn: u64,
    offenders: Vec<u64>,
}

impl Refusals {
    /// Notes a message that no correct server sends, and logs it now and then.
    pub fn note(&mut self, now: u64, from: u64, kind: &dyn std::fmt::Debug, why: &str) {
        self.count += 1;
        self.of_turn += 1;
        if !self.offenders.contains(&from) {
            self.offenders.push(from);
        }
        if now >= self.quiet_until {
            let count = std::mem::take(&mut self.count);
            self.quiet_until = now + TICKS_BETWEEN_WARNINGS;
            tracing::warn!(from, ?kind, count, "dropped a message that no correct server sends: {why}");
        }
    }

    /// How many there were since the last turn, and who has sent them.
    pub fn take(&mut self) -> (u64, impl Iterator<Item = u64>) {
        (std::mem::take(&mut self.of_turn), self.offenders.drain(..))
    }
}

/// The rules that depend on the message alone.
fn check_numbers(message: &Message) -> Result<(), Refused> {
    let Message { term, log_term, index, commit, commit_term, reject_hint, .. } = *message;
    if message.msg_type == MessageType::MsgReadIndex {
        // raft-rs sends no other message without a term.
        if term != 0 {
            return Err(Wrong("a read request has no term"));
        }
    } else if !(1..=MOST).contains(&term) {
        return Err(Wrong("there is no such term"));
    } else if log_term > term || commit_term > term {
        return Err(Wrong("it mentions a term above its own"));
    }
    if [index, commit, reject_hint].into_iter().any(|number| number > MOST) {
        return Err(Wrong("there is no such index"));
    }
    if message.request_snapshot != 0 || message.priority != 0 || message.deprecated_priority != 0 {
        return Err(Wrong("it uses a feature that this engine does not"));
    }
    Ok(())
}

/// Contexts of reads travel in heartbeats and as entries; those of votes state a reason.
fn check_contexts(message: &Message) -> Result<(), Refused> {
    let of_read =
        |length| if length == CONTEXT_BYTES { Ok(()) } else { Err(Wrong("it is not the context of a read")) };
    match message.msg_type {
        MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResponse if !message.context.is_empty() => {
            of_read(message.context.len())
        }
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => match message.entries.as_ref() {
            [only] if only.context.is_empty() => of_read(only.data.len()),
            _ => Err(Wrong("a read has one context")),
        },
        MessageType::MsgAppend => Ok(()),
        _ if message.entries.is_empty() => Ok(()),
        _ => Err(Wrong("only appends have entries")),
    }
}

/// Whether index and term go together: index 0, before the first entry, has term 0; every other one has a
/// term.
fn is_entry(index: u64, term: u64) -> bool {
    (index == 0) == (term == 0)
}

impl Driver {
    /// Whether raft-rs may see this message, which came from the server `from`.
    pub(super) fn admit(&self, from: u64, message: &Message) -> Result<(), Refused> {
        if !crosses_the_network(message.msg_type) {
            return Err(Wrong("it never leaves a replica"));
        }
        let mine = self.config.server;
        if message.to != mine || from == mine || !self.config.voters.contains(&from) {
            return Err(Wrong("its sender is not a member, or it is for another server"));
        }
        check_numbers(message)?;
        check_contexts(message)?;
        if message.from != from {
            // raft-rs forwards a question to the server that it takes for the leader. The server that asked
            // repeats it.
            let passed_on =
                message.msg_type == MessageType::MsgReadIndex && self.config.voters.contains(&message.from);
            return Err(if passed_on { Untimely } else { Wrong("it claims another sender") });
        }
        if message.msg_type != MessageType::MsgReadIndex && message.term < self.term() {
            // raft-rs looks only at the term.
            return Ok(());
        }
        if message.term > self.term() + MOST_TERMS_AHEAD {
            return Err(Wrong("its term is out of reach"));
        }
        self.admit_now(from, message)
    }

    /// The rules for a message of the current term or a later one.
    fn admit_now(&self, from: u64, message: &Message) -> Result<(), Refused> {
        let now = message.term == self.term();
        let led_by_another = now && (self.leads() || ![0, from].contains(&self.leader()));
        match message.msg_type {
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgTimeoutNow
                if led_by_another =>
            {
                Err(Wrong("election_safety: this term has another leader"))
            }
            MessageType::MsgAppend => self.admit_append(message),
            // raft-rs would look for entries in a log that is being dropped.
            MessageType::MsgTimeoutNow if self.resetting.is_some() => Err(Untimely),
            MessageType::MsgAppendResponse => {
                if now && self.leads() && !message.reject && message.index > self.last_index() {
                    return Err(Wrong("it acknowledges what was never sent"));
                }
                Ok(())
            }
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote
                if !is_entry(message.index, message.log_term) =>
            {
                Err(Wrong("there is no such entry"))
            }
            MessageType::MsgRequestVoteResponse => {
                // raft-rs requests votes only once the log is durable, and relies on that.
                let asked = self.raft.raft.raft_log.persisted == self.last_index();
                if now && self.role() == StateRole::Candidate && !asked {
                    return Err(Wrong("nobody requested this vote"));
                }
                Ok(())
            }
            // A follower would forward it to the server that it takes for the leader. Two that take each
            // other for it would do so forever.
            MessageType::MsgReadIndex if !self.leads() => Err(Untimely),
            // Only the leader knows what is committed. Whoever leads by now is asked again.
            MessageType::MsgReadIndexResp if !now || from != self.leader() => Err(Untimely),
            _ => Ok(()),
        }
    }

    fn admit_append(&self, message: &Message) -> Result<(), Refused> {
        let Message { term, log_term, index, .. } = *message;
        if !is_entry(index, log_term) || index > MOST - message.entries.len() as u64 {
            return Err(Wrong("there is no such entry"));
        }
        let log = &self.raft.raft.raft_log;
        // Otherwise raft-rs refuses the entries, or knows them to be committed and ignores them.
        let appends = index >= log.committed && log.match_term(index, log_term);
        let first_new = if appends { log.find_conflict(&message.entries) } else { 0 };
        let highest =
            self.level.max(self.slots.last_place()).saturating_add(MOST_PLACES_AHEAD).min(MAX_PLACE);
        let mut before = self.place_before(first_new);
        let mut terms = log_term.max(1)..=term;
        for (entry, number) in message.entries.iter().zip(index + 1..) {
            // Only the engine changes the membership, and it does not do so yet.
            if entry.entry_type != EntryType::EntryNormal || entry.index != number {
                return Err(Wrong("there is no such entry"));
            }
            if !terms.contains(&entry.term) {
                return Err(Wrong("terms rise along a log"));
            }
            terms = entry.term..=term;
            let mut forged = false;
            let fill = check_entry(&entry.context, &entry.data, |span| forged |= self.is_forged(span))
                .map_err(|error| Wrong(error.0))?;
            if forged {
                return Err(Wrong("it holds commands that this server never sent"));
            }
            if is_end(&entry.context) && !self.may_end_with(&entry.data) {
                return Err(Wrong(
                    "it ends the epoch for a level that this server's release does not know: install a newer release",
                ));
            }
            if let Some(place) = fill.place()
                && first_new != 0
                && number >= first_new
            {
                if place <= before || place > highest {
                    return Err(Wrong("position_bijection: a place does not rise, or is out of reach"));
                }
                before = place;
            }
        }
        Ok(())
    }

    /// Whether an entry may ask for what it asks for: not for what this release does not know.
    fn may_end_with(&self, data: &[u8]) -> bool {
        // Whether the terms follow from the epochs so far is decided where the entry is merged, alike on all servers.
        decode_end(data).is_some_and(|EpochEnd { next, .. }| next.level <= self.config.known_level)
    }

    /// Place that the entry at `index` must exceed. Entries that raft-rs holds but has not handed over are
    /// not in the slot index yet.
    fn place_before(&self, index: u64) -> u64 {
        let unstable = &self.raft.raft.raft_log.unstable;
        let mut earlier = unstable.entries.iter().rev().skip_while(|entry| entry.index >= index);
        let place = earlier.find_map(|entry| EntryFill::of(&entry.context).ok()?.place());
        place.unwrap_or_else(|| self.slots.place_before(index.min(unstable.offset).saturating_sub(1)))
    }

    /// Whether commands claim to come from this server without having passed through one of its lanes, which is the
    /// only way into a log.
    fn is_forged(&self, span: &Span) -> bool {
        let in_this_life = span.incarnation == self.config.incarnation;
        span.server == self.config.server
            && (span.incarnation > self.config.incarnation
                || in_this_life
                    && self
                        .intake
                        .lane(span.lane)
                        .is_none_or(|lane| span.first + u64::from(span.count) > lane.taken_end()))
    }

    /// Whether a member may ask this replica to append these commands.
    pub(super) fn admit_forward(&self, from: u64, batch: &SubBatch) -> Result<(), Refused> {
        let span = &batch.span;
        if span.server != from
            || !self.config.lanes.contains(&span.lane)
            || !self.config.voters.contains(&from)
        {
            return Err(Wrong("it forwards another server's commands"));
        }
        if batch.body.len() > self.config.sub_batch_bytes {
            return Err(Wrong("it forwards more than fits a frame"));
        }
        span.check().and_then(|()| batch.check()).map_err(|error| Wrong(error.0))
    }

    /// Whether this replica may wait for a snapshot that this member offers.
    pub(super) fn admit_snapshot(&self, from: u64, term: u64, round: u64) -> Result<(), Refused> {
        if !self.config.voters.contains(&from) || from == self.config.server {
            return Err(Wrong("its sender is not a member"));
        }
        if !(1..=MOST).contains(&term) || !(1..=MAX_PLACE).contains(&round) {
            return Err(Wrong("there is no such snapshot"));
        }
        let led_by_another = self.leads() || ![0, from].contains(&self.leader());
        if term < self.term() {
            return Err(Untimely);
        }
        if term == self.term() && led_by_another {
            return Err(Wrong("election_safety: this term has another leader"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
