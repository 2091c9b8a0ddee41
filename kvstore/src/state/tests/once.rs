//! Commands that are executed once.

use bytes::Bytes;
use niagara_engine::{Frozen, GlobalPosition, Restoring, StateMachine};

use crate::command::{self, Condition};
use crate::receipts::{LEAST_MS, RETENTION_MS, WINDOW_MS};
use crate::reply::NotOnce;
use crate::{Kv, Reply};

const BEGIN: u64 = 1_000_000;

/// An increment as a request with a key: of a set, so that a second execution would fail.
fn once(key: u8, request: u8, time: u64, until: u64) -> Bytes {
    let mut command = Vec::new();
    command::encode_time(&mut command, time);
    command::encode_once(&mut command, until, [key; 16], [request; 16]);
    command::encode_set_head(&mut command, &[key], &Condition::IfAbsent, false);
    command.push(request);
    command.into()
}

fn execute(kv: &mut Kv, position: u64, command: &Bytes) -> Reply {
    kv.execute(GlobalPosition::new(position), command)
}

fn soon(key: u8, request: u8, time: u64) -> Bytes {
    once(key, request, time, time + WINDOW_MS)
}

/// The position of the first execution, if this was none.
fn again(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Again { position, reply } => {
            assert!(matches!(reply.as_deref(), Some(Reply::Stored { created: true, .. })), "{reply:?}");
            Some(*position)
        }
        _ => None,
    }
}

fn chunks(kv: &mut Kv) -> Vec<Bytes> {
    let (mut frozen, mut chunks) = (kv.freeze(), Vec::new());
    loop {
        let mut chunk = Vec::new();
        if !frozen.next_chunk(&mut chunk) {
            return chunks;
        }
        chunks.push(chunk.into());
    }
}

fn restored(chunks: &[Bytes], position: u64) -> Kv {
    let mut kv = Kv::new();
    let mut restoring = Kv::restoring(&kv.reader());
    chunks.iter().for_each(|chunk| restoring.add_chunk(chunk).unwrap());
    let digest = restoring.digest();
    kv.restore(GlobalPosition::new(position), restoring).unwrap();
    assert_eq!(kv.digest(), digest);
    kv
}

#[test]
fn what_is_sent_again_gets_its_first_answer_also_behind_a_flush() {
    let mut kv = Kv::new();
    assert!(matches!(execute(&mut kv, 1, &soon(1, 1, BEGIN)), Reply::Stored { created: true, .. }));
    let mut flush = Vec::new();
    command::encode_flush_all(&mut flush);
    execute(&mut kv, 2, &flush.into());
    assert_eq!(again(&execute(&mut kv, 3, &soon(1, 1, BEGIN + 1))), Some(1));
    assert!(kv.reader().is_empty(), "it was not executed");
    let other = execute(&mut kv, 4, &soon(1, 2, BEGIN + 2));
    assert_eq!(other, Reply::NotOnce(NotOnce::OtherRequest));
    let late = execute(&mut kv, 5, &once(2, 1, BEGIN, BEGIN + 1));
    assert_eq!(late, Reply::NotOnce(NotOnce::Late));
    assert!(kv.reader().is_empty());
    assert_eq!(kv.reader().receipts()[0], 1);
}

#[test]
fn a_receipt_ends_and_the_key_is_free_again() {
    let mut kv = Kv::new();
    execute(&mut kv, 1, &soon(1, 1, BEGIN));
    assert_eq!(again(&execute(&mut kv, 2, &soon(1, 1, BEGIN + RETENTION_MS - 1))), Some(1));
    let reply = execute(&mut kv, 3, &soon(1, 1, BEGIN + RETENTION_MS));
    assert!(matches!(reply, Reply::ConditionFailed { .. }), "it counts as new: {reply:?}");
    assert!(matches!(
        execute(&mut kv, 4, &soon(1, 1, BEGIN + RETENTION_MS)),
        Reply::Again { position: 3, .. }
    ));
}

#[test]
fn a_snapshot_remembers_and_states_that_remember_otherwise_differ() {
    let mut kv = Kv::new();
    let bare = kv.digest();
    for number in 0..200 {
        execute(&mut kv, 1 + u64::from(number), &soon(number, 1, BEGIN + u64::from(number)));
    }
    let chunks = chunks(&mut kv);
    let mut other = restored(&chunks, 200);
    assert_eq!(kv.digest(), other.digest());
    assert_eq!(other.reader().receipts(), kv.reader().receipts());
    for number in [0, 77, 199] {
        let command = soon(number, 1, BEGIN + LEAST_MS);
        let (here, there) = (execute(&mut kv, 201, &command), execute(&mut other, 201, &command));
        assert_eq!((again(&here), here), (Some(1 + u64::from(number)), there));
    }
    // Only what is remembered differs.
    let (mut one, mut another) = (Kv::new(), Kv::new());
    for (kv, request) in [(&mut one, 1), (&mut another, 2)] {
        execute(kv, 1, &soon(1, request, BEGIN));
        let mut flush = Vec::new();
        command::encode_flush_all(&mut flush);
        execute(kv, 2, &flush.into());
    }
    assert_ne!(one.digest(), another.digest());
    assert_ne!(one.digest(), bare);
}

#[test]
fn a_snapshot_with_nothing_but_receipts_has_them() {
    let mut kv = Kv::new();
    execute(&mut kv, 1, &soon(1, 1, BEGIN));
    let mut delete = Vec::new();
    command::encode_delete(&mut delete, [&[1][..]].into_iter(), &Condition::Always);
    execute(&mut kv, 2, &delete.into());
    let mut other = restored(&chunks(&mut kv), 2);
    assert_eq!(again(&execute(&mut other, 3, &soon(1, 1, BEGIN + 5))), Some(1));
}

#[test]
fn a_snapshot_shows_what_was_remembered_when_it_was_taken() {
    let mut kv = Kv::new();
    execute(&mut kv, 1, &soon(1, 1, BEGIN));
    let mut frozen = kv.freeze();
    execute(&mut kv, 2, &soon(2, 1, BEGIN));
    let (mut chunk, mut chunks) = (Vec::new(), Vec::new());
    while frozen.next_chunk(&mut chunk) {
        chunks.push(Bytes::from(std::mem::take(&mut chunk)));
    }
    let mut other = restored(&chunks, 1);
    assert!(matches!(execute(&mut other, 2, &soon(2, 1, BEGIN)), Reply::Stored { .. }));
    assert_eq!(kv.digest(), other.digest());
}
