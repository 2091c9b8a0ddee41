//! The view is ahead of the writer, as when each has its own thread: queued work is overtaken by what makes
//! it void. The writer then does everything in the same order.

use super::*;

/// The others commit entries up to 20 while this log has yet to write most of them. The state is saved, and
/// the view is compacted at once; the writer follows later.
#[test]
fn entries_may_be_compacted_in_the_view_before_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let written = entries(1..=40, 1, 66);
    let (store, mut writer) = reopen(&config).unwrap();
    put(&store, &mut writer, &written[..5], None);
    store.append(&written[5..30]);
    let first = store.compact_to(20);
    assert_eq!((store.first_index(), store.term(20)), (21, Some(1)));
    assert_eq!(store.size().cached_bytes, 10 * 100, "the writer has its own copies of 6 to 20");
    assert_eq!(all(&store), written[20..30]);
    store.append(&written[30..]);
    let second = store.compact_to(33);

    for batch in [&written[5..12], &written[12..30]] {
        writer.write(batch, None).unwrap();
        assert_eq!(all(&store), written[33..]);
    }
    writer.compact(first).unwrap();
    assert_eq!(all(&store), written[33..]);
    writer.write(&written[30..], None).unwrap();
    writer.compact(second).unwrap();
    assert_eq!(all(&store), written[33..]);
    assert_eq!(store.size().cached_bytes, 0);
    drop((store, writer));
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!((store.floor(), all(&store)), (second, written[33..].to_vec()));
}

/// The same, and the process dies with the compaction still queued: the entries are back.
#[test]
fn a_crash_before_the_writer_gets_to_a_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let written = entries(1..=30, 1, 66);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        store.append(&written);
        store.compact_to(20);
        writer.write(&written[..12], None).unwrap();
        assert_eq!(all(&store), written[20..]);
    }
    assert_eq!(all(&reopen(&config).unwrap().0), written[..12]);
}

/// Entries 10 to 12 were replaced and have come back. The writer has rewritten 10, in a later segment, but
/// not yet 11 and 12, which readers find in their first places.
#[test]
fn what_came_back_is_read_where_it_stood_first_until_it_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let (store, mut writer) = reopen(&config).unwrap();
    let (first, other) = (entries(1..=12, 1, 400), entries(10..=10, 2, 400));
    for appended in [&first[..], &other, &first[9..]] {
        store.append(appended);
    }
    for batch in [&first[..], &other, &first[9..10]] {
        writer.write(batch, None).unwrap();
    }
    writer.compact(store.compact_to(9)).unwrap();
    assert_eq!(all(&store), first[9..]);
    writer.write(&first[10..], None).unwrap();
    writer.compact(store.compact_to(10)).unwrap();
    assert_eq!(all(&store), first[10..]);
    drop((store, writer));
    assert_eq!(all(&reopen(&config).unwrap().0), first[10..]);
}

/// A snapshot arrives while entries that it makes void wait to be written.
#[test]
fn writes_from_before_a_reset_are_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let floor = EntryId { index: 20, term: 4 };
    let (old, new) = (entries(1..=30, 1, 66), entries(21..=26, 5, 66));
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &old[..8], None);
        store.append(&old[8..]);
        store.reset(floor);
        store.append(&new);
        writer.write(&old[8..], None).unwrap();
        assert_eq!(all(&store), new);
        writer.reset(floor, None).unwrap();
        assert_eq!((all(&store), store.size().segments), (new.clone(), 1));
        writer.write(&new, None).unwrap();
        assert_eq!((all(&store), store.size().cached_bytes), (new.clone(), 0));
    }
    assert_eq!(all(&reopen(&config).unwrap().0), new);
}

/// The leader resends the same entries that the reset has dropped. Their first write lands after that, and
/// goes with its segments when the writer gets to the reset, so no reader may be sent there.
#[test]
fn an_entry_that_a_reset_dropped_and_that_is_sent_again_stays_in_memory_until_it_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Fsync);
    let floor = EntryId { index: 20, term: 1 };
    let old = entries(1..=30, 1, 66);
    let new = &old[20..];
    {
        let (store, mut writer) = reopen(&config).unwrap();
        store.append(&old);
        store.reset(floor);
        store.append(new);
        writer.write(&old, None).unwrap();
        assert_eq!(store.size().cached_bytes, 10 * 100);
        writer.reset(floor, None).unwrap();
        assert_eq!(all(&store), new);
        writer.write(new, None).unwrap();
        assert_eq!((all(&store), store.size().cached_bytes), (new.to_vec(), 0));
    }
    assert_eq!(all(&reopen(&config).unwrap().0), new);
}

#[test]
fn what_is_written_between_two_resets_is_from_before_the_second() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let [first, second] = [(20, 2), (25, 3)].map(|(index, term)| EntryId { index, term });
    let (between, after) = (entries(21..=30, 3, 66), entries(26..=30, 3, 66));
    {
        let (store, mut writer) = log_of(&config, 12);
        store.reset(first);
        store.append(&between);
        store.reset(second);
        store.append(&after);
        writer.reset(first, None).unwrap();
        writer.write(&between, None).unwrap();
        assert_eq!((all(&store), store.size().cached_bytes), (after.clone(), 5 * 100));
        writer.reset(second, None).unwrap();
        writer.write(&after, None).unwrap();
        assert_eq!((all(&store), store.size().cached_bytes), (after.clone(), 0));
    }
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!((store.floor(), all(&store)), (second, after));
}

/// The view was compacted further than the reset found it, and the writer has yet to do either.
#[test]
fn a_compaction_may_wait_on_either_side_of_a_reset() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    let floor = EntryId { index: 50, term: 9 };
    let after = entries(51..=70, 9, 66);
    {
        let (store, mut writer) = log_of(&config, 30);
        let before = store.compact_to(25);
        store.reset(floor);
        store.append(&after);
        let behind = store.compact_to(60);
        writer.compact(before).unwrap();
        writer.reset(floor, None).unwrap();
        writer.write(&after, None).unwrap();
        assert_eq!(all(&store), after[10..]);
        writer.compact(behind).unwrap();
        assert_eq!(all(&store), after[10..]);
    }
    assert_eq!(all(&reopen(&config).unwrap().0), after[10..]);
}
