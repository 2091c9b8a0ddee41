//! A reader pulls while a writer writes, as the sequencer's thread does with the log-writer's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;

const LAST: u64 = 6000;

fn expected(index: u64) -> LogEntry {
    entry(index, 1 + index / 100, (index % 97) as usize)
}

/// Appends on one thread, writes on another, as with `fsync`.
fn append_and_write(store: &LogStore, writer: &mut LogWriter, compact: Option<&AtomicU64>) {
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
            let read = compact.map_or(0, |read| read.load(Ordering::Acquire));
            if read > store.floor().index + 50 {
                writer.compact(store.compact_to(read)).unwrap();
            }
        }
    });
}

#[test]
fn a_reader_sees_every_entry_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        let (reading, done) = (store.clone(), &done);
        scope.spawn(move || {
            let (mut next, mut out) = (1, Vec::new());
            while next <= LAST {
                let last = reading.last_index();
                if last < next {
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
                // Compaction stays a little behind, and still overtakes what is read again elsewhere.
                done.store((next - 1).min(store_written(&reading)), Ordering::Release);
            }
        });
        append_and_write(&store, &mut writer, Some(done));
    });
    drop((store, writer));
    let (store, _writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let kept: Vec<LogEntry> = (store.first_index()..=LAST).map(expected).collect();
    assert_eq!(all(&store), kept);
    assert!(store.bytes().segments < 100, "compaction has freed most of them");
}

/// The last entry that is surely written: none after it is in memory only.
fn store_written(store: &LogStore) -> u64 {
    store.lock().first_cached() - 1
}

/// A second reader goes over the oldest entries again and again, right where files are being recycled.
#[test]
fn a_reader_at_the_floor_gets_the_right_entry_or_is_told_that_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let (floor, reads) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let (reading, floor, reads) = (store.clone(), &floor, &reads);
        scope.spawn(move || {
            let mut out = Vec::new();
            while reading.floor().index < LAST - 1000 {
                floor.store(store_written(&reading).saturating_sub(20), Ordering::Release);
                let low = reading.first_index();
                let high = (low + 5).min(reading.last_index());
                out.clear();
                match reading.read(low, high, usize::MAX, &mut out) {
                    Ok(()) => reads.fetch_add(1, Ordering::Relaxed),
                    Err(LogError::Unavailable { .. }) => 0,
                    Err(error) => panic!("{error}"),
                };
                for (index, entry) in (low..).zip(&out) {
                    assert_eq!(*entry, expected(index));
                }
            }
        });
        append_and_write(&store, &mut writer, Some(floor));
        // The writer is done; let the last compaction end the reader.
        writer.compact(store.compact_to(LAST)).unwrap();
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
}
