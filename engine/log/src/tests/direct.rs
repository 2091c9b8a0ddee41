//! Blocks, writes past the page cache, and what happens where there are none.

use super::unsteady::{Direct, Unsteady, Unsynced};
use super::*;

const BLOCK: u64 = 64;

/// A log in blocks on a disk that may take direct writes.
fn blocks(dir: &Path, disk: &Unsteady) -> LogConfig {
    let mut config = config(dir, Durability::Fsync);
    (config.block_bytes, config.files, config.prepare_beside) = (BLOCK, Arc::new(disk.clone()), false);
    config
}

/// Where the machine's file system takes direct writes or not, the log works, and says how.
#[test]
fn the_machines_files_are_written_directly_if_their_blocks_fit() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let mut config = LogConfig::new(dir.path().join("log"), Durability::Fsync, 7);
    config.cache_bytes = 0;
    let mut written = Vec::new();
    for (block_bytes, direct) in [(4096, true), (4096, false), (8, true), (4096, true)] {
        (config.block_bytes, config.direct) = (block_bytes, direct);
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(all(&store), written);
        match writer.sync_method() {
            SyncMethod::Direct => assert!(direct),
            SyncMethod::Fdatasync(why) if !direct => assert_eq!(why, "direct writes are switched off"),
            SyncMethod::Fdatasync(why) if block_bytes == 8 => assert!(why.contains("direct IO"), "{why}"),
            SyncMethod::Fdatasync(why) => eprintln!("no direct writes here: {why}"),
            SyncMethod::None => panic!("the log is durable"),
        }
        let next = written.len() as u64 + 1;
        for (index, size) in (next..).zip([0, 3000, 4096, 1 << 20, 3 << 20, 10]) {
            put(&store, &mut writer, &entries(index..=index, 1, size), None);
        }
        written = all(&store);
        assert_eq!(written.len() as u64, next + 5);
    }
    assert!(!Image::of(&config.dir).0.contains_key("trial.tmp"));
    assert_eq!(all(&reopen(&config).unwrap().0), written);
}

#[test]
fn a_write_starts_and_ends_with_a_block_and_is_counted_with_its_padding() {
    let dir = tempfile::tempdir().unwrap();
    let config = one_segment(8 << 10, blocks(dir.path(), &Unsteady::with(Direct::Of(BLOCK))));
    let (store, mut writer) = reopen(&config).unwrap();
    assert_eq!(writer.sync_method(), &SyncMethod::Direct);
    for index in 1..=9 {
        put(&store, &mut writer, &entries(index..=index, 1, 11 * index as usize), None);
    }
    let bytes = store.written_bytes();
    drop((store, writer));
    let frames = Image::of(dir.path()).frames(1);
    assert_eq!(frames.len(), 9);
    assert!(frames.iter().all(|frame| frame.start % 64 == 0 && frame.end % 64 == 0), "{frames:?}");
    assert_eq!(bytes, (frames[8].end - frames[0].start) as u64);
}

#[test]
fn without_direct_writes_each_write_is_synced_and_the_log_says_why() {
    let refused = std::io::Error::from(std::io::ErrorKind::InvalidInput).to_string();
    for (direct, reason) in [
        (Direct::No, "nothing bypasses this cache"),
        (Direct::Refused, refused.as_str()),
        (Direct::Of(512), "direct IO is done in blocks of 512 bytes, and the log's have 64"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Unsteady::with(direct);
        let (store, mut writer) = reopen(&blocks(dir.path(), &disk)).unwrap();
        assert_eq!(writer.sync_method(), &SyncMethod::Fdatasync(reason.to_owned()));
        assert_eq!(writer.sync_method().to_string(), format!("fdatasync, since {reason}"));
        let before = disk.syncs();
        for index in 1..=3 {
            put(&store, &mut writer, &entries(index..=index, 1, 10), None);
        }
        assert_eq!(disk.syncs() - before, 3, "{direct:?}");
    }
}

/// The power fails at any change, also within a direct write, with any fate of what was on its way. Whatever
/// was acknowledged is there, and the log can be continued, directly or not.
#[test]
fn a_loss_of_power_at_any_change_takes_nothing_that_was_acknowledged() {
    let batches: Vec<Vec<LogEntry>> =
        (0..12).map(|i| entries(3 * i + 1..=3 * i + 3, 1, 17 * i as usize)).collect();
    for unsynced in [Unsynced::Stays, Unsynced::Torn, Unsynced::Lost, Unsynced::Noise] {
        for changes in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let disk = Unsteady::with(Direct::Of(BLOCK));
            let (store, mut writer) = reopen(&blocks(dir.path(), &disk)).unwrap();
            disk.fails_after(changes, unsynced);
            let mut acknowledged = 0;
            for batch in &batches {
                store.append(batch);
                match writer.write(batch, None) {
                    Ok(()) => acknowledged += batch.len(),
                    Err(_) => break,
                }
            }
            drop((store, writer));
            let again = if changes % 2 == 0 { Direct::Of(BLOCK) } else { Direct::No };
            let config = blocks(dir.path(), &Unsteady::with(again));
            let (store, mut writer) = reopen(&config).unwrap();
            let found = all(&store);
            assert!(found.len() >= acknowledged, "{unsynced:?} after {changes} changes");
            assert_eq!(found, batches.concat()[..found.len()]);
            let next = found.len() as u64 + 1;
            put(&store, &mut writer, &entries(next..=next, 2, 100), None);
            drop((store, writer));
            assert_eq!(reopen(&config).unwrap().0.last_index(), next);
            if acknowledged == batches.concat().len() {
                assert!(changes > 30, "{changes} changes");
                break;
            }
        }
    }
}

/// Makes the segments those of the release before.
fn as_version_1(image: &mut Image) {
    for bytes in image.0.values_mut().filter(|bytes| bytes.len() > 64) {
        bytes[8] = 1;
        bytes[48..56].fill(0);
        let checksum = crc32fast::hash(&[&bytes[..12], &bytes[16..64]].concat());
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[test]
fn a_log_of_version_1_is_continued_in_a_segment_of_its_own() {
    for (written, durability) in [(0, Durability::Fsync), (20, Durability::Fsync), (20, Durability::Os)] {
        let dir = tempfile::tempdir().unwrap();
        let packed = config(dir.path(), durability);
        drop(log_of(&packed, written));
        let mut image = Image::of(dir.path());
        as_version_1(&mut image);
        let dir = image.put_down();
        let mut config = LogConfig { dir: dir.path().to_owned(), ..packed };
        if durability == Durability::Fsync {
            config.block_bytes = 4096;
        }
        let (store, mut writer) = reopen(&config).unwrap();
        assert_eq!(all(&store), numbered(1..=written));
        let segments = store.size().segments;
        put(&store, &mut writer, &numbered(written + 1..=written + 2), None);
        let more = u64::from(durability == Durability::Fsync);
        assert_eq!(store.size().segments, segments + more, "packed frames are continued where they are");
        drop((store, writer));
        let found = inspect(dir.path(), &SystemFiles, &mut |_| {}).unwrap();
        assert_eq!(found.damage, None);
        let blocks: Vec<u64> =
            found.segments.iter().filter(|s| s.frames > 0).map(|s| s.block_bytes).collect();
        assert_eq!(*blocks.last().unwrap(), config.block_bytes);
        assert_eq!(blocks.iter().filter(|block| **block == 8).count() as u64, written.div_ceil(6));
        assert_eq!(all(&reopen(&config).unwrap().0), numbered(1..=written + 2));
    }
}

#[test]
fn impossible_blocks_are_refused() {
    for given in [0, 4, 24, 1 << 17] {
        let dir = tempfile::tempdir().unwrap();
        let config = LogConfig { block_bytes: given, ..config(dir.path(), Durability::Fsync) };
        let error = reopen(&config).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("blocks of {given} bytes are not possible: choose a power of two from 8 to 65536 bytes")
        );
    }
}
