//! Bytes per second through the frame codec, checksums included, without sockets.
//!
//! A leader sums every byte of an append once for each follower, since their messages differ in a few fields, and each
//! receiver sums it again. All of that is on the group's one core, so it bounds the bytes per second that a group can take.
//! Short frames show what a frame costs beside its bytes.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use niagara_net::{DEFAULT_MAX_FRAME_BYTES, DEFAULT_READ_BUFFER_BYTES, Frame, FrameReader};

/// Bytes of a body: a heartbeat or an acknowledgement, a few commands, a full entry, a large value.
const SIZES: [usize; 4] = [64, 4 << 10, 64 << 10, 1 << 20];

fn encode(c: &mut Criterion) {
    let mut bench = c.benchmark_group("encode a frame");
    for size in SIZES {
        let body = Bytes::from(vec![b'f'; size]);
        bench.throughput(Throughput::Bytes(size as u64));
        bench.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| Frame::from(black_box(&body).clone()));
        });
    }
    bench.finish();
}

/// Gives a stream of bytes to a reader in pieces as large as it takes, as a socket that always has more, and returns how
/// many bodies there were.
fn receive(reader: &mut FrameReader, mut stream: &[u8]) -> usize {
    let mut bodies = 0;
    while !stream.is_empty() {
        let room = reader.room();
        let (piece, rest) = stream.split_at(room.len().min(stream.len()));
        room[..piece.len()].copy_from_slice(piece);
        reader.advance(piece.len());
        stream = rest;
        while let Some(body) = reader.next_body().expect("the frames are whole") {
            black_box(body);
            bodies += 1;
        }
    }
    bodies
}

/// The reader's own copy stands for the system's.
fn decode(c: &mut Criterion) {
    let mut bench = c.benchmark_group("receive, check and cut frames");
    for size in SIZES {
        // About as much as a read call brings, at least one frame.
        let count = (DEFAULT_READ_BUFFER_BYTES / size).max(1);
        let frame = Frame::from(Bytes::from(vec![b'f'; size]));
        let stream = frame.slices().collect::<Vec<_>>().concat().repeat(count);
        let mut reader = FrameReader::new(DEFAULT_READ_BUFFER_BYTES, DEFAULT_MAX_FRAME_BYTES);
        bench.throughput(Throughput::Bytes((count * size) as u64));
        bench.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| assert_eq!(receive(&mut reader, black_box(&stream)), count));
        });
    }
    bench.finish();
}

criterion_group! { name = benches; config = crate::measured_for(1); targets = encode, decode }
