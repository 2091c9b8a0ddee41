//! What stays in memory, and what may leave it.

use super::*;

/// Bytes that an entry counts in the cache: 32 of head, 2 of context, and its data.
const COUNTED: u64 = 32 + 2 + 66;

fn batch(indexes: impl IntoIterator<Item = u64>) -> Vec<LogEntry> {
    entries(indexes, 1, 66)
}

#[test]
fn what_is_not_written_never_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    store.append(&batch(1..=10));
    store.release(10);
    assert_eq!(store.size().cached_bytes, 10 * COUNTED);
    writer.write(&batch(1..=4), None).unwrap();
    assert_eq!(store.size().cached_bytes, 6 * COUNTED, "the cache's bound is 0, and 4 are written");
    assert_eq!(all(&store), batch(1..=10));
}

#[test]
fn the_oldest_leave_when_the_bound_is_passed_and_released_ones_before() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { cache_bytes: 5 * COUNTED as usize, ..config(dir.path(), Durability::Os) };
    let (store, mut writer) = reopen(&config).unwrap();
    put(&store, &mut writer, &batch(1..=5), None);
    assert_eq!(store.size().cached_bytes, 5 * COUNTED);
    put(&store, &mut writer, &batch(6..=7), None);
    assert_eq!(store.size().cached_bytes, 5 * COUNTED);
    store.release(5);
    assert_eq!(store.size().cached_bytes, 2 * COUNTED);
    store.release(3);
    put(&store, &mut writer, &batch(8..=8), None);
    assert_eq!(store.size().cached_bytes, 3 * COUNTED);
    store.append(&batch(9..=9));
    store.release(100);
    assert_eq!(store.size().cached_bytes, COUNTED, "the last is not written");
    assert_eq!(all(&store), batch(1..=9));
}

#[test]
fn entries_in_memory_are_shared_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _writer) = reopen(&config(dir.path(), Durability::Fsync)).unwrap();
    let appended = batch(1..=1);
    store.append(&appended);
    let mut read = Vec::new();
    store.read(1, 1, 0, &mut read).unwrap();
    assert_eq!(read[0].data.as_ptr(), appended[0].data.as_ptr());
}

#[test]
fn a_written_batch_lets_go_of_its_payloads() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let batch = entries(1..=1, 1, 5000);
    put(&store, &mut writer, &batch, None);
    assert_eq!(store.size().cached_bytes, 0);
    assert!(batch[0].data.is_unique(), "neither the cache nor the writer holds on to it");
}

#[test]
fn in_memory_nothing_leaves() {
    let (store, mut writer) = reopen(&config(Path::new("/nowhere"), Durability::Memory)).unwrap();
    put(&store, &mut writer, &batch(1..=10), Some(HardState { term: 1, vote: 1, commit: 3 }));
    store.release(10);
    writer.sync().unwrap();
    assert_eq!(all(&store), batch(1..=10));
    let held = LogSize { entries: 10, cached_bytes: 10 * COUNTED, disk_bytes: 0, segments: 0 };
    assert_eq!(store.size(), held);
    let floor = store.compact_to(4);
    writer.compact(floor).unwrap();
    assert_eq!(all(&store), batch(5..=10));
    assert_eq!(store.size(), LogSize { entries: 6, cached_bytes: 6 * COUNTED, ..held });
    assert!(!Path::new("/nowhere").exists());
}

/// Raft, figure 7: a follower's uncommitted entries are replaced by those of the next leader.
#[test]
fn a_lower_index_replaces_what_stood_from_there_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &entries(1..=6, 1, 20), None);
        put(&store, &mut writer, &entries(4..=4, 2, 20), None);
        assert_eq!(
            (store.last_index(), store.term(3), store.term(4), store.term(5)),
            (4, Some(1), Some(2), None)
        );
        assert_eq!(all(&store), [entries(1..=3, 1, 20), entries(4..=4, 2, 20)].concat());
    }
    let mut seen = Vec::new();
    let (store, _writer) = open(&config, &mut |replayed| seen.push(visited(replayed))).unwrap();
    let seen: Vec<(u64, u64)> = seen.iter().map(|entry| (entry.index, entry.term)).collect();
    assert_eq!(seen, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (4, 2)], "in the order of the file");
    assert_eq!(all(&store), [entries(1..=3, 1, 20), entries(4..=4, 2, 20)].concat());
}

#[test]
fn a_write_that_was_overtaken_does_not_stand_in_for_the_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    let (old, new) = (entries(1..=6, 1, 20), entries(4..=5, 2, 30));
    store.append(&old);
    store.append(&new);
    store.release(6);
    writer.write(&old, None).unwrap();
    let cached: u64 = new.iter().map(|entry| 34 + entry.data.len() as u64).sum();
    assert_eq!(store.size().cached_bytes, cached, "the replacement is not written, so it stays");
    let now = [entries(1..=3, 1, 20), new.clone()].concat();
    assert_eq!(all(&store), now);
    writer.write(&new, None).unwrap();
    assert_eq!(store.size().cached_bytes, 0);
    assert_eq!(all(&store), now);
}

/// The writer's thread joins whatever has queued up while it was busy.
#[test]
fn batches_that_replace_each_other_can_be_written_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let (old, new) = (entries(1..=6, 1, 200), entries(4..=5, 2, 200));
    let now = [entries(1..=3, 1, 200), new.clone()].concat();
    {
        let (store, mut writer) = reopen(&config).unwrap();
        store.append(&old);
        store.append(&new);
        writer.write(&[old, new].concat(), None).unwrap();
        assert_eq!(store.size().cached_bytes, 0);
        assert_eq!(all(&store), now);
        put(&store, &mut writer, &entries(6..=12, 2, 200), None);
        writer.compact(store.compact_to(4)).unwrap();
    }
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!(all(&store), [&now[4..], &entries(6..=12, 2, 200)].concat());
}

/// An entry can come back: a leader that never had the replacement wins, and sends the first version again.
#[test]
fn an_entry_that_comes_back_is_read_right_at_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let (first, second) = (entries(1..=2, 1, 20), entries(2..=2, 2, 20));
    let again = [&first[1..], &entries(3..=3, 3, 20)[..]].concat();
    let now = [&first[..1], &again[..]].concat();
    {
        let (store, mut writer) = reopen(&config).unwrap();
        store.append(&first);
        store.append(&second);
        store.append(&again);
        for batch in [&first, &second, &again] {
            writer.write(batch, None).unwrap();
            assert_eq!(all(&store), now);
        }
    }
    assert_eq!(all(&reopen(&config).unwrap().0), now);
}

#[test]
#[should_panic(expected = "no_holes")]
fn a_hole_in_the_view_is_a_defect() {
    let (store, _writer) = reopen(&config(Path::new("/nowhere"), Durability::Memory)).unwrap();
    store.append(&batch(2..=2));
}

#[test]
#[should_panic(expected = "no_holes")]
fn a_hole_within_a_batch_is_a_defect() {
    let (store, _writer) = reopen(&config(Path::new("/nowhere"), Durability::Memory)).unwrap();
    store.append(&batch([1, 3]));
}

#[test]
#[should_panic(expected = "no_holes")]
fn a_hole_on_disk_is_a_defect() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    store.append(&batch(1..=2));
    let _ = writer.write(&batch(2..=2), None);
}

#[test]
#[should_panic(expected = "no_holes")]
fn a_hole_within_a_written_batch_is_a_defect() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    store.append(&batch(1..=3));
    let _ = writer.write(&batch([1, 3]), None);
}
