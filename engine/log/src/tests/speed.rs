//! How fast the log is. It is not part of a test run, since the figures depend on the disk and its other users. So
//! each round also measures the disk alone, for comparison:
//!
//! `NIAGARA_LOG_DIR=/a/disk cargo test --release -p niagara-log --lib tests::speed -- --ignored --nocapture`

use std::env;
use std::io::IoSlice;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use super::*;

const FILE_BYTES: u64 = 16 << 20;

fn dir() -> tempfile::TempDir {
    env::var_os("NIAGARA_LOG_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap()
}

/// Calls `write` so often on each thread, and prints calls and bytes per second of all of them, and the
/// processor time of each call.
fn measure(
    what: &str,
    threads: u64,
    bytes: u64,
    writes: u64,
    write: impl Fn(u64) -> Box<dyn FnMut(u64)> + Sync,
) {
    let slowest = Mutex::new(Duration::ZERO);
    let ready = Barrier::new(threads as usize + 1);
    let (elapsed, used) = thread::scope(|scope| {
        for number in 0..threads {
            let (write, slowest, ready) = (&write, &slowest, &ready);
            scope.spawn(move || {
                let mut write = write(number);
                ready.wait();
                let mut longest = Duration::ZERO;
                for i in 0..writes {
                    let begun = Instant::now();
                    write(i);
                    longest = longest.max(begun.elapsed());
                }
                ready.wait();
                let mut slowest = slowest.lock();
                *slowest = longest.max(*slowest);
            });
        }
        ready.wait();
        let (start, before) = (Instant::now(), processor_time());
        ready.wait();
        (start.elapsed(), processor_time() - before)
    });
    let rate = (threads * writes) as f64 / elapsed.as_secs_f64();
    println!(
        "{what:>44}: {rate:>9.0} writes/s, {:>6.0} MB/s, {:>6.1} us of CPU each, slowest {:?}",
        rate * bytes as f64 / 1e6,
        used.as_secs_f64() * 1e6 / (threads * writes) as f64,
        slowest.into_inner(),
    );
}

fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

/// Writes batches of equal entries to logs, one for each thread.
fn log(durability: Durability, direct: bool, threads: u64, entry_bytes: usize, per_write: u64, writes: u64) {
    let dir = dir();
    let of = |thread: u64| LogConfig {
        direct,
        segment_bytes: FILE_BYTES,
        first_segment_bytes: FILE_BYTES,
        cache_bytes: 2 << 20,
        ..LogConfig::new(dir.path().join(thread.to_string()), durability, 7)
    };
    let how = match (durability, direct) {
        (Durability::Fsync, true) => "fsync, directly",
        (Durability::Fsync, false) => "fsync, page cache and sync",
        (Durability::Os, _) => "os",
        (Durability::Memory, _) => "memory",
    };
    let what = format!("{threads} x {how}, {per_write} x {entry_bytes} bytes");
    let data = Bytes::from(vec![0x5a; entry_bytes]);
    measure(&what, threads, per_write * entry_bytes as u64, writes, |thread| {
        let (data, (store, mut writer)) = (data.clone(), reopen(&of(thread)).unwrap());
        Box::new(move |write| {
            let first = write * per_write + 1;
            let entry =
                |index| LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: data.clone() };
            let batch: Vec<LogEntry> = (first..first + per_write).map(entry).collect();
            put(&store, &mut writer, &batch, None);
            store.release(first + per_write - 1);
        })
    });
    for thread in (0..threads).filter(|_| durability != Durability::Memory) {
        assert_eq!(reopen(&of(thread)).unwrap().0.last_index(), writes * per_write);
    }
}

/// Overwrites one zero-filled file on each thread from start to end, durably, again and again: no log can be
/// faster.
fn disk_alone(direct: bool, threads: u64, bytes: u64, writes: u64) {
    let dir = dir();
    let how = if direct { "directly" } else { "page cache and sync" };
    measure(&format!("{threads} x disk alone, {how}, {bytes} bytes"), threads, bytes, writes, |thread| {
        let path = dir.path().join(thread.to_string());
        fs::write(&path, vec![0; FILE_BYTES as usize]).unwrap();
        let (file, data) = (SystemFiles.open(&path).unwrap(), vec![0x5a; bytes as usize]);
        file.sync_all().unwrap();
        let at = move |i| i * bytes % (FILE_BYTES - bytes) / bytes * bytes;
        if direct {
            let file = SystemFiles.open_direct(&path).unwrap();
            return Box::new(move |i| file.write_durably(&mut [IoSlice::new(&data)], at(i)).unwrap());
        }
        Box::new(move |i| {
            file.write_all_at(&mut [IoSlice::new(&data)], at(i)).unwrap();
            file.sync_data().unwrap();
        })
    });
}

#[test]
#[ignore = "prints figures of the disk that it runs on"]
fn writes_per_second() {
    for _ in 0..5 {
        for (threads, blocks, writes) in [(1, 1, 2000), (1, 16, 1000), (3, 6, 1000)] {
            for direct in [false, true] {
                disk_alone(direct, threads, blocks * 4096, writes);
                log(Durability::Fsync, direct, threads, blocks as usize * 4096 - 300, 1, writes);
            }
        }
    }
    log(Durability::Os, false, 1, 4096, 1, 200_000);
    log(Durability::Os, false, 1, 64 << 10, 1, 10_000);
    log(Durability::Memory, false, 1, 4096, 1, 500_000);
}
