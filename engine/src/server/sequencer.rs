//! The sequencer: pulls committed entries from the local logs, merges them, and hands over the global log.
//! The thread around it (`sequencer_thread.rs`) has the clock and the channel to execution.

mod pulled;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use niagara_group::batch::EntryFill;
use niagara_group::epoch_end::{decode_end, is_end};
use niagara_log::{LogEntry, LogStore};
use niagara_sequencer::epoch::{Chain, Cut, Ending, Epoch, EpochEnd, Sealed};
use niagara_sequencer::{Balance, Emitted, GlobalPosition, Layout, Merge, Slot};

use self::pulled::{Pulled, room_for};
use super::stretch::{SnapshotPoint, Stretch, Then};
use crate::metrics::Metrics;
use crate::planted::{self, Bug};
use crate::progress::{Before, EpochProgress, Mail, NextEpoch, SharedProgress, Wanted, measure};
use crate::read_gate::ReadGate;
use crate::snapshot::Header;

/// When a snapshot is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotLimits {
    /// Entries with commands since the last one.
    pub entries: u64,
    /// Bytes of these entries.
    pub bytes: u64,
}

/// The most stretches that may wait for execution; their bytes are bounded separately.
pub(crate) const STRETCHES_WAITING: usize = 8;
/// A stretch ends at about this many bytes: large enough to share the cost of a hand-over, small enough to
/// keep execution and its acknowledgements flowing.
const STRETCH_BYTES: usize = 1 << 20;
/// A stretch also ends at this many emissions.
const STRETCH_ITEMS: usize = 512;

/// The merge, with everything of the rest of the server that it reads and writes.
pub(crate) struct Sequencer {
    /// The epochs up to the one that is merged, and what ends that one.
    chain: Chain,
    ending: Ending,
    layout: Layout,
    logs: Vec<Pulled>,
    merge: Merge<LogEntry>,
    balance: Balance,
    /// Bytes of a full entry, and of a window of them.
    sizes: (u64, u64),
    progress: Arc<SharedProgress>,
    /// Progress of the groups whose logs these are.
    epoch: Arc<EpochProgress>,
    reads: Arc<ReadGate>,
    metrics: Arc<Metrics>,
    tick: Duration,
    /// The slot that the merge was waiting for at the last tick, if it was.
    stalled: Option<Slot>,
    limits: SnapshotLimits,
    /// What has been merged since the last snapshot.
    since: SnapshotLimits,
    /// What had been written to the logs by then, in bytes.
    written_before: u64,
    /// Position of the last commands merged.
    last_commands: GlobalPosition,
    /// Whether the last stretch ended before everything pulled was merged.
    more: bool,
    /// The epoch of a received snapshot that waits for its groups.
    leaps_to: Option<Epoch>,
    /// Whether the logs are a follower's, which keep nothing that is merged.
    is_fed: bool,
}

impl Sequencer {
    /// The sequencer of a server with these logs, in order of the groups, whose state was restored from
    /// `snapshot`. `tick` is the time between calls of [`tick`](Self::tick).
    #[expect(clippy::too_many_arguments, reason = "each is another part of the server, handed over once")]
    pub fn new(
        chain: Chain,
        stores: Vec<LogStore>,
        progress: Arc<SharedProgress>,
        reads: Arc<ReadGate>,
        metrics: Arc<Metrics>,
        tick: Duration,
        limits: SnapshotLimits,
        sizes: (u64, u64),
        snapshot: Option<&Header>,
    ) -> Self {
        let layout = chain.newest().record.layout();
        let logs = layout.group_ids().zip(stores).map(|(group, store)| Pulled::new(group, store)).collect();
        let mut sequencer = Sequencer {
            chain,
            ending: Ending::default(),
            layout,
            logs,
            merge: Merge::new(layout),
            balance: Balance::new(layout.groups(), sizes.0, sizes.1),
            sizes,
            epoch: Arc::clone(progress.epoch()),
            is_fed: progress.follows.is_some(),
            progress,
            reads,
            metrics,
            tick,
            stalled: None,
            limits,
            since: SnapshotLimits { entries: 0, bytes: 0 },
            written_before: 0,
            last_commands: GlobalPosition::ZERO,
            more: false,
            leaps_to: None,
        };
        if let Some(header) = snapshot {
            sequencer.go_on_from(header);
        }
        sequencer
    }

    /// Pulls what is committed, and merges up to a stretch of it; empty if there is nothing to merge.
    pub fn merge_some(&mut self) -> Stretch {
        if let Some(header) = self.progress.snapshots.take_resume() {
            return self.resume(header);
        }
        if self.progress.bounds.execution_is_full() {
            return Stretch::default();
        }
        if self.merge.has_ended() {
            return self.begin_epoch();
        }
        self.pull();
        let due = self.snapshot_is_due();
        let mut stretch = Stretch { then: self.cut_if(due), ..Stretch::default() };
        self.more = true;
        while stretch.then.is_none()
            && stretch.bytes < STRETCH_BYTES as u64
            && stretch.emitted.len() < STRETCH_ITEMS
        {
            let Some(emitted) = self.merge.next() else {
                self.more = false;
                break;
            };
            if let Emitted::Commands { item, position } = &emitted {
                stretch.bytes += item.memory_bytes();
                self.since.entries += 1;
                self.since.bytes += item.data.len() as u64;
                self.last_commands = *position;
                if is_end(&item.context) {
                    self.offer_end(*position, &item.data);
                }
                self.balance.merged(self.layout.slot_at(*position), item.data.len() as u64);
            }
            stretch.emitted.push(emitted);
            stretch.then = self.cut_if(due);
        }
        if self.merge.has_ended() {
            self.end_epoch();
        }
        self.publish();
        self.progress.bounds.merged(stretch.bytes);
        stretch
    }

    /// Decides whether an entry ends the epoch.
    fn offer_end(&mut self, position: GlobalPosition, data: &[u8]) {
        let mut end = decode_end(data).expect("entries are checked before they enter a log");
        let Slot { mut place, .. } = self.layout.slot_at(position);
        if planted::is(Bug::EndThatIsSeenCounts) && self.ending == Ending::default() {
            (place, end) = self.end_in_the_logs(position).unwrap_or((place, end));
        }
        match self.ending.offer(&self.chain, place, &end) {
            Ok(()) => {
                tracing::info!(%position, groups = end.next.groups, "the epoch ends with this round");
                let more = u64::from(planted::is(Bug::VoidSlotsExecuted));
                self.merge.end_after(place + more);
                self.reads.end_is_known(place);
            }
            Err(why) => tracing::info!(%position, ?why, "a wish to end the epoch has no effect"),
        }
    }

    /// An end that has been pulled and not merged.
    fn end_in_the_logs(&self, merged: GlobalPosition) -> Option<(u64, EpochEnd)> {
        self.logs.iter().find_map(|log| {
            let mut ahead = Vec::new();
            let first = log.first_ahead()?;
            log.store.read(first, log.index, usize::MAX, &mut ahead).ok()?;
            ahead.iter().filter(|entry| is_end(&entry.context)).find_map(|entry| {
                let place = EntryFill::of(&entry.context).ok()?.place()?;
                let position = self.layout.position_of(Slot { place, group: log.group });
                Some((place, decode_end(&entry.data)?)).filter(|_| position > merged)
            })
        })
    }

    /// The merge has come to the end of the epoch: asks for the groups of the next one.
    fn end_epoch(&mut self) {
        if self.epoch.has_ended() {
            return;
        }
        self.epoch.ends();
        let (epoch, last_round) = (self.epoch.number, self.ending.last_round().expect("it has ended"));
        let mut chain = self.chain.clone();
        self.ending.clone().transition(&mut chain);
        let next = chain.newest().record.epoch;
        if self.progress.succession.has(next) {
            return;
        }
        let committed = self.logs.iter().map(|log| log.index).collect();
        let sealed = Sealed { epoch, last_round, committed };
        self.progress.succession.want(Wanted { chain, after: Before::Merged(sealed) });
        self.progress.snapshots.wake();
    }

    /// Goes on with the next epoch, if its groups are there.
    fn begin_epoch(&mut self) -> Stretch {
        self.more = false;
        let next = self.epoch.number.next();
        let Some((_, NextEpoch { progress, stores })) = self.progress.succession.take_up_to(next) else {
            return Stretch::default();
        };
        let last_round = self.ending.last_round().expect("it has ended");
        self.ending.transition(&mut self.chain);
        self.enter(Arc::clone(&progress), stores);
        self.reads.end_epoch(last_round, progress);
        self.merge = Merge::new(self.layout);
        self.more = true;
        self.publish();
        Stretch { then: Some(Then::EndEpoch(self.chain.clone())), ..Stretch::default() }
    }

    /// Takes the logs of another epoch, from their beginning.
    fn enter(&mut self, epoch: Arc<EpochProgress>, stores: Vec<LogStore>) {
        self.layout = epoch.layout;
        self.logs =
            self.layout.group_ids().zip(stores).map(|(group, store)| Pulled::new(group, store)).collect();
        self.balance = Balance::new(self.layout.groups(), self.sizes.0, self.sizes.1);
        self.progress.bounds.groups_come(epoch.groups.len());
        self.epoch = epoch;
        self.stalled = None;
        self.count_anew();
    }

    /// Pulls what is committed from the logs, as far as the merge has room. The awaited group always has room
    /// for an entry: none of its earlier entries is left in the merge, and nothing else lets the merge
    /// continue.
    fn pull(&mut self) {
        let awaited = self.merge.awaited().group;
        let (mut pulled, limit) = (self.pulled(), self.progress.bounds.limits.merge);
        for log in &mut self.logs {
            let room = room_for(pulled, limit, log.group == awaited);
            if room > 0 {
                let before = log.bytes;
                log.pull(&self.epoch, &mut self.merge, room);
                pulled += log.bytes - before;
            }
        }
        self.progress.bounds.set_pulled(pulled);
        if self.progress.followers.there_is_more() {
            self.progress.snapshots.wake();
        }
    }

    /// Bytes that have been pulled and are not merged.
    fn pulled(&self) -> u64 {
        self.logs.iter().map(|log| log.bytes).sum()
    }

    /// Whether there is something to do: committed entries to pull, or a snapshot to take or to resume from.
    /// This is the last check before sleeping.
    pub fn has_news(&self) -> bool {
        let snapshots = &self.progress.snapshots;
        if snapshots.has_resume() {
            return self.leaps_to.is_none_or(|epoch| self.progress.succession.has(epoch));
        }
        if self.progress.bounds.execution_is_full() {
            return false;
        }
        if self.merge.has_ended() {
            return self.progress.succession.has(self.epoch.number.next());
        }
        let wanted = snapshots.is_wanted() && snapshots.may_freeze();
        let (pulled, limit, awaited) =
            (self.pulled(), self.progress.bounds.limits.merge, self.merge.awaited().group);
        let has_room = |log: &Pulled| !log.is_full() && room_for(pulled, limit, log.group == awaited) > 0;
        self.logs.iter().any(|log| log.commit(&self.epoch) > log.index && has_room(log))
            || self.more
            || wanted && (self.round_to_cut().is_some() || self.is_all_kept())
            || self.may_close_an_epoch()
    }

    /// Whether a snapshot is due and can be taken.
    fn snapshot_is_due(&self) -> bool {
        let snapshots = &self.progress.snapshots;
        let asked = snapshots.asked();
        if snapshots.is_wanted() && self.is_all_kept() {
            snapshots.meet(asked);
        }
        let SnapshotLimits { entries, bytes } = self.since;
        // Short entries fill blocks of the disk that are longer than they are.
        let bytes = bytes.max(self.written() - self.written_before);
        let full = entries >= self.limits.entries || bytes >= self.limits.bytes;
        (full || snapshots.is_wanted() || self.closes_an_epoch()) && snapshots.may_freeze()
    }

    /// Whether another snapshot brings the closing of an epoch that is over nearer.
    fn closes_an_epoch(&self) -> bool {
        let is_over = |epoch: &Arc<EpochProgress>| epoch.number < self.epoch.number && !epoch.is_closed();
        self.progress.epochs().any(is_over)
    }

    /// Whether a snapshot would, and can be taken. It needs no new command: a member that has yet to come may be waiting for
    /// it, without whom there is no quorum.
    fn may_close_an_epoch(&self) -> bool {
        self.closes_an_epoch()
            && self.progress.snapshots.may_freeze()
            && self.round_to_cut().is_some()
            && !planted::is(Bug::EndOfEpochNotKept)
    }

    fn count_anew(&mut self) {
        self.since = SnapshotLimits { entries: 0, bytes: 0 };
        self.written_before = self.written();
    }

    /// Bytes written to all logs since the start.
    fn written(&self) -> u64 {
        self.logs.iter().map(|log| log.store.written_bytes()).sum()
    }

    /// Whether a snapshot holds everything that was executed.
    fn is_all_kept(&self) -> bool {
        let kept = self.progress.snapshots.kept();
        kept.epoch == self.epoch.number && self.last_commands <= self.layout.round_end(kept.round)
    }

    /// The round whose end has the current state: the last merged one, if only no-ops have followed it.
    fn round_to_cut(&self) -> Option<u64> {
        let round = self.layout.rounds_within(self.merge.emitted());
        let unchanged = self.layout.round_end(round) >= self.last_commands;
        // At the end of an epoch, there is only the beginning of the next one.
        let is_cut = unchanged && (!self.merge.has_ended() || planted::is(Bug::EndCutByRound));
        (is_cut && self.cut_at(round) > self.progress.snapshots.kept()).then_some(round)
    }

    fn cut_at(&self, round: u64) -> Cut {
        Cut { epoch: self.epoch.number, round }
    }

    /// Cuts the logs for a snapshot, if one is due and the merge is at the end of a round.
    fn cut_if(&mut self, due: bool) -> Option<Then> {
        let asked = self.progress.snapshots.asked();
        let round = if due { self.round_to_cut()? } else { return None };
        let cut = self.cut_at(round);
        self.progress.snapshots.cut(cut, asked);
        self.count_anew();
        let floors = self.logs.iter_mut().map(|log| log.cut(round)).collect();
        Some(Then::Freeze(SnapshotPoint { cut, anchor: self.merge.anchor(), floors }))
    }

    /// Resumes from a received snapshot, unless this server's own logs are further.
    fn resume(&mut self, header: Arc<Header>) -> Stretch {
        let cut = header.cut();
        let is_further = header.position() > self.merge.emitted();
        if is_further && cut.epoch > self.epoch.number && !self.leap(&header) {
            return Stretch::default();
        }
        let then = if is_further {
            self.go_on_from(&header);
            // It is durable, so the next cut comes after it. At its own round, some logs may not reach its
            // floor yet.
            self.progress.snapshots.set_kept(cut);
            self.publish();
            Then::Restore(header)
        } else {
            Then::Discard
        };
        self.progress.snapshots.set_resumed(cut);
        self.more = true;
        Stretch { then: Some(then), ..Stretch::default() }
    }

    /// Goes on with the epoch of a received snapshot, if its groups are there. If they are not, asks for them.
    fn leap(&mut self, header: &Arc<Header>) -> bool {
        let epoch = header.cut().epoch;
        self.epoch.ends();
        let Some((between, NextEpoch { progress, stores })) = self.progress.succession.take_up_to(epoch)
        else {
            if self.leaps_to.replace(epoch) != Some(epoch) {
                let wanted =
                    Wanted { chain: header.chain.clone(), after: Before::Replaced(Arc::clone(header)) };
                self.progress.succession.want(wanted);
                self.progress.snapshots.wake();
            }
            self.progress.snapshots.offer_resume(Arc::clone(header));
            return false;
        };
        self.leaps_to = None;
        self.chain = header.chain.clone();
        self.ending = Ending::default();
        self.enter(Arc::clone(&progress), stores);
        self.reads.leave_epoch(self.leap_over(between, progress));
        self.merge = Merge::new(self.layout);
        true
    }

    /// Ends the epochs between the one that is left and `last`, whose groups are there. They follow each other as those that are
    /// merged do: lanes begin in them, and go on from each to the next, and their groups are closed in turn. Returns the first.
    fn leap_over(&self, between: Vec<NextEpoch>, last: Arc<EpochProgress>) -> Arc<EpochProgress> {
        between.into_iter().rfold(last, |next, NextEpoch { progress: left, .. }| {
            left.ends();
            self.progress.bounds.groups_come(left.groups.len());
            left.is_followed_by(next);
            left
        })
    }

    /// The next slot to merge is the first after the snapshot. Logs that reach beyond it are pulled again
    /// from there; the merge waits for the others.
    fn go_on_from(&mut self, header: &Header) {
        if planted::is(Bug::OldMergeAfterRestore) && self.merge.emitted() > GlobalPosition::ZERO {
            return;
        }
        self.merge = Merge::resume(self.layout, header.round, header.anchor);
        self.last_commands = header.position();
        self.count_anew();
        for (log, floor) in self.logs.iter_mut().zip(&header.floors) {
            let index = floor.entry.index;
            *log = Pulled::above(log.group, log.store.clone(), index, header.round);
            log.store.release(index);
            self.epoch.groups[log.group.index()].merged(index);
        }
    }

    /// Publishes how far the merge is, and drops what it has passed.
    fn publish(&mut self) {
        let emitted = self.merge.emitted();
        self.epoch.awaited.store(self.merge.awaited().group.index() as u32, SeqCst);
        self.epoch.anchor.store(self.merge.anchor().index() as u32, SeqCst);
        for (group, surplus) in self.epoch.groups.iter().zip(self.balance.surpluses()) {
            if group.surplus.load(SeqCst) != surplus {
                group.surplus.store(surplus, SeqCst);
            }
        }
        for log in &mut self.logs {
            if let Some(index) = log.pass(self.layout, emitted) {
                log.store.release(index);
                self.epoch.groups[log.group.index()].merged(index);
            }
        }
        self.progress.bounds.set_pulled(self.pulled());
        if self.is_fed {
            self.make_room(self.layout.rounds_within(emitted));
        }
    }

    /// Lets go of what a follower's logs hold up to this round, which is merged.
    fn make_room(&mut self, round: u64) {
        let mut has_room = false;
        for log in &mut self.logs {
            has_room |= log.forget_up_to(round);
        }
        if has_room {
            self.progress.snapshots.wake();
        }
    }

    /// Checks at each tick whether the merge has stalled.
    pub fn tick(&mut self, now: Instant) {
        let awaited = self.merge.awaited();
        let waits = self.waits_for_slot();
        let halted = waits && self.stalled == Some(awaited);
        if halted
            && !self.is_fed
            && let Some(level) = self.merge.held_level()
        {
            // Local knowledge did not help within a tick: ask the group's leader to pad, wherever it is.
            let group = awaited.group.index();
            self.epoch.groups[group].send(Mail::Pad(level));
            self.metrics.pad_requests.inc();
            self.metrics.groups[group].stall.inc_by(self.tick.as_secs_f64());
        }
        self.stalled = waits.then_some(awaited);
        measure(&self.progress, &self.metrics);
        self.reads.tick(now, halted);
    }

    /// Whether only the awaited group keeps the merge from continuing. If execution is slow, slots wait for
    /// the merge rather than vice versa, and no padding helps.
    fn waits_for_slot(&self) -> bool {
        let log = &self.logs[self.merge.awaited().group.index()];
        !self.more && !self.merge.has_ended() && log.commit(&self.epoch) <= log.index
    }
}
