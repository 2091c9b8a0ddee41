//! Appending entries to a group's log, one per write: into the shared view, and to wherever the durability says.
//!
//! Every entry passes here on every server before it is acknowledged, so this bounds a group's entries per second. They are
//! what is counted, since in memory no byte of an entry is copied. In memory and with `os` it is the processor's time, on
//! the group's own thread. With `fsync` it is the disk's, which says more about the disk and its other users than about
//! this code; in production, entries that queue up meanwhile share a sync. `NIAGARA_LOG_DIR` names a directory on the disk
//! to measure, instead of the system's temporary one.

use std::time::{Duration, Instant};
use std::{env, iter};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use niagara_log::{Durability, HardState, LogConfig, LogEntry, LogStore, LogWriter};
use tempfile::TempDir;

/// Bytes of commands in an entry: one that is small, some dozens, a full entry.
const SIZES: [usize; 3] = [64, 4 << 10, 64 << 10];

/// The log is compacted when it holds this many bytes more, or this many entries, as snapshots see to it in production: so it
/// stays within its segments, which are used again.
const COMPACT_BYTES: u64 = 32 << 20;
const COMPACT_ENTRIES: u64 = 1 << 16;

/// A log in a directory of its own.
struct Log {
    store: LogStore,
    writer: LogWriter,
    last: u64,
    _dir: TempDir,
}

impl Log {
    fn open(durability: Durability) -> Log {
        let dir = env::var_os("NIAGARA_LOG_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let dir = dir.expect("a directory can be made");
        let config = LogConfig::new(dir.path(), durability, 1);
        let (store, writer) =
            niagara_log::open(&config, &mut |_| {}).expect("an empty directory is an empty log");
        Log { store, writer, last: 0, _dir: dir }
    }

    /// Appends and writes an entry, and lets go of it as the merge does.
    fn append(&mut self, data: &Bytes) {
        self.last += 1;
        let entry =
            LogEntry { index: self.last, term: 1, kind: 0, context: Bytes::new(), data: data.clone() };
        let state = HardState { term: 1, vote: 1, commit: self.last - 1 };
        self.store.append(std::slice::from_ref(&entry));
        self.writer.write(&[entry], Some(state)).expect("the disk takes it");
        self.store.release(self.last);
    }

    fn compact(&mut self) {
        let floor = self.store.compact_to(self.last);
        self.writer.compact(floor).expect("the disk takes it");
    }

    /// Appends so many entries; compaction is not measured.
    fn append_all(&mut self, data: &Bytes, entries: u64) -> Duration {
        let between = (COMPACT_BYTES / data.len() as u64).min(COMPACT_ENTRIES);
        let mut left = entries;
        let batches = iter::from_fn(|| {
            let batch = left.min(between);
            left -= batch;
            (batch > 0).then_some(batch)
        });
        let measured = batches.map(|batch| {
            let begun = Instant::now();
            (0..batch).for_each(|_| self.append(data));
            let took = begun.elapsed();
            self.compact();
            took
        });
        measured.sum()
    }
}

fn append(c: &mut Criterion, name: &str, durability: Durability) {
    let mut bench = c.benchmark_group(name);
    if durability == Durability::Fsync {
        bench.sample_size(10);
    }
    for size in SIZES {
        let mut log = Log::open(durability);
        let data = Bytes::from(vec![b'e'; size]);
        bench.throughput(Throughput::Elements(1));
        bench.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter_custom(|entries| log.append_all(&data, entries));
        });
    }
    bench.finish();
}

fn memory(c: &mut Criterion) {
    append(c, "log, memory", Durability::Memory);
}

fn os(c: &mut Criterion) {
    append(c, "log, os", Durability::Os);
}

fn fsync(c: &mut Criterion) {
    append(c, "log, fsync (bound by the disk)", Durability::Fsync);
}

criterion_group! { name = benches; config = crate::measured_for(1).sample_size(30); targets = memory, os, fsync }
