//! The thread that makes one group's log durable, so that a sync does not hold up the group's messages.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::board::{Board, Mail};
use super::thread::spawn;
use crate::group::Write;
use crate::log::{HardState, LogEntry, LogError, LogWriter};
use crate::metrics::GroupMetrics;

/// Writes for the thread. The channel needs no bound of its own: pacing bounds what a leader has in flight, and a follower
/// takes no more than its leader sends ahead of acknowledgements.
pub(crate) struct LogThread {
    writes: Option<Sender<Vec<Write>>>,
    thread: Option<JoinHandle<()>>,
}

impl LogThread {
    /// Starts the thread; it reports what is durable to the group's mailbox.
    pub fn start(
        group: usize,
        writer: LogWriter,
        board: Arc<Board>,
        metrics: GroupMetrics,
    ) -> std::io::Result<LogThread> {
        let (writes, queue) = channel();
        let thread =
            spawn(format!("log-{}", group + 1), move || run(group, writer, &queue, &board, &metrics))?;
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

    /// Ends the thread when everything handed over is durable.
    pub fn stop(&mut self) {
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a panic in the log's thread ends the process");
        }
    }
}

/// Writes whatever has queued up as one batch with one sync.
fn run(
    group: usize,
    mut writer: LogWriter,
    queue: &Receiver<Vec<Write>>,
    board: &Board,
    metrics: &GroupMetrics,
) {
    while let Ok(mut writes) = queue.recv() {
        while let Ok(more) = queue.try_recv() {
            writes.extend(more);
        }
        match write_all(&mut writer, writes, metrics) {
            Ok(Some(ready)) => board.groups[group].send(Mail::Persisted(ready)),
            Ok(None) => {}
            Err(error) => panic!("the log cannot be written, so this server must not go on: {error}"),
        }
    }
}

/// Makes writes durable, in as few batches as resets and compactions allow, and returns the last Ready among them.
///
/// # Errors
/// When the log cannot be written. The server must end then, and not try again: after a failed sync nobody knows what the
/// disk holds.
pub(crate) fn write_all(
    writer: &mut LogWriter,
    writes: Vec<Write>,
    metrics: &GroupMetrics,
) -> Result<Option<u64>, LogError> {
    let mut written = None;
    let mut batch = Batch::default();
    for write in writes {
        match write {
            Write::Ready { ready, reset, entries, hard_state } => {
                if let Some(floor) = reset {
                    batch.write(writer, metrics)?;
                    writer.reset(floor)?;
                }
                batch.entries.extend(entries);
                batch.hard_state = Some(hard_state);
                written = Some(ready);
            }
            Write::Compact(floor) => {
                batch.write(writer, metrics)?;
                writer.compact(floor)?;
            }
        }
    }
    batch.write(writer, metrics)?;
    Ok(written)
}

/// What is written and synced at once.
#[derive(Default)]
struct Batch {
    entries: Vec<LogEntry>,
    hard_state: Option<HardState>,
}

impl Batch {
    /// Makes it durable, and empties it.
    fn write(&mut self, writer: &mut LogWriter, metrics: &GroupMetrics) -> Result<(), LogError> {
        let Batch { entries, hard_state } = std::mem::take(self);
        if hard_state.is_none() {
            return Ok(());
        }
        let bytes = entries.iter().map(|entry| (entry.context.len() + entry.data.len()) as u64);
        metrics.wal_bytes.inc_by(bytes.sum());
        let begun = Instant::now();
        writer.write(&entries, hard_state)?;
        metrics.fsync_duration.observe(begun.elapsed().as_secs_f64());
        Ok(())
    }
}
