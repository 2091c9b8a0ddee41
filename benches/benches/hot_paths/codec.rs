//! What it costs to write and read the bytes in entries and between servers.
//!
//! A group's thread encodes each entry once and each append once per follower, and decodes what it receives, all on its
//! one core; the application's thread decodes every entry of every group. So these costs bound the commands per second of
//! a group and of the whole server, the more so the fewer commands share an entry. They are counted per command.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use niagara_group::batch::{EntryFill, Span, SubBatch, decode_commands, encode_commands};
use niagara_group::wire::Wire;
use raft::eraftpb::{Entry, Message, MessageType};

/// Commands per sub-batch, each of 16 bytes: one that is alone, a few, and about half of the 64 KiB of a full entry.
const COUNTS: [u32; 3] = [1, 64, 2048];

/// A server's commands, each behind its length, which for 16 bytes takes one.
fn sub_batch(server: u64, count: u32) -> SubBatch {
    let span = Span { server, incarnation: 1, lane: 0, attempt: 0, first: 1, count };
    let body = [[16].as_slice(), &[b'c'; 16]].concat().repeat(count as usize);
    SubBatch { span, lone: false, body: body.into() }
}

/// Entries: the leader joins sub-batches of several servers, and takes the buffer of a single one as it is. Each server
/// reads the heads, and walks over the commands.
fn entries(c: &mut Criterion) {
    let mut bench = c.benchmark_group("entry");
    for count in COUNTS {
        let id = |what| BenchmarkId::new(what, count);
        let three = [1, 2, 3].map(|server| sub_batch(server, count));
        bench.throughput(Throughput::Elements(count.into()));
        bench.bench_function(id("encode one sub-batch"), |b| {
            b.iter(|| encode_commands(7, black_box(&three[..1])));
        });
        bench.throughput(Throughput::Elements(3 * u64::from(count)));
        bench.bench_function(id("encode three sub-batches"), |b| {
            b.iter(|| encode_commands(7, black_box(&three)));
        });
        let (context, data) = encode_commands(7, &three);
        bench.bench_function(id("decode three sub-batches and their commands"), |b| {
            b.iter(|| walk(black_box(&context), black_box(&data)));
        });
    }
    bench.finish();
}

/// What the application does with an entry before the state machine sees it.
fn walk(context: &[u8], data: &Bytes) {
    assert!(matches!(EntryFill::of(context), Ok(EntryFill::Commands { place: 7 })));
    for batch in decode_commands(context, data).expect("it was encoded here") {
        for command in batch.commands() {
            black_box(command.as_slice());
        }
    }
}

/// An append with one entry, to one follower.
fn append(count: u32) -> Wire {
    let (context, data) = encode_commands(7, &[sub_batch(1, count)]);
    let entry = Entry { term: 3, index: 11, context, data, ..Entry::default() };
    let message = Message {
        msg_type: MessageType::MsgAppend,
        to: 2,
        from: 1,
        term: 3,
        log_term: 3,
        index: 10,
        commit: 9,
        entries: vec![entry].into(),
        ..Message::default()
    };
    Wire::Raft(Box::new(message))
}

/// A message's body as the receiver gets it: in one buffer.
fn body(wire: &Wire) -> Bytes {
    wire.encode().parts().concat().into()
}

/// Messages with commands: appends to followers, and what other servers forward to the leader, where decoding checks each
/// command. Encoding makes the frame, checksum included; for its share see the bench of frames.
fn messages(c: &mut Criterion) {
    let mut bench = c.benchmark_group("message");
    for count in COUNTS {
        bench.throughput(Throughput::Elements(count.into()));
        for (name, wire) in [("append", append(count)), ("forward", Wire::Forward(sub_batch(2, count)))] {
            bench.bench_function(BenchmarkId::new(format!("encode {name}"), count), |b| {
                b.iter(|| black_box(&wire).encode());
            });
            let body = body(&wire);
            bench.bench_function(BenchmarkId::new(format!("decode {name}"), count), |b| {
                b.iter(|| Wire::decode(black_box(&body)));
            });
        }
    }
    bench.finish();
}

/// A follower's answer to an append: one per entry and follower when entries are not joined.
fn acknowledgement(c: &mut Criterion) {
    let mut bench = c.benchmark_group("acknowledgement");
    let message = Message {
        msg_type: MessageType::MsgAppendResponse,
        to: 1,
        from: 2,
        term: 3,
        index: 11,
        commit: 9,
        ..Message::default()
    };
    let wire = Wire::Raft(Box::new(message));
    let body = body(&wire);
    bench.throughput(Throughput::Elements(1));
    bench.bench_function("encode", |b| b.iter(|| black_box(&wire).encode()));
    bench.bench_function("decode", |b| b.iter(|| Wire::decode(black_box(&body))));
    bench.finish();
}

criterion_group! { name = benches; config = crate::measured_for(1); targets = entries, messages, acknowledgement }
