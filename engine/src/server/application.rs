//! Takes stretches of the global log from the sequencer, has them executed, and notifies those who wait. The
//! application's thread does nothing else.

use std::mem::take;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use niagara_log::LogEntry;
use niagara_sequencer::{Emitted, GlobalPosition};

use super::executor::{Executor, Work};
use super::stretch::{SnapshotPoint, Stretch, Then};
use crate::planted::{self, Bug};
use crate::progress::Bell;
use crate::read_gate::ReadGate;
use crate::snapshot::{Handover, Header};
use crate::state_machine::StateMachine;

/// Executes the global log, stretch by stretch.
pub(crate) struct Application<S: StateMachine> {
    pub executor: Executor<S>,
    pub reads: Arc<ReadGate>,
    pub work: Work<S::Reply>,
    /// Views of the state for snapshots, and received states.
    pub handover: Arc<Handover<S>>,
    /// Wakes the sequencer's thread.
    pub sequencer: Arc<Bell>,
}

impl<S: StateMachine> Application<S> {
    /// Runs until the sequencer's thread has ended.
    pub fn run(mut self, input: &Receiver<Stretch>) {
        while let Ok(stretch) = input.recv() {
            self.execute(stretch);
        }
    }

    /// Executes a stretch of the global log, publishes how far that is, and notifies those who wait for it.
    pub fn execute(&mut self, stretch: Stretch) {
        let Stretch { emitted, bytes, then } = stretch;
        if !emitted.is_empty() {
            self.execute_all(emitted);
        }
        match then {
            None => {}
            Some(Then::Freeze(point)) => self.freeze(point),
            Some(Then::EndEpoch(chain)) => self.executor.end_epoch(chain),
            Some(Then::Restore(header)) => self.restore(&header),
            Some(Then::Discard) => drop(self.take_restored()),
        }
        if self.executor.progress.bounds.executed(bytes) {
            self.sequencer.ring();
        }
    }

    fn execute_all(&mut self, stretch: Vec<Emitted<LogEntry>>) {
        let Application { executor, reads, work, sequencer, .. } = self;
        let mut applied = GlobalPosition::ZERO;
        let last = stretch.last().map_or(applied, last_position);
        work.recording = executor.feed.begin(last);
        if planted::is(Bug::AppliedBeforeExecuted)
            && let Some(Emitted::Commands { position, .. }) = stretch.last()
        {
            executor.publish(*position, work);
        }
        for emitted in stretch {
            applied = last_position(&emitted);
            match emitted {
                Emitted::Noops { first, count } => {
                    work.noops += count;
                    work.digests.noops(first, count);
                }
                Emitted::Commands { position, item } => executor.execute(position, &item, work),
            }
        }
        if take(&mut work.changed) {
            executor.state.persist(applied);
        }
        if planted::is(Bug::ToldBeforeApplied) {
            work.deliveries.deliver();
        }
        executor.publish(applied, work);
        if let Some(recording) = work.recording.take() {
            executor.feed.append(recording.end(applied));
        }
        work.deliveries.deliver();
        reads.applied(applied);
        if executor.end_replay(applied) {
            sequencer.ring();
        }
    }

    /// Hands out the state for a snapshot. Everybody waits for this, so it copies only a few numbers per
    /// server.
    fn freeze(&mut self, point: SnapshotPoint) {
        let begun = Instant::now();
        let header = self.executor.header(point, &self.work.digests);
        let frozen = self.executor.state.freeze();
        self.executor.metrics.freeze_duration.observe(begun.elapsed().as_secs_f64());
        self.handover.give_frozen(header, frozen);
        self.executor.progress.snapshots.wake();
    }

    fn take_restored(&self) -> S::Restoring {
        let state = self.handover.take_restored();
        // The next received state may be read.
        self.executor.progress.snapshots.wake();
        state.expect("restored_state: a received state is handed over before it is announced")
    }

    /// Replaces the state with a received one.
    fn restore(&mut self, header: &Header) {
        let state = self.take_restored();
        let Application { executor, reads, work, .. } = self;
        let state = (header.position() > executor.held).then_some(state);
        executor.restore(header, state, work);
        executor.feed.restored(header.position());
        work.deliveries.deliver();
        reads.applied(header.position());
    }
}

/// The last position that this covers.
fn last_position<T>(emitted: &Emitted<T>) -> GlobalPosition {
    match emitted {
        Emitted::Noops { first, count } => GlobalPosition::new(first.get() + count - 1),
        Emitted::Commands { position, .. } => *position,
    }
}
