//! Continuing from one segment file to the next.

use super::*;

/// Each entry takes 100 bytes on disk; a segment of 1024 bytes has 960 for frames, of which the first takes
/// 24 + 96.
const EIGHT: u64 = 8;

#[test]
fn a_batch_goes_over_as_many_segments_as_it_needs() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), durability);
        let batch = entries(1..=3 * EIGHT + 1, 1, 66);
        let state = HardState { term: 1, vote: 1, commit: 25 };
        {
            let (store, mut writer) = reopen(&config).unwrap();
            put(&store, &mut writer, &batch, Some(state));
            assert_eq!(store.size().segments, 4);
            assert_eq!(store.size().disk_bytes, 4 * SEGMENT);
            assert_eq!(all(&store), batch);
        }
        let mut image = Image::of(dir.path());
        assert_eq!([1, 2, 3, 4, 5].map(|number| image.frames(number).len()), [1, 1, 1, 1, 0]);
        let (store, _writer) = reopen(&config).unwrap();
        assert_eq!((all(&store), store.hard_state()), (batch, state));
        assert_eq!(store.size().segments, 4);
    }
}

#[test]
fn a_small_batch_goes_where_there_is_room_or_else_to_the_next_segment() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = reopen(&config(dir.path(), Durability::Os)).unwrap();
    for index in 1..=40 {
        put(&store, &mut writer, &entries(index..=index, 1, 66), None);
    }
    let written = all(&store);
    drop((store, writer));
    let mut image = Image::of(dir.path());
    // 24 + 96 + 100 bytes and padding for the first frame of a segment, 24 + 100 and padding for each other.
    let frames: Vec<usize> = (1..=6).map(|number| image.frames(number).len()).collect();
    assert_eq!(frames, [6, 6, 6, 6, 6, 6]);
    assert_eq!(image.start().unwrap().0, written);
}

#[test]
fn a_hard_state_that_finds_no_room_goes_to_the_next_segment() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Durability::Os);
    // 64 + 24 + 96 + 824 leaves 16 bytes of 1024.
    let large = entries(1..=1, 1, 790);
    let state = HardState { term: 1, vote: 9, commit: 1 };
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &large, Some(state));
        assert_eq!(store.size().segments, 2);
    }
    let (store, _writer) = reopen(&config).unwrap();
    assert_eq!((all(&store), store.hard_state()), (large, state));
}

#[test]
fn an_entry_that_is_too_long_for_a_segment_gets_a_longer_one() {
    for durability in [Durability::Fsync, Durability::Os] {
        for first in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let config = config(dir.path(), durability);
            let mut written = Vec::new();
            let state = HardState { term: 1, vote: 2, commit: 1 };
            {
                let (store, mut writer) = reopen(&config).unwrap();
                if !first {
                    put(&store, &mut writer, &entries(1..=1, 1, 10), None);
                    written.extend(entries(1..=1, 1, 10));
                }
                let next = store.last_index() + 1;
                let batch = [entry(next, 1, 10_001), entry(next + 1, 1, 3), entry(next + 2, 1, 20_000)];
                put(&store, &mut writer, &batch, Some(state));
                written.extend(batch);
                assert_eq!(all(&store), written);
            }
            let (store, mut writer) = reopen(&config).unwrap();
            assert_eq!((all(&store), store.hard_state()), (written.clone(), state));
            let next = store.last_index() + 1;
            put(&store, &mut writer, &entries(next..=next, 2, 1000), None);
            drop((store, writer));
            let (store, _writer) = reopen(&config).unwrap();
            assert_eq!(store.last_index(), next);
        }
    }
}

#[test]
fn more_parts_than_the_system_takes_in_one_write() {
    let dir = tempfile::tempdir().unwrap();
    let config = one_segment(16 << 20, config(dir.path(), Durability::Os));
    let batch = entries(1..=1500, 1, 4096);
    {
        let (store, mut writer) = reopen(&config).unwrap();
        put(&store, &mut writer, &batch, None);
    }
    assert_eq!(Image::of(dir.path()).frames(1).len(), 1);
    let (store, _writer) = reopen(&config).unwrap();
    let mut read = Vec::new();
    store.read(1, 1500, usize::MAX, &mut read).unwrap();
    assert_eq!(read, batch);
}

#[test]
fn neighbours_are_read_from_disk_in_one_go() {
    let dir = tempfile::tempdir().unwrap();
    let config = one_segment(64 << 10, config(dir.path(), Durability::Os));
    let (store, mut writer) = reopen(&config).unwrap();
    for index in 1..=20 {
        put(&store, &mut writer, &entries(index..=index, 1, 500), Some(HardState::default()));
    }
    assert_eq!(store.size().cached_bytes, 0);
    let mut read = Vec::new();
    store.read(1, 20, usize::MAX, &mut read).unwrap();
    assert_eq!(read, entries(1..=20, 1, 500));
    // They share one buffer, laid out as on disk: data, next frame's header, next record's head and context.
    for pair in read.windows(2) {
        let gap = pair[1].data.as_ptr() as usize - (pair[0].data.as_ptr() as usize + 500);
        assert!(gap < 300, "{gap} bytes between neighbours");
    }
}

#[test]
fn a_long_range_is_read_from_disk_in_bounded_strides() {
    let dir = tempfile::tempdir().unwrap();
    let config = one_segment(16 << 20, config(dir.path(), Durability::Os));
    let (store, mut writer) = reopen(&config).unwrap();
    let batch = entries(1..=4, 1, 500_000);
    put(&store, &mut writer, &batch, None);
    let mut read = Vec::new();
    store.read(1, 4, usize::MAX, &mut read).unwrap();
    assert_eq!(read, batch);
    // Two of them fit into one read, so that a small entry keeps no more than that in memory.
    let distance =
        |i: usize| (read[i + 1].data.as_ptr() as usize).wrapping_sub(read[i].data.as_ptr() as usize);
    let together = [0, 1, 2].map(|i| distance(i) == 32 + 2 + 500_000);
    assert_eq!(together, [true, false, true]);
}

#[test]
fn the_segment_size_may_change_between_two_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for (term, segment_bytes) in [(1, 1024), (2, 4096), (3, 1100), (4, 2000)] {
        let config = LogConfig { segment_bytes, ..config(dir.path(), Durability::Fsync) };
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(all(&store), written);
        let next = written.len() as u64 + 1;
        for index in next..next + 15 {
            put(&store, &mut writer, &entries(index..=index, term, 66), None);
        }
        written = all(&store);
    }
    assert_eq!(written.len(), 60);
    let (store, _writer) = reopen(&config(dir.path(), Durability::Fsync)).unwrap();
    assert_eq!(all(&store), written);
}

/// Lengths of the segments in the directory, including the prepared one.
fn lengths(dir: &Path) -> Vec<usize> {
    let segments = Image::of(dir).0.into_iter().filter(|(name, _)| name.ends_with(".log"));
    segments.map(|(_, bytes)| bytes.len()).collect()
}

#[test]
fn segments_grow_with_the_log() {
    for durability in [Durability::Fsync, Durability::Os] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), durability);
        config.segment_bytes = 64 << 10;
        config.first_segment_bytes = 1 << 10;
        config.prepare_beside = false;
        const KIB: usize = 1 << 10;
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(lengths(dir.path()), [KIB, KIB], "an empty log is small");
        let mut index = 0;
        let mut write_to = |segments: u64, store: &LogStore, writer: &mut LogWriter| {
            while store.size().segments < segments {
                index += 1;
                put(store, writer, &entries(index..=index, 1, 66), None);
            }
        };
        write_to(4, &store, &mut writer);
        assert_eq!(lengths(dir.path()), [KIB, KIB, 2 * KIB, 4 * KIB, 8 * KIB]);
        drop((store, writer));

        // A restart makes no difference.
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(lengths(dir.path()), [KIB, KIB, 2 * KIB, 4 * KIB, 8 * KIB]);
        write_to(9, &store, &mut writer);
        assert_eq!(lengths(dir.path())[4..], [8, 16, 32, 64, 64, 64].map(|kib| kib * KIB));
        let all_of_it = all(&store);

        // A compacted log holds less, and reuses full segments.
        let floor = store.compact_to(store.last_index());
        writer.compact(floor).unwrap();
        assert_eq!(lengths(dir.path()), [64 * KIB, 64 * KIB]);
        drop((store, writer));
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(store.last_index(), all_of_it.last().unwrap().index);
        write_to(3, &store, &mut writer);
        assert_eq!(lengths(dir.path()), [64 * KIB; 4]);
    }
}
