//! How fast the log is. Not part of a test run, since figures depend on the disk:
//!
//! `NIAGARA_LOG_DIR=/a/disk cargo test --release -p niagara-engine --lib log::tests::speed -- --ignored --nocapture`

use std::env;
use std::time::Instant;

use super::*;

/// Writes batches of entries, and prints how many writes and bytes there were per second.
fn measure(durability: Durability, entry_bytes: usize, per_write: u64, writes: u64) {
    let dir = env::var_os("NIAGARA_LOG_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let config = LogConfig { segment_bytes: 16 << 20, ..config(dir.path(), durability) };
    let config = LogConfig { cache_bytes: 2 << 20, ..config };
    let data = Bytes::from(vec![0x5a; entry_bytes]);
    let (store, mut writer) = reopen(&config).unwrap();
    let mut slowest = std::time::Duration::ZERO;
    let start = Instant::now();
    for write in 0..writes {
        let first = write * per_write + 1;
        let batch: Vec<LogEntry> = (first..first + per_write)
            .map(|index| LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: data.clone() })
            .collect();
        let begun = Instant::now();
        put(&store, &mut writer, &batch, None);
        slowest = slowest.max(begun.elapsed());
        store.release(first + per_write - 1);
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(store.last_index(), writes * per_write);
    let rate = writes as f64 / seconds;
    let megabytes = rate * per_write as f64 * entry_bytes as f64 / 1e6;
    println!(
        "{durability:>6}: {per_write} x {entry_bytes} bytes a write: {rate:>9.0} writes/s, {megabytes:>6.0} MB/s, \
         slowest {slowest:?}"
    );
}

#[test]
#[ignore = "prints figures of the disk that it runs on"]
fn writes_per_second() {
    measure(Durability::Fsync, 4096, 1, 30_000);
    measure(Durability::Fsync, 64 << 10, 1, 5_000);
    measure(Durability::Fsync, 16, 100, 30_000);
    measure(Durability::Os, 4096, 1, 200_000);
    measure(Durability::Os, 64 << 10, 1, 10_000);
    measure(Durability::Memory, 4096, 1, 500_000);
}
