//! One group as its thread drives it: the replica, its channel, and where its writes go.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use niagara_group::Write;
use niagara_log::{HardState, Held, LogError, LogWriter};
use niagara_net::{Event, Transport};

use super::log_thread::{LogHandle, Pending};
use super::replica::Replica;
use crate::planted::{self, Bug};

/// A group on a thread that may drive others, too.
pub(crate) struct DrivenGroup {
    pub replica: Replica,
    peers: Vec<Queue>,
    disk: Disk,
    is_due: bool,
    is_stopped: bool,
}

/// How the log is written. A sync takes long enough to deserve a thread; a plain write does not.
pub(crate) enum Disk {
    /// By the log's thread. Writes wait until the turn's messages have left.
    Thread(LogHandle, Vec<Write>),
    /// By the group's thread.
    Inline(Box<LogWriter>, Pending),
}

/// What the transport has queued for another server, as the driver was last told.
struct Queue {
    server: u64,
    bytes: Option<usize>,
}

impl DrivenGroup {
    /// `peers` are the ids of the other servers.
    pub fn new(replica: Replica, peers: Vec<u64>, disk: Disk) -> DrivenGroup {
        let peers = peers.into_iter().map(|server| Queue { server, bytes: None }).collect();
        DrivenGroup { replica, peers, disk, is_due: true, is_stopped: false }
    }

    /// Number of the group's channel.
    pub fn channel(&self) -> u32 {
        self.replica.channel()
    }

    /// Whether this turn has work for it.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// Whether it has been told to stop.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Handles an event on the group's links.
    pub fn handle(&mut self, event: Event) {
        self.replica.handle(event);
        self.is_due = true;
    }

    /// Finds out whether there is work: an event, mail, a tick, a queue that has drained, or what other
    /// threads have published. A group without costs no turn of its driver.
    pub fn prepare(&mut self, transport: &dyn Transport, tick: bool) {
        let channel = self.channel();
        let drained = |peer: &Queue| transport.queued_bytes(channel, peer.server) != peer.bytes;
        self.is_due |= tick || !self.replica.may_sleep() || self.peers.iter().any(drained);
        if self.is_due {
            self.is_stopped |= self.replica.read_mail();
            self.replica.look();
        }
        if tick {
            self.replica.tick();
            self.count_traffic(transport);
        }
    }

    /// Runs one turn of the driver, and sends.
    pub fn drive(&mut self, transport: &mut dyn Transport) {
        let channel = self.channel();
        for Queue { server, bytes } in &mut self.peers {
            *bytes = transport.queued_bytes(channel, *server);
            self.replica.driver.queue_holds(*server, *bytes);
        }
        self.replica.turn();
        self.persist();
        for (to, frame) in self.replica.take_frames() {
            // A broken link drops the message and counts it; Raft and the lanes resend.
            let _ = transport.send(channel, to, frame);
        }
        for peer in self.replica.output.offenders.drain(..) {
            transport.disconnect(channel, peer);
        }
    }

    /// Without syncs, writes at once, so that acknowledgements leave in the same flush. With syncs, keeps the
    /// writes, to be handed over when the messages have been sent.
    fn persist(&mut self) {
        let writes = self.replica.output.writes.drain(..);
        let (writer, pending) = match &mut self.disk {
            Disk::Thread(_, waiting) => return waiting.extend(writes),
            Disk::Inline(writer, pending) => (writer, pending),
        };
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
    }

    /// Hands writes over to the log's thread, and publishes how far the group is.
    pub fn end_turn(&mut self, now: Instant) {
        if let Disk::Thread(log, waiting) = &mut self.disk
            && !waiting.is_empty()
        {
            log.write(std::mem::take(waiting));
        }
        self.replica.publish(now);
        self.is_due = false;
    }

    fn count_traffic(&self, transport: &dyn Transport) {
        let (counters, metrics) = (transport.counters(self.channel()), &self.replica.metrics);
        metrics.sent_bytes.inner().store(counters.bytes_sent, SeqCst);
        metrics.received_bytes.inner().store(counters.bytes_received, SeqCst);
        let dropped =
            counters.dropped_queue_full + counters.dropped_not_connected + counters.dropped_too_long;
        metrics.dropped_frames.inner().store(dropped, SeqCst);
        metrics.bad_frames.inner().store(counters.bad_frames, SeqCst);
    }

    /// Completes the log, with the commit index to save the next start some work. Writes that the disk had no
    /// room for are missing, but nobody was told that they are durable.
    pub fn finish(self) {
        let hard_state = self.replica.driver.hard_state();
        let held = Held { segment: 0, last: self.replica.driver.last_entry(), hard_state };
        match self.disk {
            Disk::Thread(log, _) => log.finish(held),
            Disk::Inline(mut writer, mut pending) => {
                if self.replica.epoch().is_closed() {
                    pending.give_up(&self.replica.progress.room);
                }
                let done = complete(&mut writer, &pending, hard_state);
                if done.unwrap_or_else(|error| panic!("cannot write the log: {error}")) {
                    self.replica.leaves(held);
                }
            }
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
