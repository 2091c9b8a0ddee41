//! How fast the log is. It is not part of a test run, since the figures depend on the disk and its other users. So
//! each round also measures the disk alone, for comparison:
//!
//! `NIAGARA_LOG_DIR=/a/disk cargo test --release -p niagara-log --lib tests::speed -- --ignored --nocapture`

use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;

use std::time::{Duration, Instant};

use super::*;

const FILE_BYTES: u64 = 16 << 20;

fn dir() -> tempfile::TempDir {
    env::var_os("NIAGARA_LOG_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap()
}

/// Calls `write` so often, and prints calls and bytes per second.
fn measure(what: &str, bytes: u64, writes: u64, mut write: impl FnMut(u64)) {
    let mut slowest = Duration::ZERO;
    let start = Instant::now();
    for i in 0..writes {
        let begun = Instant::now();
        write(i);
        slowest = slowest.max(begun.elapsed());
    }
    let rate = writes as f64 / start.elapsed().as_secs_f64();
    println!(
        "{what:>28}: {rate:>9.0} writes/s, {:>6.0} MB/s, slowest {slowest:?}",
        rate * bytes as f64 / 1e6
    );
}

/// Writes batches of equal entries.
fn log(durability: Durability, entry_bytes: usize, per_write: u64, writes: u64) {
    let dir = dir();
    let config =
        LogConfig { segment_bytes: FILE_BYTES, cache_bytes: 2 << 20, ..config(dir.path(), durability) };
    let data = Bytes::from(vec![0x5a; entry_bytes]);
    let (store, mut writer) = reopen(&config).unwrap();
    let what = format!("{durability}, {per_write} x {entry_bytes} bytes");
    measure(&what, per_write * entry_bytes as u64, writes, |write| {
        let first = write * per_write + 1;
        let batch: Vec<LogEntry> = (first..first + per_write)
            .map(|index| LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: data.clone() })
            .collect();
        put(&store, &mut writer, &batch, None);
        store.release(first + per_write - 1);
    });
    drop((store, writer));
    if durability != Durability::Memory {
        assert_eq!(reopen(&config).unwrap().0.last_index(), writes * per_write);
    }
}

/// Overwrites and syncs one zero-filled file from start to end, again and again: no log can be faster.
fn disk_alone(bytes: u64, writes: u64) {
    let dir = dir();
    let file = File::create(dir.path().join("file")).unwrap();
    FileExt::write_all_at(&file, &vec![0; FILE_BYTES as usize], 0).unwrap();
    file.sync_all().unwrap();
    let data = vec![0x5a; bytes as usize];
    measure(&format!("disk alone, {bytes} bytes"), bytes, writes, |i| {
        FileExt::write_all_at(&file, &data, i * bytes % (FILE_BYTES - bytes)).unwrap();
        file.sync_data().unwrap();
    });
}

#[test]
#[ignore = "prints figures of the disk that it runs on"]
fn writes_per_second() {
    for _ in 0..3 {
        disk_alone(4096 + 56, 10_000);
        log(Durability::Fsync, 4096, 1, 10_000);
    }
    disk_alone((64 << 10) + 56, 3_000);
    log(Durability::Fsync, 64 << 10, 1, 3_000);
    log(Durability::Fsync, 16, 100, 10_000);
    log(Durability::Os, 4096, 1, 200_000);
    log(Durability::Os, 64 << 10, 1, 10_000);
    log(Durability::Memory, 4096, 1, 500_000);
}
