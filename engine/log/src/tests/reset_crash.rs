//! Crashes while a log is reset, at every change of the disk and with every fate of unsynced data.

use super::unsteady::{Unsteady, Unsynced};
use super::*;

const STATE: HardState = HardState { term: 5, vote: 3, commit: 8 };
const COMPACTED: EntryId = EntryId { index: 5, term: 1 };

/// A log of entries 6 to 40 in seven segments. Entry 8 is known to be committed.
fn long_log() -> Image {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, mut writer) = log_of(&config(dir.path(), Durability::Os), 40);
        writer.compact(store.compact_to(COMPACTED.index)).unwrap();
        writer.write(&[], Some(STATE)).unwrap();
    }
    Image::of(dir.path())
}

/// Resets a copy of the log. The power fails after so many changes; returns whether the reset was
/// acknowledged by then.
fn reset(image: &Image, floor: EntryId, changes: usize, unsynced: Unsynced) -> (tempfile::TempDir, bool) {
    let (dir, disk) = (image.put_down(), Unsteady::default());
    let mut config = config(dir.path(), Durability::Fsync);
    config.files = Arc::new(disk.clone());
    config.prepare_beside = false;
    let (store, mut writer) = reopen(&config).unwrap();
    disk.fails_after(changes, unsynced);
    store.reset(floor);
    let acknowledged = writer.reset(floor, None).is_ok();
    (dir, acknowledged)
}

/// Restarts and returns whether the log was reset. If not, it must be as before; either way it must work.
fn start(dir: &Path, floor: EntryId) -> bool {
    let config = config(dir, Durability::Os);
    let (store, mut writer) = reopen(&config).unwrap();
    let done = store.floor() == floor;
    let before = if done { vec![] } else { numbered(6..=40) };
    assert_eq!(store.floor(), if done { floor } else { COMPACTED });
    assert_eq!(all(&store), before);
    assert_eq!(store.hard_state(), STATE);
    let last = store.last_index();
    assert_eq!(store.term(last), Some(if done { floor.term } else { 5 }));

    let more = entries(last + 1..=last + 12, 9, 66);
    for batch in more.chunks(1) {
        put(&store, &mut writer, batch, None);
    }
    writer.compact(store.compact_to(last + 1)).unwrap();
    drop((store, writer));
    assert_eq!(all(&reopen(&config).unwrap().0), more[1..]);
    done
}

/// The server receives a snapshot whose last entry it has, has in another term, or lacks. Its power fails
/// during the reset: when the reset is written or synced, or when one of the old segments goes. The next
/// start finds the whole log or none of it, and none once the reset was acknowledged.
#[test]
fn a_crash_at_any_change_leaves_the_log_as_it_was_or_reset() {
    let image = long_log();
    for (index, term) in [(8, 1), (27, 3), (27, 9), (40, 5), (40, 9), (60, 9)] {
        let floor = EntryId { index, term };
        for unsynced in [Unsynced::Stays, Unsynced::Torn, Unsynced::Lost] {
            let mut outcomes = Vec::new();
            for changes in 0.. {
                let (dir, acknowledged) = reset(&image, floor, changes, unsynced);
                let done = start(dir.path(), floor);
                assert!(done || !acknowledged, "{floor:?}, {unsynced:?} after {changes} changes");
                outcomes.push(done);
                if acknowledged {
                    break;
                }
            }
            assert!(outcomes.is_sorted(), "once it is on disk it stays: {outcomes:?}");
            let before = outcomes.iter().filter(|done| !**done).count();
            let kept = matches!(unsynced, Unsynced::Stays);
            assert_eq!(before, if kept { 1 } else { 2 }, "the write, and its sync where that decides");
            assert!(outcomes.len() > 12, "six segments go, each in two changes: {outcomes:?}");
        }
    }
}

/// The frame with the reset is torn at any byte: it was not acknowledged, and the log is as before.
#[test]
fn a_torn_reset_is_a_torn_tail() {
    let image = long_log();
    let (dir, acknowledged) = reset(&image, EntryId { index: 60, term: 9 }, usize::MAX, Unsynced::Stays);
    assert!(acknowledged);
    let mut after = Image::of(dir.path());
    let frame = after.frames(7).pop().unwrap();
    assert_eq!(frame.len(), 56);
    let written = after.segment(7).clone();
    for at in frame {
        let mut torn = image.clone();
        *torn.segment(7) = written.clone();
        torn.segment(7)[at] ^= 0x10;
        assert_eq!(torn.start().unwrap(), (numbered(6..=40), STATE), "byte {at}");
    }
}

/// The reset is the first frame of a segment, since the one before was full, and the power fails during its
/// write.
#[test]
fn a_reset_that_opens_a_segment_can_be_torn() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let written = entries(1..=1, 1, 790);
    let floor = EntryId { index: 9, term: 2 };
    let before = {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &written, None);
        drop((store, writer));
        Image::of(dir.path())
    };
    {
        let (store, mut writer) = reopen(&config).unwrap();
        store.reset(floor);
        writer.reset(floor, None).unwrap();
        assert_eq!(store.size().segments, 1, "the full one has gone");
    }
    let mut after = Image::of(dir.path());
    let frame = after.frames(2).pop().unwrap();
    assert_eq!(frame, 64..64 + 24 + 4 * 32);
    let opened = after.segment(2).clone();
    for at in frame {
        let mut torn = before.clone();
        *torn.segment(2) = opened.clone();
        torn.segment(2)[at] ^= 0x10;
        assert_eq!(torn.start().unwrap().0, written, "byte {at}");
    }
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!((store.floor(), store.last_index()), (floor, 9));
}
