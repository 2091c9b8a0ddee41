//! A log that is reset for the snapshot of another server (Raft, section 7).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::threads::Ended;
use super::*;

fn reset(store: &LogStore, writer: &mut LogWriter, index: u64, term: u64) {
    let floor = EntryId { index, term };
    store.reset(floor);
    writer.reset(floor, None).unwrap();
}

/// What a start reads, as indexes, with a reset as its negated index.
fn seen(config: &LogConfig) -> Vec<i64> {
    let mut seen = Vec::new();
    open(config, &mut |replayed| match replayed {
        Replayed::Entry(entry) => seen.push(entry.index as i64),
        Replayed::Reset(floor) => seen.push(-(floor.index as i64)),
    })
    .unwrap();
    seen
}

#[test]
fn a_reset_log_is_empty_above_the_floor_in_every_mode() {
    for durability in [Durability::Fsync, Durability::Os, Durability::Memory] {
        for (index, term) in [(0, 0), (27, 3), (27, 8), (40, 5), (100, 8)] {
            let dir = tempfile::tempdir().unwrap();
            let config = config(dir.path(), durability);
            let (store, mut writer) = log_of(&config, 40);
            let floor = EntryId { index, term };
            store.reset(floor);
            let check = |store: &LogStore| {
                assert_eq!(
                    (store.floor(), store.first_index(), store.last_index()),
                    (floor, index + 1, index)
                );
                assert_eq!((store.term(index), store.term(index + 1)), (Some(term), None));
                assert_eq!((store.size().entries, store.size().cached_bytes), (0, 0));
            };
            check(&store);
            writer.reset(floor, None).unwrap();
            check(&store);
            drop((store, writer));
            if durability != Durability::Memory {
                check(&reopen(&config).unwrap().0);
            }
        }
    }
}

/// A crash right behind a reset finds the term of whoever has sent the snapshot.
#[test]
fn a_reset_brings_the_hard_state_that_comes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let (store, mut writer) = log_of(&config, 40);
    let (floor, state) = (EntryId { index: 60, term: 4 }, HardState { term: 9, vote: 2, commit: 63 });
    store.reset(floor);
    writer.reset(floor, Some(state)).unwrap();
    drop((store, writer));
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!(
        store.hard_state(),
        HardState { commit: 60, ..state },
        "what is above the floor is not there yet"
    );
}

#[test]
fn the_log_goes_on_above_the_floor_and_a_start_hears_of_the_reset_in_its_place() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), durability);
        let state = HardState { term: 9, vote: 0, commit: 52 };
        {
            let (store, mut writer) = log_of(&config, 3);
            reset(&store, &mut writer, 50, 7);
            put(&store, &mut writer, &entries(51..=52, 9, 66), Some(state));
            assert_eq!(all(&store), entries(51..=52, 9, 66));
        }
        assert_eq!(seen(&config), [1, 2, 3, -50, 51, 52]);
        let (store, _writer) = reopen(&config).unwrap();
        assert_eq!(all(&store), entries(51..=52, 9, 66));
        assert_eq!((store.floor(), store.hard_state()), (EntryId { index: 50, term: 7 }, state));
    }
}

/// The snapshot is shorter than the log, whose last entries were never committed: they must not come back.
#[test]
fn entries_above_the_floor_are_dropped_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let after = entries(3..=4, 8, 66);
    {
        let (store, mut writer) = log_of(&config, 5);
        reset(&store, &mut writer, 2, 1);
        put(&store, &mut writer, &after, None);
        assert_eq!(all(&store), after);
    }
    assert_eq!(seen(&config), [1, 2, 3, 4, 5, -2, 3, 4]);
    assert_eq!(all(&reopen(&config).unwrap().0), after);
}

#[test]
fn the_hard_state_may_be_behind_the_floor_but_not_before_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let (before, after) =
        (HardState { term: 1, vote: 1, commit: 4 }, HardState { term: 9, vote: 2, commit: 51 });
    {
        let (store, mut writer) = log_of(&config, 9);
        writer.write(&[], Some(before)).unwrap();
        reset(&store, &mut writer, 50, 7);
    }
    {
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(store.hard_state(), before, "a crash before the snapshot's was written");
        writer.write(&[], Some(after)).unwrap();
    }
    let error = reopen(&config).map(|_| ()).unwrap_err();
    assert!(matches!(error, LogError::Lost { commit: 51, last: 50, .. }), "{error}");
}

/// Entries from before the reset are in its segment, and have lower indexes than all that follow. They must
/// not mislead a later compaction.
#[test]
fn compaction_after_a_reset_keeps_what_is_above_its_floor() {
    for restart in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), Durability::Os);
        let after: Vec<LogEntry> = entries(51..=90, 9, 66);
        let (mut store, mut writer) = log_of(&config, 9);
        reset(&store, &mut writer, 50, 7);
        for batch in after.chunks(1) {
            put(&store, &mut writer, batch, None);
        }
        for floor in [50, 51, 57, 58, 75, 89, 90] {
            if restart {
                drop((store, writer));
                (store, writer) = reopen(&config).unwrap();
            }
            writer.compact(store.compact_to(floor)).unwrap();
            assert_eq!(all(&store), after[floor as usize - 50..]);
        }
        assert_eq!(store.size().segments, 1);
        drop((store, writer));
        assert_eq!(reopen(&config).unwrap().0.floor(), EntryId { index: 90, term: 9 });
    }
}

/// A reader follows a log that is reset again and again, while files are recycled under it.
#[test]
fn a_reader_gets_the_right_entry_or_is_told_that_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let (ended, read, gone) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let (reading, ended, read, gone) = (store.clone(), &ended, &read, &gone);
        scope.spawn(move || {
            let mut out = Vec::new();
            while !ended.load(Ordering::Acquire) {
                let (low, high) = (reading.first_index(), reading.last_index());
                out.clear();
                match reading.read(low, high, usize::MAX, &mut out) {
                    Ok(()) => _ = read.fetch_add(out.len() as u64, Ordering::Relaxed),
                    Err(LogError::Unavailable { .. }) => _ = gone.fetch_add(1, Ordering::Relaxed),
                    Err(error) => panic!("{error}"),
                }
                for (index, found) in (low..).zip(&out) {
                    assert_eq!(*found, entry(index, found.term, 66));
                }
            }
        });
        let _ended = Ended(ended);
        let mut floor = 0;
        let often = |count: &AtomicU64| count.load(Ordering::Relaxed) >= 100;
        // Until the reader has met both, but not for ever.
        for term in (1..=100_000).take_while(|_| !often(read) || !often(gone)) {
            for batch in entries(floor + 1..=floor + 24, term, 66).chunks(3) {
                put(&store, &mut writer, batch, None);
            }
            floor += 12;
            reset(&store, &mut writer, floor, term);
        }
    });
    let (read, gone) = (read.into_inner(), gone.into_inner());
    assert!(read > 0 && gone > 0, "{read} entries read, {gone} times told that they are gone");
}

#[test]
#[should_panic(expected = "no_holes")]
fn the_entry_after_a_reset_is_the_one_behind_the_floor() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 9);
    reset(&store, &mut writer, 20, 3);
    store.append(&entries(22..=22, 3, 1));
}

#[test]
#[should_panic(expected = "no_holes")]
fn the_entry_after_a_reset_on_disk_is_the_one_behind_the_floor() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 9);
    reset(&store, &mut writer, 20, 3);
    let _ = writer.write(&entries(22..=22, 3, 1), None);
}

#[test]
#[should_panic(expected = "compaction_floor")]
fn no_entry_below_the_floor_is_written_after_a_reset() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 9);
    reset(&store, &mut writer, 20, 3);
    let _ = writer.write(&entries(10..=10, 1, 1), None);
}

#[test]
#[should_panic(expected = "compaction_floor")]
fn a_compacted_log_is_not_reset_to_before_its_floor() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer) = log_of(&config(dir.path(), Durability::Os), 9);
    store.compact_to(5);
    store.reset(EntryId { index: 4, term: 1 });
}

#[test]
#[should_panic(expected = "compaction_floor")]
fn a_log_is_not_reset_to_before_what_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 9);
    writer.write(&[], Some(HardState { term: 1, vote: 1, commit: 6 })).unwrap();
    reset(&store, &mut writer, 5, 1);
}

#[test]
#[should_panic(expected = "in the view before it is on disk")]
fn the_view_is_reset_first() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, mut writer) = log_of(&config(dir.path(), Durability::Os), 9);
    let _ = writer.reset(EntryId { index: 20, term: 1 }, None);
}
