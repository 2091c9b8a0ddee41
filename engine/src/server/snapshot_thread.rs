//! The snapshots' thread: receives from its sockets, steps the manager, and sends.

use std::sync::Arc;
use std::time::Instant;

use niagara_net::{Event, Frame, Transport};

use super::epoch_opener::EpochOpener;
use super::followers::{FEED_CHANNEL, Hosting};
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
    pub followers: Hosting,
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
        let due = [self.manager.next_due(now), self.opener.next_due(), self.followers.supplier.due(now)];
        let due = due.into_iter().flatten().min();
        let timeout = due.map(|due| due.saturating_duration_since(now));
        let manager = &self.manager;
        let mut may_sleep = || !manager.is_due(Instant::now());
        let waited = self.transport.turn(now, timeout, &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        let now = Instant::now();
        let is_of_member = |channel: u32| channel != FEED_CHANNEL;
        let is_change = |event: &Event| !matches!(event, Event::Frame { .. });
        let came_or_left = events.iter().any(|(channel, event)| is_of_member(*channel) && is_change(event));
        for (channel, event) in events.drain(..) {
            if !is_of_member(channel) {
                self.hear_follower(now, event);
            } else if let Some(event) = self.transfers.event(channel, event) {
                self.manager.handle(now, event);
            }
        }
        for (to, message) in self.manager.step(now) {
            self.send(to, message.encode());
        }
        for (to, message) in self.followers.step(now, &self.manager) {
            self.send(to, message);
        }
        for peer in self.manager.take_offenders() {
            if self.followers.supplier.has(peer) {
                self.transport.disconnect(FEED_CHANNEL, peer);
            } else {
                self.transfers.disconnect(&mut *self.transport, peer);
            }
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

    /// Sends to a follower, or to another member. What a broken link drops is requested again.
    fn send(&mut self, to: u64, frame: Frame) {
        if self.followers.supplier.has(to) {
            let _ = self.transport.send(FEED_CHANNEL, to, frame);
        } else {
            self.transfers.send(&mut *self.transport, to, frame);
        }
    }

    fn hear_follower(&mut self, now: Instant, event: Event) {
        let from = match &event {
            Event::Frame { from, .. } => Some(*from),
            _ => None,
        };
        let is_fine = self.followers.handle(now, event, &mut self.manager);
        if let Some(from) = from.filter(|_| !is_fine) {
            self.transport.disconnect(FEED_CHANNEL, from);
        }
    }

    fn open_epochs(&mut self) {
        let opened = self.opener.step(&self.manager.kept_cuts());
        let opened = opened.and_then(|opened| {
            let Some(opened) = opened else { return Ok(()) };
            self.transfers.follow(&mut *self.transport, &opened.chain)?;
            self.followers.add_logs(&opened.groups);
            self.groups.take_in(opened)?;
            self.sequencer.ring();
            Ok(())
        });
        opened.unwrap_or_else(|error| panic!("cannot go on with the next epoch: {error}"));
    }
}
