//! Commands per second through the key-value state machine, and reads beside it, on one core.
//!
//! One thread executes the whole global log, whatever the number of groups, so this is the ceiling of the store's writes
//! per second. Reads have the front ends' threads; what one costs bounds the reads per second and core. Keys and values
//! have 16 bytes, and 100,000 keys exist, more than the processor's nearer caches hold.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group};
use niagara_engine::{GlobalPosition, StateMachine};
use niagara_group::batch::{Span, SubBatch, put_command};
use niagara_kvstore::command::{self, Condition};
use niagara_kvstore::{Kv, Reply};

const KEYS: u64 = 100_000;

/// Batches are executed in turn, so that the next one's keys are not in the nearest cache.
const BATCHES: usize = 512;

/// Commands that share an entry.
const BATCH_COMMANDS: usize = 64;

/// Keys of an MSET.
const MSET_KEYS: usize = 10;

/// A state with what the next command needs.
struct Writer {
    kv: Kv,
    position: u64,
    replies: Vec<Reply>,
}

impl Writer {
    fn new() -> Writer {
        let mut writer = Writer { kv: Kv::new(), position: 0, replies: Vec::new() };
        let keys: Vec<u64> = (0..KEYS).collect();
        keys.chunks(1000).for_each(|keys| writer.apply(&batch(keys.iter().map(|number| set(*number)))));
        writer
    }

    /// Executes a batch at a position of its own, as an entry.
    fn apply(&mut self, batch: &SubBatch) {
        self.position += 1;
        self.kv.apply(GlobalPosition::new(self.position), batch.commands(), &mut self.replies);
        assert_eq!(self.replies.len(), batch.span.count as usize);
        self.replies.clear();
    }
}

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"key/000000000000";
    for digit in (4..16).rev().zip(number.to_string().bytes().rev()) {
        key[digit.0] = digit.1;
    }
    key
}

fn set(number: u64) -> Vec<u8> {
    let mut command = Vec::new();
    command::encode_set_head(&mut command, &key(number), &Condition::Always, false);
    command.extend_from_slice(&[b'v'; 16]);
    command
}

/// Counters have keys of their own, since a value of 16 letters is no number.
fn increment(number: u64) -> Vec<u8> {
    let mut command = Vec::new();
    command::encode_incr_by(&mut command, &key(KEYS + number), 1);
    command
}

fn mset(first: u64) -> Vec<u8> {
    let keys: Vec<[u8; 16]> = (0..MSET_KEYS as u64).map(|more| key((first + more * 7919) % KEYS)).collect();
    let mut command = Vec::new();
    let value = [b'm'; 16];
    command::encode_mset(&mut command, keys.iter().map(|key| (&key[..], &value[..])), false);
    command
}

/// Commands as an entry carries them.
fn batch(commands: impl Iterator<Item = Vec<u8>>) -> SubBatch {
    let (mut body, mut count) = (BytesMut::new(), 0);
    for command in commands {
        put_command(&mut body, &command);
        count += 1;
    }
    let span = Span { server: 1, incarnation: 1, lane: 0, attempt: 0, first: 1, count };
    let batch = SubBatch { span, lone: false, body: body.freeze() };
    assert_eq!(batch.check(), Ok(()));
    batch
}

/// Key numbers without an order (xorshift).
fn random_keys() -> impl Iterator<Item = u64> {
    let mut state = 7u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % KEYS
    })
}

fn writes(c: &mut Criterion) {
    let mut bench = c.benchmark_group("apply, per command");
    type Kind = (&'static str, fn(u64) -> Vec<u8>);
    let kinds: [Kind; 3] = [("set", set), ("incr", increment), ("mset of 10", mset)];
    for (name, command) in kinds {
        let mut writer = Writer::new();
        let mut keys = random_keys();
        let batches: Vec<SubBatch> =
            (0..BATCHES).map(|_| batch(keys.by_ref().take(BATCH_COMMANDS).map(command))).collect();
        bench.throughput(Throughput::Elements((BATCHES * BATCH_COMMANDS) as u64));
        bench.bench_function(name, |b| b.iter(|| batches.iter().for_each(|batch| writer.apply(batch))));
    }
    bench.finish();
}

fn reads(c: &mut Criterion) {
    let mut bench = c.benchmark_group("read, per key");
    let reader = Writer::new().kv.reader();
    let keys: Vec<[u8; 16]> = random_keys().take(BATCHES * BATCH_COMMANDS).map(key).collect();
    bench.throughput(Throughput::Elements(keys.len() as u64));
    bench.bench_function("get", |b| {
        b.iter(|| keys.iter().for_each(|key| drop(black_box(reader.get(key).expect("all keys exist")))));
    });
    bench.bench_function("length of the value, without a clone of it", |b| {
        let length = |key: &[u8; 16]| reader.with(key, |found| found.map_or(0, |found| found.value.len()));
        b.iter(|| assert_eq!(keys.iter().map(length).sum::<usize>(), 16 * keys.len()));
    });
    bench.bench_function("mget of 10", |b| {
        b.iter(|| {
            for keys in keys.chunks(MSET_KEYS) {
                black_box(reader.get_many(keys.iter().map(|key| &key[..])));
            }
        });
    });
    bench.finish();
}

criterion_group! { name = benches; config = crate::measured_for(1).sample_size(20); targets = writes, reads }
