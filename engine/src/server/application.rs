//! Execution of the global log, and completion of what this server's callers wait for. The application's thread does
//! nothing else.

use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crossbeam_channel::Receiver;
use niagara_sequencer::{Emitted, GlobalPosition};
use parking_lot::Mutex;

use super::board::Board;
use super::sequencer::Stretch;
use crate::apply::{Digests, Ledger, Verdict};
use crate::batch::{SubBatch, decode_commands};
use crate::lane::{Deliveries, Lane};
use crate::log::LogEntry;
use crate::metrics::Metrics;
use crate::read_gate::ReadGate;
use crate::state_machine::{Commands, StateMachine};

/// What has been executed, for the status.
#[derive(Default)]
pub(crate) struct Executed {
    pub commands: AtomicU64,
    pub duplicates: AtomicU64,
    pub noops: AtomicU64,
    pub digests: Mutex<Digests>,
}

/// Executes the global log, stretch by stretch.
pub(crate) struct Application<S: StateMachine> {
    pub executor: Executor<S>,
    pub reads: Arc<ReadGate>,
    pub work: Work<S::Reply>,
}

/// The state machine with all that decides what it executes, and all who are told.
pub(crate) struct Executor<S: StateMachine> {
    pub state: S,
    pub server: u64,
    pub incarnation: u64,
    pub ledger: Ledger,
    pub lanes: Arc<Vec<Lane<S::Reply>>>,
    pub board: Arc<Board>,
    pub executed: Arc<Executed>,
    pub metrics: Arc<Metrics>,
}

/// What one stretch leaves behind, published and delivered at its end.
pub(crate) struct Work<R> {
    replies: Vec<R>,
    deliveries: Deliveries<R>,
    digests: Digests,
    commands: u64,
    duplicates: u64,
    gaps: u64,
    noops: u64,
}

impl<R> Default for Work<R> {
    fn default() -> Self {
        Work {
            replies: Vec::new(),
            deliveries: Deliveries::default(),
            digests: Digests::default(),
            commands: 0,
            duplicates: 0,
            gaps: 0,
            noops: 0,
        }
    }
}

impl<S: StateMachine> Application<S> {
    /// The thread's life, until the sequencer's has ended.
    pub fn run(mut self, input: &Receiver<Stretch>) {
        while let Ok(stretch) = input.recv() {
            self.execute(stretch);
        }
    }

    /// Executes a stretch of the global log, publishes how far that is, and tells who waits for it.
    pub fn execute(&mut self, stretch: Stretch) {
        let Application { executor, reads, work } = self;
        let mut applied = GlobalPosition::ZERO;
        for emitted in stretch {
            applied = match emitted {
                Emitted::Noops { first, count } => {
                    work.noops += count;
                    work.digests.noops(first, count);
                    GlobalPosition::new(first.get() + count - 1)
                }
                Emitted::Commands { position, item } => {
                    executor.execute(position, &item, work);
                    position
                }
            };
        }
        executor.publish(applied, work);
        work.deliveries.deliver();
        reads.applied(applied);
    }
}

impl<S: StateMachine> Executor<S> {
    /// Executes one entry's commands, and folds what was decided about them into the digest.
    fn execute(&mut self, position: GlobalPosition, entry: &LogEntry, work: &mut Work<S::Reply>) {
        let batches = decode_commands(&entry.context, &entry.data).unwrap_or_else(|error| {
            panic!("global_prefix: the entry at position {position} is damaged: {error}")
        });
        let mut content =
            u64::from(crc32fast::hash(&entry.data)) << 32 | u64::from(crc32fast::hash(&entry.context));
        for batch in &batches {
            let mine = batch.span.server == self.server && batch.span.incarnation == self.incarnation;
            let lane = usize::from(batch.span.lane);
            match self.ledger.admit(&batch.span) {
                Verdict::Execute { skip } => {
                    let executed = batch.span.count - skip;
                    self.state.apply(position, Commands::new(batch, skip), &mut work.replies);
                    assert_eq!(
                        work.replies.len(),
                        executed as usize,
                        "the state machine answers each command once"
                    );
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
                        self.board.groups[lane].wake();
                    }
                }
                Verdict::Stale => {}
            }
        }
        work.digests.commands(position, content);
    }

    /// This server's own commands: their callers wait here.
    fn complete(&self, batch: &SubBatch, skip: u32, position: GlobalPosition, work: &mut Work<S::Reply>) {
        let lane = usize::from(batch.span.lane);
        let first = batch.span.first + u64::from(skip);
        self.lanes[lane].applied(first, position, work.replies.drain(..), &mut work.deliveries);
        self.lanes[lane].queue.set_next_command(batch.end());
        self.board.groups[lane].wake_if_held();
    }

    /// Says how far execution is, before anybody is told about an outcome: who hears of position g may read at least g.
    fn publish(&self, applied: GlobalPosition, work: &mut Work<S::Reply>) {
        let (commands, duplicates) = (take(&mut work.commands), take(&mut work.duplicates));
        let (noops, gaps) = (take(&mut work.noops), take(&mut work.gaps));
        self.board.applied.store(applied.get(), SeqCst);
        self.executed.commands.fetch_add(commands, SeqCst);
        self.executed.duplicates.fetch_add(duplicates, SeqCst);
        self.executed.noops.fetch_add(noops, SeqCst);
        self.executed.digests.lock().clone_from(&work.digests);
        self.metrics.applied.set(applied.get() as i64);
        self.metrics.commands.inc_by(commands);
        self.metrics.duplicates.inc_by(duplicates);
        self.metrics.gaps.inc_by(gaps);
        self.metrics.noops.inc_by(noops);
    }
}
