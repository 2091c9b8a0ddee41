//! A reader pulls while a writer writes, as the sequencer's thread and the log-writer's do.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::*;

const LAST: u64 = 6000;

fn expected(index: u64) -> LogEntry {
    entry(index, 1 + index / 100, (index % 97) as usize)
}

/// Appends on one thread, writes on another, as with `fsync`, and sometimes compacts to the given index.
fn append_and_write(store: &LogStore, writer: &mut LogWriter, compact: &AtomicU64) {
    let (jobs, todo) = std::sync::mpsc::sync_channel::<Vec<LogEntry>>(4);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut next = 1;
            while next <= LAST {
                let until = (next + next % 13).min(LAST);
                let batch: Vec<LogEntry> = (next..=until).map(expected).collect();
                store.append(&batch);
                jobs.send(batch).unwrap();
                next = until + 1;
            }
        });
        for batch in todo {
            writer.write(&batch, None).unwrap();
            let compact = compact.load(Ordering::Acquire);
            if compact > store.floor().index + 50 {
                writer.compact(store.compact_to(compact)).unwrap();
            }
        }
    });
}

/// Notifies readers that the writer has ended, also after a failed assertion.
pub(super) struct Ended<'a>(pub(super) &'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The last entry that is surely written: only later ones are in memory alone.
fn last_written(store: &LogStore) -> u64 {
    store.lock().first_cached() - 1
}

#[test]
fn a_reader_sees_every_entry_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let (read, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (reading, read, ended) = (store.clone(), &read, &ended);
        scope.spawn(move || {
            let (mut next, mut out) = (1, Vec::new());
            while next <= LAST {
                let no_more = ended.load(Ordering::Acquire);
                let last = reading.last_index();
                if last < next {
                    assert!(!no_more, "the writer ended with {last}");
                    thread::yield_now();
                    continue;
                }
                out.clear();
                reading.read(next, last, 2000, &mut out).unwrap();
                for entry in &out {
                    assert_eq!(*entry, expected(next));
                    next += 1;
                }
                reading.release(next - 1);
                read.store((next - 1).min(last_written(&reading)), Ordering::Release);
            }
        });
        let _ended = Ended(ended);
        append_and_write(&store, &mut writer, read);
    });
    drop((store, writer));
    let (store, _writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let kept: Vec<LogEntry> = (store.first_index()..=LAST).map(expected).collect();
    assert_eq!(all(&store), kept);
}

/// A second reader rereads the oldest entries, right where files are being recycled.
#[test]
fn a_reader_at_the_floor_gets_the_right_entry_or_is_told_that_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let (floor, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut reads = 0;
    thread::scope(|scope| {
        let (reading, floor, ended, reads) = (store.clone(), &floor, &ended, &mut reads);
        scope.spawn(move || {
            let mut out = Vec::new();
            while !ended.load(Ordering::Acquire) {
                floor.store(last_written(&reading).saturating_sub(20), Ordering::Release);
                let low = reading.first_index();
                let high = (low + 5).min(reading.last_index());
                out.clear();
                match reading.read(low, high, usize::MAX, &mut out) {
                    Ok(()) => *reads += out.len(),
                    Err(LogError::Unavailable { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
                for (index, entry) in (low..).zip(&out) {
                    assert_eq!(*entry, expected(index));
                }
            }
        });
        let _ended = Ended(ended);
        append_and_write(&store, &mut writer, floor);
    });
    assert!(reads > 0 && store.floor().index > 0, "{reads} entries read, compacted to {:?}", store.floor());
}
