//! The snapshots' thread: receives from its sockets, steps the manager, and sends.

use std::sync::Arc;
use std::time::Instant;

use niagara_net::{Event, Transport};

use super::epoch_opener::EpochOpener;
use super::group_threads::GroupThreads;
use super::snapshot_manager::SnapshotManager;
use super::transfers::Transfers;
use crate::progress::{Bell, SharedProgress};
use crate::state_machine::StateMachine;

/// What the thread owns or shares.
pub(crate) struct SnapshotThread<S: StateMachine> {
    pub manager: SnapshotManager<S>,
    pub opener: EpochOpener<S>,
    /// Where the groups of later epochs go.
    pub groups: GroupThreads,
    /// Wakes the sequencer's thread.
    pub sequencer: Arc<Bell>,
    pub progress: Arc<SharedProgress>,
    pub transport: Box<dyn Transport>,
    pub transfers: Transfers,
}

impl<S: StateMachine> SnapshotThread<S> {
    /// Runs until the thread is told to stop. An unfinished snapshot is lost then, and nothing else.
    pub fn run(mut self) {
        let mut events = Vec::new();
        while !self.progress.snapshots.is_stopped() {
            self.turn(&mut events);
        }
    }

    fn turn(&mut self, events: &mut Vec<(u32, Event)>) {
        let now = Instant::now();
        let due = [self.manager.next_due(now), self.opener.next_due()].into_iter().flatten().min();
        let timeout = due.map(|due| due.saturating_duration_since(now));
        let manager = &self.manager;
        let mut may_sleep = || !manager.is_due(Instant::now());
        let waited = self.transport.turn(now, timeout, &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        let now = Instant::now();
        let came_or_left = events.iter().any(|(_, event)| !matches!(event, Event::Frame { .. }));
        for (channel, event) in events.drain(..) {
            if let Some(event) = self.transfers.event(channel, event) {
                self.manager.handle(now, event);
            }
        }
        for (to, message) in self.manager.step(now) {
            self.transfers.send(&mut *self.transport, to, message.encode());
        }
        for peer in self.manager.take_offenders() {
            self.transfers.disconnect(&mut *self.transport, peer);
        }
        self.transport.flush();
        for server in self.manager.take_departed() {
            self.transfers.knows(server);
            self.transfers.tidy(&mut *self.transport);
        }
        if came_or_left {
            self.transfers.tidy(&mut *self.transport);
        }
        self.open_epochs();
    }

    fn open_epochs(&mut self) {
        let opened = self.opener.step(&self.manager.kept_cuts());
        let opened = opened.and_then(|opened| {
            let Some(opened) = opened else { return Ok(()) };
            self.transfers.follow(&mut *self.transport, &opened.chain)?;
            self.groups.take_in(opened)?;
            self.sequencer.ring();
            Ok(())
        });
        opened.unwrap_or_else(|error| panic!("cannot go on with the next epoch: {error}"));
    }
}
