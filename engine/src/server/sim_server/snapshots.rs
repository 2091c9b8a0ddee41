//! The thread of snapshots, and followers, of a server that is driven by hand.

use std::sync::Arc;
use std::time::Duration;

use niagara_net::{Event, Frame};

use super::SimServer;
use crate::snapshot::Header;
use crate::state_machine::StateMachine;

impl<S: StateMachine> SimServer<S> {
    /// Handles an event on the links of the snapshot channel.
    pub fn handle_transfer(&mut self, event: Event) {
        self.manager.handle(self.clock.now(), event);
    }

    /// Runs a round of the snapshots' thread, and returns what it sends.
    pub fn keep_snapshots(&mut self) -> Vec<(u64, Frame)> {
        let sent = self.manager.step(self.clock.now());
        let sent = sent.into_iter().map(|(to, message)| (to, message.encode()));
        let (for_followers, sent) = sent.partition(|(to, _)| self.followers.supplier.has(*to));
        self.for_followers.extend::<Vec<_>>(for_followers);
        sent
    }

    /// Handles an event on the channel of followers. `false`: the sender is to be disconnected.
    pub fn handle_follower(&mut self, event: Event) -> bool {
        self.followers.handle(self.clock.now(), event, &mut self.manager)
    }

    /// What there is for followers now.
    pub fn supply(&mut self) -> Vec<(u64, Frame)> {
        let mut sent = std::mem::take(&mut self.for_followers);
        sent.extend(self.followers.step(self.clock.now(), &self.manager));
        sent
    }

    /// In what time there is something for followers, unless something happens before.
    pub fn supply_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.followers.supplier.due(now).map(|due| due.saturating_duration_since(now))
    }

    /// Whether that thread would run another round rather than sleep. What is for followers does not count.
    pub fn wants_keeping(&self) -> bool {
        let now = self.clock.now();
        self.manager.is_due(now) || self.opener.next_due().is_some_and(|due| due <= now)
    }

    /// The longest time that it would sleep; `None` if only a wake-up ends its sleep.
    pub fn keeping_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        let due = [self.manager.next_due(now), self.opener.next_due()].into_iter().flatten().min();
        due.map(|due| due.saturating_duration_since(now))
    }

    /// Durable snapshots, oldest first.
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = &Arc<Header>> + ExactSizeIterator + Clone {
        self.manager.store().kept().iter().map(|kept| &kept.header)
    }

    /// The file of the newest snapshot; `None` if there is none, or part of its content is in other files.
    pub fn newest_snapshot(&self) -> Option<(Arc<Header>, Vec<u8>)> {
        let kept = self.manager.store().newest().filter(|kept| !kept.header.own_files)?;
        Some((Arc::clone(&kept.header), self.manager.read_file(&kept.path).ok()?))
    }

    /// Number of snapshots that were found damaged at the start.
    pub fn damaged_snapshots(&self) -> usize {
        self.manager.store().damaged().len()
    }
}
