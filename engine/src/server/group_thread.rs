//! A group's thread: receives from its sockets, drives the replica, and sends. Bound to a core if so
//! configured.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use niagara_group::Write;
use niagara_log::{HardState, Held, LogError, LogWriter};
use niagara_net::{Event, Transport};

use super::log_thread::{LogThread, Pending};
use super::replica::Replica;
use super::ticks::Ticks;
use crate::planted::{self, Bug};

/// Everything that one group's thread owns.
pub(crate) struct GroupThread {
    pub replica: Replica,
    pub ticks: Ticks,
    pub core: Option<core_affinity::CoreId>,
    pub transport: Transport,
    /// Ids of the other servers.
    pub peers: Vec<u64>,
    pub disk: Disk,
}

/// How the log is written. A sync takes long enough to deserve a thread; a plain write does not.
pub(crate) enum Disk {
    Thread(LogThread),
    Inline(Box<LogWriter>, Pending),
}

impl GroupThread {
    /// Runs until the thread is told to stop. Then the log is complete and synced.
    pub fn run(mut self) {
        if let Some(core) = self.core
            && !core_affinity::set_for_current(core)
        {
            let group = self.replica.group + 1;
            tracing::warn!(group, core = core.id, "cannot bind the group's thread to its core");
        }
        let mut events = Vec::new();
        // The first turn publishes what the log holds, where the merge begins.
        self.drive();
        while !self.turn(&mut events) {}
        self.finish();
    }

    /// Runs one round of the loop; `true` if it was the last.
    fn turn(&mut self, events: &mut Vec<Event>) -> bool {
        let now = Instant::now();
        let (replica, ticks) = (&self.replica, &self.ticks);
        let may_sleep = || replica.may_sleep() && ticks.may_sleep();
        let waited = self.transport.turn(now, ticks.sleep_at_most(now), may_sleep, events);
        waited.unwrap_or_else(|error| panic!("cannot wait for sockets: {error}"));
        events.drain(..).for_each(|event| self.replica.handle(event));
        let stop = self.replica.read_mail();
        self.replica.look();
        if self.ticks.take_due(Instant::now()).is_some() {
            self.replica.tick();
            self.count_traffic();
        }
        self.drive();
        stop
    }

    /// Runs one turn of the driver, and carries out its output.
    fn drive(&mut self) {
        for peer in &self.peers {
            self.replica.driver.queue_holds(*peer, self.transport.queued_bytes(*peer));
        }
        self.replica.turn();
        let writes = std::mem::take(&mut self.replica.output.writes);
        let synced_later = self.persist(writes);
        self.send();
        self.transport.flush();
        if let (Disk::Thread(disk), false) = (&self.disk, synced_later.is_empty()) {
            disk.write(synced_later);
        }
        self.replica.publish(Instant::now());
    }

    /// Without syncs, writes at once, so that acknowledgements leave in the same flush. With syncs, returns
    /// the writes, to be handed over when the messages have been sent.
    fn persist(&mut self, writes: Vec<Write>) -> Vec<Write> {
        let Disk::Inline(writer, pending) = &mut self.disk else { return writes };
        pending.add(writes);
        // A write without room is retried at each turn, and so at each tick.
        while let Some(ready) = pending
            .write(writer, &self.replica.progress.room, &self.replica.metrics)
            .unwrap_or_else(|error| panic!("cannot write the log, so this server must not continue: {error}"))
        {
            self.replica.driver.persisted(ready);
            self.replica.turn();
            pending.add(self.replica.output.writes.drain(..));
        }
        Vec::new()
    }

    fn send(&mut self) {
        for (to, wire) in self.replica.output.messages.drain(..) {
            // A broken link drops the message and counts it; Raft and the lanes resend.
            let _ = self.transport.send(to, wire.encode());
        }
    }

    fn count_traffic(&self) {
        let (counters, metrics) = (self.transport.counters(), &self.replica.metrics);
        metrics.sent_bytes.inner().store(counters.bytes_sent, SeqCst);
        metrics.received_bytes.inner().store(counters.bytes_received, SeqCst);
        let dropped =
            counters.dropped_queue_full + counters.dropped_not_connected + counters.dropped_too_long;
        metrics.dropped_frames.inner().store(dropped, SeqCst);
        metrics.bad_frames.inner().store(counters.bad_frames, SeqCst);
    }

    /// Completes the log, with the commit index to save the next start some work. Writes that the disk had no
    /// room for are missing, but nobody was told that they are durable.
    fn finish(self) {
        let hard_state = self.replica.driver.hard_state();
        let last = self.replica.driver.last_entry();
        let is_complete = match self.disk {
            Disk::Thread(mut disk) => {
                let last = Write::Ready { ready: 0, reset: None, entries: Vec::new(), hard_state };
                disk.write(vec![last]);
                disk.stop()
            }
            Disk::Inline(mut writer, pending) => {
                let done = complete(&mut writer, &pending, hard_state);
                done.unwrap_or_else(|error| panic!("cannot write the log: {error}"))
            }
        };
        if is_complete {
            self.replica.leaves(Held { segment: 0, last, hard_state });
        }
    }
}

/// Completes a log: everything acknowledged is in it and synced. `false` if something is missing for lack of
/// room.
pub(super) fn complete(
    writer: &mut LogWriter,
    pending: &Pending,
    hard_state: HardState,
) -> Result<bool, LogError> {
    if pending.is_empty() {
        match writer.write(&[], Some(hard_state)) {
            // There may be no room for a commit index, which can be learned again.
            Err(LogError::NoRoom { .. }) => {}
            done => done?,
        }
    }
    if !planted::is(Bug::StopNotSynced) {
        writer.sync()?;
    }
    Ok(pending.is_empty())
}
