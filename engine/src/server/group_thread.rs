//! A thread that drives groups: receives from their sockets, runs their replicas, and sends. Bound to a core
//! if so configured.

use std::time::Instant;

use niagara_net::{Event, Transport};

use super::driven_group::DrivenGroup;
use super::log_thread::LogThread;
use super::ticks::Ticks;

/// Everything that one group thread owns.
pub(crate) struct GroupThread {
    pub ticks: Ticks,
    pub core: Option<core_affinity::CoreId>,
    pub transport: Box<dyn Transport>,
    pub groups: Vec<DrivenGroup>,
    /// Makes the groups' logs durable, if that takes syncs.
    pub logs: Option<LogThread>,
}

impl GroupThread {
    /// Runs until all its groups have been told to stop. Then their logs are complete and synced.
    pub fn run(mut self) {
        if let Some(core) = self.core
            && !core_affinity::set_for_current(core)
        {
            tracing::warn!(core = core.id, "cannot bind the groups' thread to its core");
        }
        let mut events = Vec::new();
        // The first turn publishes what the logs hold, where the merge begins.
        self.drive();
        while !self.groups.is_empty() {
            self.turn(&mut events);
        }
        if let Some(logs) = self.logs {
            logs.join();
        }
    }

    /// Runs one round of the loop: one wait for all groups, a turn for each that has work, and one flush.
    fn turn(&mut self, events: &mut Vec<(u32, Event)>) {
        let now = Instant::now();
        let (groups, ticks) = (&self.groups, &self.ticks);
        let mut may_sleep = || groups.iter().all(|group| group.replica.may_sleep()) && ticks.may_sleep();
        let waited = self.transport.turn(now, ticks.sleep_at_most(now), &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        for (channel, event) in events.drain(..) {
            // A group that has just left may have had events.
            if let Some(group) = self.groups.iter_mut().find(|group| group.channel() == channel) {
                group.handle(event);
            }
        }
        let tick = self.ticks.take_due(Instant::now()).is_some();
        for group in &mut self.groups {
            group.prepare(&*self.transport, tick);
        }
        self.drive();
        self.release_stopped();
    }

    /// Runs one turn of the driver of each group that has work, and carries out its output.
    fn drive(&mut self) {
        for group in self.groups.iter_mut().filter(|group| group.is_due()) {
            group.drive(&mut *self.transport);
        }
        self.transport.flush();
        // Only now: a leader's messages leave before its own write.
        let now = Instant::now();
        for group in self.groups.iter_mut().filter(|group| group.is_due()) {
            group.end_turn(now);
        }
    }

    /// Lets go of the groups that have been told to stop.
    fn release_stopped(&mut self) {
        for group in self.groups.extract_if(.., |group| group.is_stopped()) {
            self.transport.close(group.channel());
            group.finish();
        }
    }
}
