//! The thread that makes one group's log durable, so that a sync does not hold up the group's messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use niagara_group::Write;
use niagara_log::thread::spawn;
use niagara_log::{HardState, LogEntry, LogError, LogWriter};

use crate::metrics::GroupMetrics;
use crate::progress::{Mail, Room, SharedProgress};

/// Writes for the thread. The channel needs no bound of its own: the driver accepts no more entries than may
/// wait for the disk.
pub(crate) struct LogThread {
    writes: Option<Sender<Vec<Write>>>,
    thread: Option<JoinHandle<bool>>,
}

impl LogThread {
    /// Starts the thread, which reports what is durable to the group's mailbox.
    pub fn start(
        group: usize,
        writer: LogWriter,
        progress: Arc<SharedProgress>,
        metrics: GroupMetrics,
    ) -> std::io::Result<LogThread> {
        let (writes, queue) = channel();
        let thread =
            spawn(format!("log-{}", group + 1), move || run(group, writer, &queue, &progress, &metrics))?;
        Ok(LogThread { writes: Some(writes), thread: Some(thread) })
    }

    /// Hands over writes, in order.
    pub fn write(&self, writes: Vec<Write>) {
        let sender = self.writes.as_ref().expect("not stopped");
        assert!(
            sender.send(writes).is_ok(),
            "the log's thread ends only with its queue, or with the process"
        );
    }

    /// Ends the thread when everything handed over is durable; `false` if there was no room for some of it.
    pub fn stop(&mut self) -> bool {
        self.writes = None;
        let Some(thread) = self.thread.take() else { return true };
        thread.join().expect("a panic in the log's thread ends the process")
    }
}

/// Time between retries of a write without room.
const RETRY: Duration = Duration::from_millis(200);

/// Writes whatever has queued up as one batch with one sync, until the senders are gone. Returns whether
/// everything was written.
fn run(
    group: usize,
    mut writer: LogWriter,
    queue: &Receiver<Vec<Write>>,
    progress: &SharedProgress,
    metrics: &GroupMetrics,
) -> bool {
    let mut pending = Pending::default();
    loop {
        let more =
            if pending.is_empty() { queue.recv().map_err(Into::into) } else { queue.recv_timeout(RETRY) };
        match more {
            Ok(writes) => pending.add(writes),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody was told that the rest is durable.
            Err(RecvTimeoutError::Disconnected) => return pending.is_empty(),
        }
        while let Ok(writes) = queue.try_recv() {
            pending.add(writes);
        }
        match pending.write(&mut writer, &progress.room, metrics) {
            Ok(Some(ready)) => progress.groups[group].send(Mail::Persisted(ready)),
            Ok(None) => {}
            Err(error) => panic!("cannot write the log, so this server must not continue: {error}"),
        }
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
        if std::mem::take(&mut self.waits_for_room) {
            tracing::info!("a log that waited for room on the disk has been written");
            room.log_goes_on();
        }
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
            Some(Write::Ready { reset, .. }) => {
                if let Some(floor) = *reset {
                    writer.reset(floor)?;
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
