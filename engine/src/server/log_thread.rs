//! The thread that makes one group's log durable, so that a sync does not hold up the group's messages.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::board::{Board, Mail};
use super::thread::spawn;
use crate::group::Write;
use crate::log::{LogEntry, LogError, LogWriter};
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

/// Makes writes durable, and returns the last one's Ready.
///
/// # Errors
/// When the log cannot be written. The server must end then, and not try again: after a failed sync nobody knows what the
/// disk holds.
pub(crate) fn write_all(
    writer: &mut LogWriter,
    writes: Vec<Write>,
    metrics: &GroupMetrics,
) -> Result<Option<u64>, LogError> {
    let Some(last) = writes.last() else { return Ok(None) };
    let (ready, hard_state) = (last.ready, last.hard_state);
    let entries: Vec<LogEntry> = writes.into_iter().flat_map(|write| write.entries).collect();
    metrics
        .wal_bytes
        .inc_by(entries.iter().map(|entry| (entry.context.len() + entry.data.len()) as u64).sum());
    let begun = Instant::now();
    writer.write(&entries, Some(hard_state))?;
    metrics.fsync_duration.observe(begun.elapsed().as_secs_f64());
    Ok(Some(ready))
}
