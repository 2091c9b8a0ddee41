//! What a member gives to its followers: committed entries out of its logs, digests, and answers to their questions. It knows
//! no thread, clock or socket.
//!
//! Each follower asks for what comes next, and gets one answer. So nothing waits here for a follower but its question, and
//! a slow one costs a member nothing. What is gone from the logs it gets as a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_group::wire::MalformedMessage;
use niagara_log::{LogEntry, LogError, LogStore};
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Cut, Epoch};

use super::wire::{Entries, FeedMessage, Follow, GroupWish};
use crate::planted::{self, Bug};
use crate::progress::{EpochProgress, Executed, SharedProgress};
use crate::snapshot::Pace;

/// An answer has about this many bytes of entries at most, unless a single one is longer.
const ANSWER_BYTES: u32 = 1 << 20;
/// Time between two messages with digests to the same follower.
const DIGESTS_EVERY: Duration = Duration::from_secs(1);

/// A member's followers, and what they are given.
pub(crate) struct Supplier {
    progress: Arc<SharedProgress>,
    executed: Arc<Executed>,
    /// Begins a strong read with this token. `Some` if it is answered at once: what has been executed.
    begin_read: Box<dyn FnMut(u64) -> Option<GlobalPosition> + Send>,
    /// The logs of the epochs that are open here.
    logs: BTreeMap<Epoch, OpenLogs>,
    followers: BTreeMap<u64, Follower>,
    /// The strong reads under way: who has asked, and which question that is.
    reads: BTreeMap<u64, (u64, u64)>,
    last_token: u64,
    pace: Pace,
    /// Whether somebody would get entries now if the pace allowed it.
    is_held_up: bool,
}

struct OpenLogs {
    progress: Arc<EpochProgress>,
    stores: Vec<LogStore>,
}

/// A connected follower.
struct Follower {
    asks: Option<Follow>,
    /// A question about a barrier that has yet to begin: the last one.
    question: Option<u64>,
    digests_due: Instant,
    /// The digests that it was told last.
    told: Option<(u64, Option<u64>)>,
}

/// What can be answered to a follower.
enum Answer {
    Entries(Entries),
    /// A snapshot has to come first.
    Snapshot,
    OtherChain,
    /// Nothing yet.
    Wait,
}

impl Supplier {
    /// Sends entries to all followers together at this rate, in bytes per second.
    pub fn new(
        progress: &Arc<SharedProgress>,
        executed: &Arc<Executed>,
        rate: u64,
        begin_read: Box<dyn FnMut(u64) -> Option<GlobalPosition> + Send>,
    ) -> Supplier {
        Supplier {
            progress: Arc::clone(progress),
            executed: Arc::clone(executed),
            begin_read,
            logs: BTreeMap::new(),
            followers: BTreeMap::new(),
            reads: BTreeMap::new(),
            last_token: 0,
            pace: Pace::new(rate),
            is_held_up: false,
        }
    }

    /// The logs of an epoch are there, in order of its groups.
    pub fn add_logs(&mut self, progress: &Arc<EpochProgress>, stores: Vec<LogStore>) {
        self.logs.insert(progress.number, OpenLogs { progress: Arc::clone(progress), stores });
    }

    /// A follower is connected.
    pub fn is_up(&mut self, now: Instant, follower: u64) {
        self.forget_reads(follower);
        let new = Follower { asks: None, question: None, digests_due: now, told: None };
        self.followers.insert(follower, new);
        self.progress.followers.is_connected(follower, true);
    }

    /// A follower is not connected any more.
    pub fn is_down(&mut self, follower: u64) {
        self.followers.remove(&follower);
        self.forget_reads(follower);
        self.progress.followers.is_connected(follower, false);
    }

    /// Its next life may ask a question with the same number, for which an answer to the earlier one would be too old.
    fn forget_reads(&mut self, follower: u64) {
        if !planted::is(Bug::OldQuestionAnswered) {
            self.reads.retain(|_, (asker, _)| *asker != follower);
        }
    }

    /// Whether this server is a connected follower.
    pub fn has(&self, server: u64) -> bool {
        self.followers.contains_key(&server)
    }

    /// Handles a message of a follower.
    ///
    /// # Errors
    /// If no follower sends such a message.
    pub fn heard(&mut self, from: u64, body: &Bytes) -> Result<(), MalformedMessage> {
        let message = FeedMessage::decode(body)?;
        let Some(follower) = self.followers.get_mut(&from) else { return Ok(()) };
        match message {
            FeedMessage::Follow(asks) => follower.asks = Some(asks),
            FeedMessage::Leave => follower.asks = None,
            FeedMessage::AskBarrier { question } => follower.question = Some(question),
            FeedMessage::Entries(_)
            | FeedMessage::Behind { .. }
            | FeedMessage::OtherChain
            | FeedMessage::Barrier { .. }
            | FeedMessage::Digests(_) => return Err(MalformedMessage("only members send that")),
        }
        Ok(())
    }

    /// When there is something to do, unless something happens before. `None` while all wait for more to be committed.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let digests = self.followers.values().map(|follower| follower.digests_due).min();
        let entries = self.is_held_up.then(|| self.pace.due(now).unwrap_or(now));
        digests.into_iter().chain(entries).min()
    }

    /// Answers whom it can. `newest` is the cut of the newest snapshot here.
    pub fn step(&mut self, now: Instant, newest: Option<Cut>, out: &mut Vec<(u64, FeedMessage)>) {
        self.logs.retain(|_, logs| !logs.progress.is_closed());
        self.is_held_up = false;
        if self.followers.values().any(|follower| follower.asks.is_some()) {
            // Announce that they wait, then look.
            self.progress.followers.await_more();
        }
        let asking: Vec<u64> = self.followers.keys().copied().collect();
        for follower in asking {
            self.supply(now, follower, newest, out);
            self.begin_question(follower, out);
            self.tell_digests(now, follower, out);
        }
    }

    fn supply(&mut self, now: Instant, to: u64, newest: Option<Cut>, out: &mut Vec<(u64, FeedMessage)>) {
        let Some(asks) = self.followers.get(&to).and_then(|follower| follower.asks.as_ref()) else { return };
        // What it has would differ from what the others have.
        if self.progress.divergence.is_diverged() {
            return;
        }
        if self.pace.due(now).is_some() {
            self.is_held_up = true;
            return;
        }
        let answer = match self.answer(asks) {
            Answer::Wait => return,
            Answer::Entries(entries) => {
                let bytes = entries.entries.iter().map(|(_, entry)| entry.memory_bytes()).sum();
                self.pace.spend(now, bytes);
                FeedMessage::Entries(entries)
            }
            Answer::OtherChain => FeedMessage::OtherChain,
            Answer::Snapshot => match newest {
                Some(cut) => FeedMessage::Behind { cut },
                None => return self.want_snapshot(),
            },
        };
        if let Some(follower) = self.followers.get_mut(&to) {
            follower.asks = None;
        }
        out.push((to, answer));
    }

    /// A young cluster has no snapshot yet. If nothing has been executed, there will be none; then the follower waits.
    fn want_snapshot(&self) {
        let snapshots = &self.progress.snapshots;
        if !snapshots.is_wanted() && self.progress.applied.load(SeqCst) > 0 {
            snapshots.want();
        }
    }

    fn answer(&self, Follow { epoch, at_once, groups }: &Follow) -> Answer {
        let Some((epoch, hash)) = *epoch else { return Answer::Snapshot };
        let Some(OpenLogs { progress, stores }) = self.logs.get(&epoch) else {
            // It may be beyond this server, which learns of the epoch later; or behind all that has logs here.
            let is_earlier = self.logs.keys().next().is_some_and(|first| epoch < *first);
            return if is_earlier { Answer::Snapshot } else { Answer::Wait };
        };
        if hash != progress.hash {
            return Answer::OtherChain;
        }
        if groups.len() != stores.len() {
            return Answer::Wait;
        }
        let Some(entries) = read_all(progress, stores, groups) else { return Answer::Snapshot };
        if entries.is_empty() && !at_once {
            return Answer::Wait;
        }
        Answer::Entries(Entries { epoch, applied: self.progress.applied.load(SeqCst), entries })
    }

    fn begin_question(&mut self, of: u64, out: &mut Vec<(u64, FeedMessage)>) {
        let is_under_way = self.reads.values().any(|(asker, _)| *asker == of);
        let Some(follower) = self.followers.get_mut(&of).filter(|_| !is_under_way) else { return };
        let Some(question) = follower.question.take() else { return };
        self.last_token += 1;
        match (self.begin_read)(self.last_token) {
            None => {
                self.reads.insert(self.last_token, (of, question));
            }
            Some(position) => {
                out.push((of, FeedMessage::Barrier { question, position: Some(position.get()) }));
            }
        }
    }

    /// A strong read has ended: everything that was acknowledged before it began has been executed by `position`.
    pub fn read_ended(
        &mut self,
        token: u64,
        position: Option<GlobalPosition>,
        out: &mut Vec<(u64, FeedMessage)>,
    ) {
        let Some((follower, question)) = self.reads.remove(&token) else { return };
        let position = position.map(GlobalPosition::get);
        out.push((follower, FeedMessage::Barrier { question, position }));
    }

    fn tell_digests(&mut self, now: Instant, to: u64, out: &mut Vec<(u64, FeedMessage)>) {
        let Some(follower) = self.followers.get_mut(&to).filter(|follower| follower.digests_due <= now)
        else {
            return;
        };
        follower.digests_due = now + DIGESTS_EVERY;
        let digests = self.executed.digests.lock();
        let latest = (digests.value(), digests.state());
        let kept = digests.kept();
        drop(digests);
        if follower.told != Some(latest) && !kept.is_empty() {
            follower.told = Some(latest);
            out.push((to, FeedMessage::Digests(kept)));
        }
    }
}

/// What follows in all groups of an epoch, as far as it is committed and there is room for it. `None` if some of it is not in
/// the logs any more.
fn read_all(
    progress: &EpochProgress,
    stores: &[LogStore],
    wishes: &[GroupWish],
) -> Option<Vec<(u16, LogEntry)>> {
    let share = ANSWER_BYTES / stores.len() as u32;
    let (mut all, mut bytes) = (Vec::new(), 0);
    for (at, (store, GroupWish { last, room })) in stores.iter().zip(wishes).enumerate() {
        let commit = match planted::is(Bug::UncommittedFed) {
            true => store.last_index(),
            false => progress.groups[at].commit.load(SeqCst),
        };
        let mut entries = Vec::new();
        // Groups that are left out now come when the follower has no room for more of those before them.
        if commit <= *last || *room == 0 || bytes >= u64::from(ANSWER_BYTES) {
            continue;
        }
        match store.read(last + 1, commit, share.min(*room) as usize, &mut entries) {
            Ok(()) => {
                bytes += entries.iter().map(LogEntry::memory_bytes).sum::<u64>();
                all.extend(entries.into_iter().map(|entry| (at as u16, entry)));
            }
            Err(LogError::Unavailable { .. }) => return None,
            Err(error) => {
                tracing::error!(group = at + 1, %error, "cannot read the log for a follower");
                return Some(Vec::new());
            }
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests;
