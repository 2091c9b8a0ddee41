//! What a snapshot costs a large map: `cargo bench -p niagara-benches --bench kv_snapshot [-- KEYS]`, a million keys
//! unless told otherwise. With `-- small`, it tells what so many small keys take in memory, and no
//! more; with `-- small expiring`, what they take if each has a deadline.
//!
//! It prints figures of single moments, such as the longest write while the map grew, which criterion's repetitions would
//! average away.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use niagara_engine::{Frozen, GlobalPosition, Restoring, StateMachine};
use niagara_kvstore::command::{self, Condition};
use niagara_kvstore::{Kv, KvFrozen, KvReader};

const VALUE_BYTES: usize = 100;

/// What many caches hold: keys of 16 bytes with such values.
const SMALL_VALUE_BYTES: usize = 32;

/// Writes and reads of one measurement.
const OPERATIONS: u64 = 1_000_000;

/// From here on, a write may have been interrupted.
const LONG: Duration = Duration::from_micros(50);

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` run this, too; it need not take long then.
    let is_given = |name| std::env::args().any(|arg| arg == name);
    let few = if is_given("--bench") && !is_given("--test") { 1_000_000 } else { 1000 };
    let keys = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(few);
    if is_given("small") {
        return measure_small(keys, is_given("expiring"));
    }
    println!("{keys} keys of 8 to 20 bytes, values of {VALUE_BYTES} bytes");
    let mut map = Writer::new();
    let reader = map.kv.reader();

    let empty = resident_bytes();
    map.set_all("fill", 0..keys);
    println!("{:28} {:>10} bytes", "memory per key", (resident_bytes() - empty) / keys.max(1));
    map.set_random("set", keys, OPERATIONS);
    get_random("get", &reader, keys);

    let (frozen, took) = timed(|| map.kv.freeze());
    print_time("freeze", took);
    map.walk_beside(frozen, keys, &reader);

    let mut frozen = map.kv.freeze();
    let (chunks, took) = timed(|| chunks(&mut frozen));
    print_time("walk, alone", took);
    drop(frozen);
    restore(&mut map, &chunks);

    let frozen = map.kv.freeze();
    map.set_random("set, frozen, not walked", keys, OPERATIONS);
    print_time("drop the view", timed(|| drop(frozen)).1);
}

/// Prints what small keys take, and how fast they are written and read.
fn measure_small(keys: u64, expiring: bool) {
    let with_deadlines = if expiring { ", with deadlines" } else { "" };
    println!("{keys} keys of 16 bytes, values of {SMALL_VALUE_BYTES} bytes{with_deadlines}");
    let mut map = Writer::new();
    let empty = resident_bytes();
    for number in 0..keys {
        match expiring {
            true => map.set_lasting(&small_key(number), &[b'v'; SMALL_VALUE_BYTES], 1_000_000 + number),
            false => map.set(&small_key(number), &[b'v'; SMALL_VALUE_BYTES]),
        }
    }
    println!("{:28} {:>10} bytes", "memory per key", (resident_bytes() - empty) / keys.max(1));
    let mut state = 7;
    let random_key = |state: &mut u64| small_key(random(state) % keys);
    // By the processor's time, so that what else the machine does matters less.
    let rate = |name: &str, mut each: Box<dyn FnMut() + '_>| {
        let begun = processor_time();
        (0..OPERATIONS).for_each(|_| each());
        print_rate(name, OPERATIONS, processor_time().saturating_sub(begun));
    };
    rate("set", Box::new(|| map.set(&random_key(&mut state), &[b'w'; SMALL_VALUE_BYTES])));
    let reader = map.kv.reader();
    rate("get", Box::new(|| assert!(reader.get(&random_key(&mut state)).is_some())));
    rate("incr", Box::new(|| map.count(&[b"count", &random_key(&mut state)[8..]].concat())));
}

fn small_key(number: u64) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

/// The store with what the next command needs.
struct Writer {
    kv: Kv,
    position: u64,
    state: u64,
}

impl Writer {
    fn new() -> Writer {
        Writer { kv: Kv::new(), position: 1, state: 1 }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        let mut bytes = Vec::with_capacity(VALUE_BYTES + 40);
        command::encode_set_head(&mut bytes, key, &Condition::Always, false);
        bytes.extend_from_slice(value);
        self.execute(bytes);
    }

    fn set_lasting(&mut self, key: &[u8], value: &[u8], milliseconds: u64) {
        let mut bytes = Vec::with_capacity(VALUE_BYTES + 40);
        command::encode_time(&mut bytes, self.position);
        command::encode_lasting(&mut bytes, NonZeroU64::new(milliseconds).expect("it is not 0"));
        command::encode_set_head(&mut bytes, key, &Condition::Always, false);
        bytes.extend_from_slice(value);
        self.execute(bytes);
    }

    fn count(&mut self, key: &[u8]) {
        let mut bytes = Vec::new();
        command::encode_incr_by(&mut bytes, key, 1);
        self.execute(bytes);
    }

    fn execute(&mut self, command: Vec<u8>) {
        self.position += 1;
        self.kv.execute(GlobalPosition::new(self.position), &command.into());
    }

    /// Sets these keys and prints how long the longest took, other than for want of a core: growing must not make anybody
    /// wait.
    fn set_all(&mut self, name: &str, numbers: impl Iterator<Item = u64>) {
        let (mut longest, mut preempted) = (Duration::ZERO, preemptions());
        let (mut count, begun) = (0, Instant::now());
        let mut before = begun;
        for number in numbers {
            self.set(&key(number), &[b'v'; VALUE_BYTES]);
            let now = Instant::now();
            if now - before > longest && preempted == preemptions() {
                longest = now - before;
            }
            if now - before > LONG {
                preempted = preemptions();
            }
            (before, count) = (Instant::now(), count + 1);
        }
        print_rate(name, count, begun.elapsed());
        print_time("  the longest", longest);
    }

    fn set_random(&mut self, name: &str, keys: u64, count: u64) {
        let mut state = self.state;
        self.set_all(name, (0..count).map(|_| random(&mut state) % keys));
        self.state = state;
    }

    /// Writes and reads while another thread walks the view.
    fn walk_beside(&mut self, mut frozen: KvFrozen, keys: u64, reader: &KvReader) {
        let done = AtomicBool::new(false);
        let (mut before, mut most) = (resident_bytes(), 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut chunk = Vec::new();
                let (bytes, took) = timed(|| {
                    let mut bytes = 0;
                    while frozen.next_chunk(&mut chunk) {
                        bytes += chunk.len();
                        chunk.clear();
                    }
                    bytes
                });
                done.store(true, Ordering::Release);
                print_time("walk, beside writes", took);
                println!("{:28} {:>10} MB", "  written", bytes / 1_000_000);
            });
            while !done.load(Ordering::Acquire) {
                self.set_random("set, beside a walk", keys, OPERATIONS / 10);
                let now = resident_bytes();
                before = before.min(now);
                most = most.max(now - before);
            }
            println!("{:28} {:>10} MB", "  more memory meanwhile", most / 1_000_000);
        });
        get_random("get, after it", reader, keys);
    }
}

fn restore(map: &mut Writer, chunks: &[Bytes]) {
    let (restoring, took) = timed(|| {
        let mut restoring = Kv::restoring(&map.kv.reader());
        for chunk in chunks {
            restoring.add_chunk(chunk).expect("a view's chunks are a state");
        }
        restoring
    });
    print_time("read the chunks", took);
    let position = GlobalPosition::new(map.position);
    let (restored, took) = timed(|| map.kv.restore(position, restoring));
    restored.expect("a view's chunks are a state");
    print_time("restore", took);
}

fn get_random(name: &str, reader: &KvReader, keys: u64) {
    let mut state = 7;
    let (found, took) =
        timed(|| (0..OPERATIONS).filter(|_| reader.get(&key(random(&mut state) % keys)).is_some()).count());
    assert_eq!(found as u64, OPERATIONS);
    print_rate(name, OPERATIONS, took);
}

fn chunks(frozen: &mut KvFrozen) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    while frozen.next_chunk(&mut chunk) {
        chunks.push(Bytes::from(std::mem::take(&mut chunk)));
    }
    chunks
}

/// Keys of 8 to 20 bytes, all different.
fn key(number: u64) -> Vec<u8> {
    let mut key = format!("{number:08}").into_bytes();
    key.resize(8 + (number % 13) as usize, b'k');
    key
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// How often this thread was made to leave its core, on Linux.
fn preemptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:")?.trim().parse().ok())
}

/// How long this thread has run, on Linux.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(statistics.split(' ').next().and_then(|spent| spent.parse().ok()).unwrap_or(0))
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = run();
    (result, begun.elapsed())
}

fn print_time(name: &str, took: Duration) {
    println!("{name:28} {:>10.3} ms", took.as_secs_f64() * 1e3);
}

fn print_rate(name: &str, count: u64, took: Duration) {
    println!("{name:28} {:>10.0} per second", count as f64 / took.as_secs_f64());
}

/// What the process has in memory, on Linux.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
