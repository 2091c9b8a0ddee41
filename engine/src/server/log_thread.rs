//! The thread that makes the logs of a group thread's groups durable, so that a sync does not hold up their
//! messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use niagara_group::Write;
use niagara_log::thread::spawn;
use niagara_log::{HardState, Held, LogEntry, LogError, LogWriter};

use crate::metrics::GroupMetrics;
use crate::progress::{EpochProgress, Mail, Room, SharedProgress};

/// The thread, which ends with its last handle.
pub(crate) struct LogThread(JoinHandle<()>);

/// What one group's thread hands its writes to. The channel needs no bound of its own: the drivers accept no
/// more entries than may wait for the disk.
pub(crate) struct LogHandle {
    log: usize,
    orders: Sender<Order>,
}

/// What the thread is to do, for the log with this index among its logs. A group's number does not name a log: a server that
/// starts amid a change of epochs has two of each.
enum Order {
    Write(usize, Vec<Write>),
    Finish(usize, Held),
}

/// One group's log.
pub(crate) struct GroupLog {
    group: usize,
    epoch: Arc<EpochProgress>,
    writer: LogWriter,
    metrics: GroupMetrics,
    pending: Pending,
    /// What it holds when everything is written, if nothing more follows.
    last: Option<Held>,
}

impl LogThread {
    /// Starts the thread, which reports what is durable to the groups' mailboxes. Returns a handle for each
    /// log, too.
    pub fn start(
        name: String,
        logs: Vec<GroupLog>,
        progress: Arc<SharedProgress>,
    ) -> std::io::Result<(LogThread, Vec<LogHandle>)> {
        let (orders, queue) = channel();
        let handles = (0..logs.len()).map(|log| LogHandle { log, orders: orders.clone() }).collect();
        let logs = logs.into_iter().map(Some).collect();
        let thread = spawn(name, move || run(logs, &queue, &progress))?;
        Ok((LogThread(thread), handles))
    }

    /// Waits until the thread has made everything durable that was handed over, as far as there is room. All
    /// handles must be gone.
    pub fn join(self) {
        self.0.join().expect("a panic in the log's thread ends the process");
    }
}

impl LogHandle {
    /// Hands over writes, in order.
    pub fn write(&self, writes: Vec<Write>) {
        self.order(Order::Write(self.log, writes));
    }

    /// Completes the log, which then holds this, and records so unless there is no room for some of it.
    pub fn finish(self, held: Held) {
        self.order(Order::Finish(self.log, held));
    }

    fn order(&self, order: Order) {
        assert!(
            self.orders.send(order).is_ok(),
            "the log's thread ends only with its queue, or with the process"
        );
    }
}

/// Time between retries of a write without room.
const RETRY: Duration = Duration::from_millis(200);

/// Writes whatever has queued up as one batch for each log, with one sync, until the senders are gone.
fn run(mut logs: Vec<Option<GroupLog>>, queue: &Receiver<Order>, progress: &SharedProgress) {
    loop {
        let waits = logs.iter().flatten().any(|log| !log.pending.is_empty());
        let more = if waits { queue.recv_timeout(RETRY) } else { queue.recv().map_err(Into::into) };
        match more {
            Ok(order) => take(&mut logs, order),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody was told that the rest is durable.
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Ok(order) = queue.try_recv() {
            take(&mut logs, order);
        }
        logs.iter_mut().flatten().for_each(|log| log.write(progress));
        // What is complete needs its writer no more.
        for log in &mut logs {
            log.take_if(|log| log.is_complete());
        }
    }
}

fn take(logs: &mut [Option<GroupLog>], order: Order) {
    let (log, writes, last) = match order {
        Order::Write(log, writes) => (log, writes, None),
        Order::Finish(log, held) => {
            let Held { hard_state, .. } = held;
            let write = Write::Ready { ready: 0, reset: None, entries: Vec::new(), hard_state };
            (log, vec![write], Some(held))
        }
    };
    let log = logs[log].as_mut().expect("a log is written until it is finished");
    log.pending.add(writes);
    log.last = last;
}

impl GroupLog {
    pub fn new(
        group: usize,
        epoch: Arc<EpochProgress>,
        writer: LogWriter,
        metrics: GroupMetrics,
    ) -> GroupLog {
        GroupLog { group, epoch, writer, metrics, pending: Pending::default(), last: None }
    }

    /// Writes and syncs what is pending, and tells the group's thread.
    fn write(&mut self, progress: &SharedProgress) {
        let group = &self.epoch.groups[self.group];
        if self.last.is_some() && self.epoch.is_closed() {
            self.pending.give_up(&progress.room);
        }
        match self.pending.write(&mut self.writer, &progress.room, &self.metrics) {
            Ok(Some(ready)) => group.send(Mail::Persisted(ready)),
            Ok(None) => {}
            Err(error) => panic!("cannot write the log, so this server must not continue: {error}"),
        }
        if let Some(held) = self.last.filter(|_| self.is_complete()) {
            progress.is_left(&self.epoch, self.group, held);
        }
    }

    fn is_complete(&self) -> bool {
        self.last.is_some() && self.pending.is_empty()
    }
}

/// Writes to be made: all of them, or those that there was no room for.
#[derive(Default)]
pub(crate) struct Pending {
    writes: VecDeque<Write>,
    waits_for_room: bool,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Queues writes behind the others.
    pub fn add(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.writes.extend(writes);
    }

    /// Forgets the writes of a log that nobody needs any more. What waits for room would never get any: it may be such logs
    /// that fill the disk.
    pub fn give_up(&mut self, room: &Room) {
        self.writes.clear();
        self.goes_on(room);
    }

    fn goes_on(&mut self, room: &Room) {
        if std::mem::take(&mut self.waits_for_room) {
            room.log_goes_on();
        }
    }

    /// Makes everything durable, in as few batches as resets and compactions allow, and returns the last
    /// durable Ready. Writes without room stay, to be retried.
    ///
    /// # Errors
    /// If the log cannot be written. The server must end then, and not retry: after a failed sync nobody
    /// knows what the disk holds.
    pub fn write(
        &mut self,
        writer: &mut LogWriter,
        room: &Room,
        metrics: &GroupMetrics,
    ) -> Result<Option<u64>, LogError> {
        let mut written = None;
        while !self.is_empty() {
            match self.write_batch(writer, metrics) {
                Ok(ready) => written = ready.or(written),
                Err(error @ LogError::NoRoom { .. }) => {
                    if !std::mem::replace(&mut self.waits_for_room, true) {
                        tracing::error!(%error, "a log waits for room on the disk; the write is retried until there is");
                        room.log_waits();
                    }
                    return Ok(written);
                }
                Err(error) => return Err(error),
            }
        }
        if self.waits_for_room {
            tracing::info!("a log that waited for room on the disk has been written");
        }
        self.goes_on(room);
        Ok(written)
    }

    /// Writes the longest prefix that one write and one sync can make durable. Returns the last Ready in it.
    fn write_batch(
        &mut self,
        writer: &mut LogWriter,
        metrics: &GroupMetrics,
    ) -> Result<Option<u64>, LogError> {
        match self.writes.front_mut() {
            None => return Ok(None),
            Some(Write::Compact(floor)) => {
                writer.compact(*floor)?;
                self.writes.pop_front();
                return Ok(None);
            }
            Some(Write::Ready { reset, hard_state, .. }) => {
                if let Some(floor) = *reset {
                    writer.reset(floor, Some(*hard_state))?;
                    *reset = None;
                }
            }
        }
        let Some(batch) = Batch::begin(&mut self.writes) else { return Ok(None) };
        if let Err(error) = batch.write(writer, metrics) {
            self.writes.push_front(batch.into_write());
            return Err(error);
        }
        Ok(Some(batch.ready))
    }
}

/// What one write and one sync make durable.
struct Batch {
    ready: u64,
    entries: Vec<LogEntry>,
    hard_state: HardState,
}

impl Batch {
    /// Takes the Readys at the front, up to a reset or a compaction.
    fn begin(writes: &mut VecDeque<Write>) -> Option<Batch> {
        let joins = |write: &mut Write| matches!(write, Write::Ready { reset: None, .. });
        let mut batch: Option<Batch> = None;
        while let Some(Write::Ready { ready, entries, hard_state, .. }) = writes.pop_front_if(joins) {
            match &mut batch {
                None => batch = Some(Batch { ready, entries, hard_state }),
                Some(batch) => {
                    batch.entries.extend(entries);
                    (batch.ready, batch.hard_state) = (ready, hard_state);
                }
            }
        }
        batch
    }

    fn write(&self, writer: &mut LogWriter, metrics: &GroupMetrics) -> Result<(), LogError> {
        let begun = Instant::now();
        writer.write(&self.entries, Some(self.hard_state))?;
        let bytes = self.entries.iter().map(|entry| (entry.context.len() + entry.data.len()) as u64);
        metrics.wal_bytes.inc_by(bytes.sum());
        metrics.fsync_duration.observe(begun.elapsed().as_secs_f64());
        Ok(())
    }

    fn into_write(self) -> Write {
        let Batch { ready, entries, hard_state } = self;
        Write::Ready { ready, reset: None, entries, hard_state }
    }
}

#[cfg(test)]
mod tests;
