//! Executes entries: decides which of their commands are new, applies those, completes this server's own, and
//! keeps digests of it all.

use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use niagara_group::batch::{SubBatch, data_sum, decode_commands};
use niagara_group::{Commands, GroupFloor};
use niagara_log::LogEntry;
use niagara_sequencer::GlobalPosition;
use niagara_sequencer::epoch::{Chain, Record};

use super::stretch::SnapshotPoint;
use crate::apply::{Digests, LaneSessions, Verdict};
use crate::growing::Growing;
use crate::lane::{Deliveries, DueLook, DueReads, Lane};
use crate::metrics::Metrics;
use crate::outcome::{Completion, Detached, Refused};
use crate::planted::{self, Bug};
use crate::progress::{Executed, Mail, SharedProgress};
use crate::snapshot::Header;
use crate::state_machine::StateMachine;
use crate::subscription::{Feed, Recording};
use crate::sync::Ordering::SeqCst;

/// The state machine, what decides which commands it executes, and those who are notified.
pub(crate) struct Executor<S: StateMachine> {
    pub state: S,
    /// The commands of the current batch that subscribers are not shown, by their indexes in it.
    pub unshown: Vec<u32>,
    pub server: u64,
    pub cluster: u128,
    /// The epochs up to the one that is executed.
    pub chain: Chain,
    /// Number of this start; 0 for a follower, which has no commands of its own.
    pub incarnation: u64,
    pub sessions: LaneSessions,
    pub lanes: Arc<Growing<Lane<S::Reply>>>,
    pub progress: Arc<SharedProgress>,
    pub executed: Arc<Executed>,
    pub metrics: Arc<Metrics>,
    /// What subscribers follow.
    pub feed: Arc<Feed>,
    /// While the log is replayed: the position that the state machine holds durably. Everything up to it is
    /// decided on again, but not applied again. Then 0.
    pub held: GlobalPosition,
}

/// Results of a stretch, published and delivered at its end.
pub(crate) struct Work<R> {
    replies: Vec<R>,
    reads: DueReads<R>,
    pub deliveries: Deliveries<R>,
    pub digests: Digests,
    commands: u64,
    duplicates: u64,
    gaps: u64,
    attached_reads: u64,
    pub noops: u64,
    /// Whether the state machine has executed anything of it.
    pub changed: bool,
    /// What subscribers get.
    pub recording: Option<Recording>,
}

/// What has yet to be applied of a batch.
struct Rest<'b> {
    batch: &'b SubBatch,
    /// Number of its commands that were applied, or skipped.
    done: u32,
    commands: Commands<'b>,
}

impl<R> Default for Work<R> {
    fn default() -> Self {
        Work {
            replies: Vec::new(),
            reads: DueReads::default(),
            deliveries: Deliveries::default(),
            digests: Digests::default(),
            commands: 0,
            duplicates: 0,
            gaps: 0,
            attached_reads: 0,
            noops: 0,
            changed: false,
            recording: None,
        }
    }
}

impl<S: StateMachine> Executor<S> {
    /// Header of a snapshot of the current state, which is that of the end of a round: only no-ops may have
    /// followed.
    pub fn header(&self, point: SnapshotPoint, digests: &Digests) -> Header {
        let SnapshotPoint { cut, anchor, floors } = point;
        let Record { epoch, terms, .. } = &self.chain.newest().record;
        assert_eq!(cut.epoch, *epoch, "global_prefix: a snapshot belongs to the epoch that is executed");
        let position = self.chain.newest().record.layout().round_end(cut.round);
        let since = self.progress.applied.load(SeqCst) - position.get();
        let floor = |entry| GroupFloor { entry, voters: terms.members.clone(), learners: Vec::new() };
        let mut sessions = self.sessions.clone();
        if planted::is(Bug::SnapshotForgetsLanes) {
            sessions = LaneSessions::new(&terms.members, self.lanes.len() as u16);
        }
        Header {
            // The file gets its id and date when it is started.
            id: 0,
            created_ms: 0,
            cluster: self.cluster,
            server: self.server,
            round: cut.round,
            anchor,
            commands: self.executed.commands.load(SeqCst),
            duplicates: self.executed.duplicates.load(SeqCst),
            noops: self.executed.noops.load(SeqCst) - since,
            chain: self.chain.clone(),
            floors: floors.into_iter().map(floor).collect(),
            sessions,
            digests: digests.without_noops_after(position),
            own_files: false,
        }
    }

    /// Continues from a snapshot, with the state that was read from it; with `None`, the state machine holds
    /// as much or more. A start does so too.
    ///
    /// # Panics
    /// If the state machine rejects the state. Its chunks were checked one by one, so that is a bug in the
    /// state machine.
    pub fn restore(&mut self, header: &Header, state: Option<S::Restoring>, work: &mut Work<S::Reply>) {
        let applied = header.position();
        if let Some(state) = state
            && let Err(error) = self.state.restore(applied, state)
        {
            panic!("cannot continue from the snapshot at position {applied}: {error}");
        }
        if !planted::is(Bug::ChainForgottenAtRestore) {
            self.chain = header.chain.clone();
        }
        self.progress.divergence.servers_are(header.record().terms.members.len());
        self.sessions = header.sessions.clone();
        work.digests = header.digests.clone();
        work.digests.restored(applied, self.digest(applied));
        self.end_replay(applied);
        self.progress.applied.store(applied.get(), SeqCst);
        self.executed.commands.store(header.commands, SeqCst);
        self.executed.duplicates.store(header.duplicates, SeqCst);
        self.executed.noops.store(header.noops, SeqCst);
        work.digests.publish(&mut self.executed.digests.lock());
        self.metrics.applied.set(applied.get() as i64);
        self.end_restored_tickets(work);
        if !planted::is(Bug::LanesStayAtLeap) {
            self.move_lanes();
        }
    }

    /// Goes on with the next epoch. What of this server's commands was not executed was not ordered, either: the lanes move on.
    pub fn end_epoch(&mut self, chain: Chain) {
        let Record { epoch, terms, lanes, .. } = &chain.newest().record;
        self.sessions.begin_epoch(&terms.members, *lanes);
        self.progress.divergence.servers_are(terms.members.len());
        tracing::info!(epoch = epoch.get(), groups = terms.groups, "the global log goes on in another epoch");
        self.chain = chain;
        self.move_lanes();
    }

    /// Lets this server's lanes go on with the groups of the epoch that is executed now.
    fn move_lanes(&self) {
        let now = self.chain.newest().record.epoch;
        let earlier = self.progress.epochs().filter(|epoch| epoch.number < now);
        earlier.filter(|epoch| epoch.is_left_by_lanes()).for_each(|epoch| epoch.tell(&Mail::HandLanesOver));
    }

    /// Ends waiting for commands that the snapshot holds: they were executed, but other servers have their
    /// replies.
    fn end_restored_tickets(&self, work: &mut Work<S::Reply>) {
        let Some((incarnation, next)) = self.sessions.lanes_of(self.server) else { return };
        if self.incarnation == 0 {
            return;
        }
        assert!(
            incarnation <= self.incarnation,
            "applied_once: this server's next life has been executed already"
        );
        if incarnation < self.incarnation || planted::is(Bug::RestoredTicketsForgotten) {
            return;
        }
        for (index, (lane, next)) in self.lanes.iter().zip(next).enumerate() {
            lane.passed(*next, &mut work.deliveries);
            lane.queue.set_next_command(*next);
            self.progress.epoch().group_of(index).wake();
        }
    }

    /// Executes one entry's commands, and adds what was decided about them to the digests.
    pub fn execute(&mut self, position: GlobalPosition, entry: &LogEntry, work: &mut Work<S::Reply>) {
        let batches = decode_commands(&entry.context, &entry.data).unwrap_or_else(|error| {
            panic!("global_prefix: the entry at position {position} is damaged: {error}")
        });
        let data = data_sum(&entry.context).unwrap_or_else(|| crc32fast::hash(&entry.data));
        let mut content = u64::from(data) << 32 | u64::from(crc32fast::hash(&entry.context));
        for batch in &batches {
            let mine = batch.span.server == self.server && batch.span.incarnation == self.incarnation;
            let lane = usize::from(batch.span.lane);
            match self.sessions.admit(&batch.span) {
                Verdict::Execute { skip } => {
                    let executed = batch.span.count - skip;
                    if position > self.held {
                        if mine && self.lanes[lane].has_reads() {
                            self.apply_and_answer(position, batch, skip, work);
                        } else {
                            let commands = Commands::new(batch, skip).awaited(mine);
                            self.apply(position, (batch, skip), commands, &mut work.replies);
                        }
                        self.check_executed(position, batch, executed, work.replies.len(), mine);
                        work.changed = true;
                    }
                    let unshown = take(&mut self.unshown);
                    if let Some(recording) = &mut work.recording {
                        recording.add(position, batch.clone(), skip, unshown);
                    }
                    work.commands += u64::from(executed);
                    work.duplicates += u64::from(skip);
                    content = content.rotate_left(7) ^ u64::from(executed);
                    if mine {
                        self.complete(batch, skip, position, work);
                    }
                    work.replies.clear();
                }
                Verdict::Duplicate => work.duplicates += u64::from(batch.span.count),
                Verdict::Gap => {
                    work.gaps += 1;
                    if mine {
                        self.lanes[lane].queue.report_gap(batch.span.attempt);
                        self.progress.epoch().group_of(lane).wake();
                    }
                }
                Verdict::Stale => {}
            }
        }
        work.digests.commands(position, content, self.digest(position));
    }

    /// Digest of the state at this position; `None` if the state machine is beyond it.
    fn digest(&self, position: GlobalPosition) -> Option<u128> {
        if position < self.held { None } else { self.state.digest() }
    }

    /// Allows snapshots once execution has caught up with a state machine that held more; `true` if that is
    /// now.
    pub fn end_replay(&mut self, applied: GlobalPosition) -> bool {
        if self.held == GlobalPosition::ZERO || applied < self.held {
            return false;
        }
        self.held = GlobalPosition::ZERO;
        self.progress.snapshots.set_replaying(false);
        true
    }

    /// Applies a batch's commands, and executes each read and each look right after the command that it is attached
    /// to. A server that has diverged executes none.
    fn apply_and_answer(
        &mut self,
        position: GlobalPosition,
        batch: &SubBatch,
        skip: u32,
        work: &mut Work<S::Reply>,
    ) {
        let Work { reads, replies, deliveries, attached_reads, .. } = work;
        self.lanes[usize::from(batch.span.lane)].take_reads(batch.end(), reads);
        if self.progress.divergence.is_diverged() {
            reads.detach(Detached::Refused(Refused::Diverged), deliveries);
        }
        let mut rest = Rest { batch, done: skip, commands: Commands::new(batch, skip) };
        let mut looks = take(&mut reads.looks).into_iter().peekable();
        *attached_reads += looks.len() as u64;
        for read in reads.iter() {
            while let Some(due) = looks.next_if(|due| due.after < read.after) {
                self.look(position, due, &mut rest, replies, deliveries);
            }
            self.apply_through(position, read.after, &mut rest, replies);
            let reply = self.state.answer(read.query);
            *attached_reads += 1;
            deliveries.to(read.sink).push(Completion::Answered { token: read.token, position, reply });
        }
        for due in looks {
            self.look(position, due, &mut rest, replies, deliveries);
        }
        reads.clear();
        if rest.commands.len() > 0 {
            self.apply(position, (batch, rest.done), rest.commands, replies);
        }
    }

    /// Applies the commands of a batch up to this number.
    fn apply_through(
        &mut self,
        position: GlobalPosition,
        number: u64,
        rest: &mut Rest<'_>,
        replies: &mut Vec<S::Reply>,
    ) {
        let next = rest.batch.span.first + u64::from(rest.done);
        let count = (number + 1).checked_sub(next);
        let mut count =
            count.expect("read_is_fresh: a read does not follow what was executed before it came");
        if planted::is(Bug::AttachedReadTooEarly) {
            count = count.saturating_sub(1);
        }
        let (front, back) = rest.commands.clone().split_at(count as usize);
        rest.commands = back;
        if front.len() > 0 {
            self.apply(position, (rest.batch, rest.done), front, replies);
            rest.done += count as u32;
        }
    }

    /// Lets a caller look at the state right after its command.
    fn look(
        &mut self,
        position: GlobalPosition,
        DueLook { after, mut look }: DueLook,
        rest: &mut Rest<'_>,
        replies: &mut Vec<S::Reply>,
        deliveries: &mut Deliveries<S::Reply>,
    ) {
        self.apply_through(position, after, rest, replies);
        look.look(&self.state);
        deliveries.tell(look, None);
    }

    /// Applies commands of a batch, behind `skip` others. If the state machine panics, the process is about to
    /// end, and which command it was is of more use than the panic alone.
    fn apply(
        &mut self,
        position: GlobalPosition,
        (batch, skip): (&SubBatch, u32),
        commands: Commands<'_>,
        replies: &mut Vec<S::Reply>,
    ) {
        let state = &mut self.state;
        let (first, awaited) = (skip + 1, commands.are_awaited());
        let before = replies.len();
        let applying = AssertUnwindSafe(|| state.apply(position, commands, replies));
        let Err(panic) = catch_unwind(applying) else {
            self.unshown.extend(self.state.unshown().into_iter().map(|index| skip + index));
            return;
        };
        let command = match (replies.len() - before) as u32 {
            0 if !awaited => "one".to_owned(),
            answered => format!("command {}", first + answered),
        };
        let (count, from) = (batch.span.count, batch.span.server);
        let what = format!(
            "the state machine panicked at position {position} of the global log, in {command} of the {count} \
             that server {from} took for it"
        );
        tracing::error!("{what}");
        if !tracing::dispatcher::has_been_set() {
            eprintln!("{what}");
        }
        resume_unwind(panic);
    }

    /// # Panics
    /// If some command could not be executed, or not each was answered. Nothing of the entry has been
    /// published then.
    fn check_executed(
        &self,
        position: GlobalPosition,
        batch: &SubBatch,
        executed: u32,
        replies: usize,
        awaited: bool,
    ) {
        if let Some(unknown) = self.state.unexecutable() {
            let from = batch.span.server;
            panic!(
                "equal_states: cannot execute a command that server {from} took at position {position}: \
                 {unknown}. This server must not continue, since others may know the command: start the \
                 version of the program that runs on server {from}"
            );
        }
        assert!(
            replies == executed as usize || replies == 0 && !awaited,
            "the state machine answers each command once: {replies} replies to {executed} commands"
        );
    }

    /// Completes this server's own commands, whose callers wait here.
    fn complete(&self, batch: &SubBatch, skip: u32, position: GlobalPosition, work: &mut Work<S::Reply>) {
        let lane = usize::from(batch.span.lane);
        let first = batch.span.first + u64::from(skip);
        self.lanes[lane].applied(first, position, work.replies.drain(..), &mut work.deliveries);
        if planted::is(Bug::WokenBeforeExecuted) {
            self.progress.epoch().group_of(lane).executed();
            self.lanes[lane].queue.set_next_command(batch.end());
        } else {
            self.lanes[lane].queue.set_next_command(batch.end());
            self.progress.epoch().group_of(lane).executed();
        }
    }

    /// Publishes how far execution is, before anybody is notified of an outcome: a caller that knows of
    /// position g may read at least g.
    pub fn publish(&self, applied: GlobalPosition, work: &mut Work<S::Reply>) {
        let (commands, duplicates) = (take(&mut work.commands), take(&mut work.duplicates));
        let (noops, gaps) = (take(&mut work.noops), take(&mut work.gaps));
        self.progress.applied.store(applied.get(), SeqCst);
        self.executed.commands.fetch_add(commands, SeqCst);
        self.executed.duplicates.fetch_add(duplicates, SeqCst);
        self.executed.noops.fetch_add(noops, SeqCst);
        work.digests.publish(&mut self.executed.digests.lock());
        self.metrics.applied.set(applied.get() as i64);
        self.metrics.commands.inc_by(commands);
        self.metrics.duplicates.inc_by(duplicates);
        self.metrics.gaps.inc_by(gaps);
        self.metrics.noops.inc_by(noops);
        self.metrics.attached_reads.inc_by(take(&mut work.attached_reads));
    }
}
