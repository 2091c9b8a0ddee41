//! A thread that drives groups: receives from their sockets, runs their replicas, and sends. Bound to a core
//! if so configured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use crossbeam_channel::Receiver;
use niagara_net::{Admission, Event, LinkConfig, Transport};

use super::driven_group::DrivenGroup;
use super::log_thread::LogThread;
use super::ticks::Ticks;

/// Everything that one group thread owns.
pub(crate) struct GroupThread {
    pub ticks: Ticks,
    pub core: Option<core_affinity::CoreId>,
    pub transport: Box<dyn Transport>,
    pub groups: Vec<DrivenGroup>,
    /// Make the groups' logs durable, if that takes syncs: one for each epoch.
    pub logs: Vec<LogThread>,
    /// Groups that join.
    pub joining: Receiver<Joining>,
    /// Whether the server stops: then the thread ends with its last group.
    pub stop: Arc<AtomicBool>,
}

/// Groups of another epoch that join a running thread.
pub(crate) struct Joining {
    pub groups: Vec<(DrivenGroup, LinkConfig)>,
    pub admission: Arc<dyn Admission>,
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
        while !(self.groups.is_empty() && self.stop.load(SeqCst)) {
            self.turn(&mut events);
        }
        drop(self.groups);
        self.logs.into_iter().for_each(LogThread::join);
    }

    /// Runs one round of the loop: one wait for all groups, a turn for each that has work, and one flush.
    fn turn(&mut self, events: &mut Vec<(u32, Event)>) {
        let now = Instant::now();
        let (groups, ticks, joining) = (&self.groups, &self.ticks, &self.joining);
        let is_ending = || groups.is_empty() && self.stop.load(SeqCst);
        let mut may_sleep = || {
            groups.iter().all(|group| group.replica.may_sleep())
                && ticks.may_sleep()
                && joining.is_empty()
                && !is_ending()
        };
        let waited = self.transport.turn(now, ticks.sleep_at_most(now), &mut may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        for (channel, event) in events.drain(..) {
            // A group that has just left may have had events.
            if let Some(group) = self.groups.iter_mut().find(|group| group.channel() == channel) {
                group.handle(event);
            }
        }
        self.let_groups_join();
        let tick = self.ticks.take_due(Instant::now()).is_some();
        for group in &mut self.groups {
            group.prepare(&*self.transport, tick);
        }
        self.drive();
        self.release_stopped();
    }

    /// Takes over groups of another epoch.
    fn let_groups_join(&mut self) {
        while let Ok(Joining { groups, admission, logs }) = self.joining.try_recv() {
            for (group, link) in groups {
                let opened = self.transport.open(link, None, Arc::clone(&admission));
                opened.unwrap_or_else(|error| panic!("cannot open a channel of another epoch: {error}"));
                self.groups.push(group);
            }
            self.logs.extend(logs);
        }
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
