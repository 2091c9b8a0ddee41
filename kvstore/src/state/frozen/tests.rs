use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use niagara_engine::{GlobalPosition, Restoring, StateMachine};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::chunk::snapshot_entries;
use super::super::tests::{Step, delete, execute, run, set, step};
use super::super::{Kv, KvReader, KvRestoring};
use super::*;
use crate::attributes::Attributes;
use crate::command::Condition;
use crate::state::content::Content;
use crate::{Description, Life, Version, command};

type Contents = Vec<(Vec<u8>, Bytes, Version)>;

fn read(chunk: &[u8]) -> Contents {
    let entry = |entry: Result<chunk::SnapshotEntry<'_>, _>| {
        let entry = entry.unwrap();
        (entry.key.to_vec(), Bytes::copy_from_slice(entry.value), entry.version)
    };
    snapshot_entries(chunk).map(entry).collect()
}

/// Everything that is left of a view.
fn rest(frozen: &mut KvFrozen) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    while frozen.next_chunk(&mut chunk) {
        chunks.push(Bytes::from(std::mem::take(&mut chunk)));
    }
    assert!(chunk.is_empty());
    chunks
}

fn sorted(chunks: &[impl AsRef<[u8]>]) -> Contents {
    let mut contents: Contents = chunks.iter().flat_map(|chunk| read(chunk.as_ref())).collect();
    contents.sort();
    contents
}

fn restored(reader: &KvReader, chunks: &[Bytes]) -> KvRestoring {
    let mut restoring = Kv::restoring(reader);
    for chunk in chunks {
        restoring.add_chunk(chunk).unwrap();
    }
    restoring
}

fn nothing_is_frozen(kv: &Kv) -> bool {
    (0..1 << SHARD_BITS).all(|number| !kv.map.read(number).is_frozen())
}

/// A state with these keys. Every fifth has a value that is copied without the shard's lock.
fn filled(keys: Range<u8>) -> Kv {
    let mut kv = Kv::new();
    for key in keys {
        let length = if key % 5 == 0 { SHARED_VALUE_BYTES } else { 3 };
        set(&mut kv, 1, &[key], &vec![key; length]);
    }
    kv
}

/// What happens while a view is walked.
#[derive(Clone, Debug)]
enum Event {
    /// Several commands may share a position.
    Run(Step, u64),
    /// A state of two keys is restored.
    Restore,
    /// The walk advances by this many tables, or parts of them.
    Walk(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => (step(0..60), 0u64..2).prop_map(|(step, forward)| Event::Run(step, forward)),
        1 => Just(Event::Restore),
        20 => (0usize..20).prop_map(Event::Walk),
    ]
}

/// Walks in the smallest steps.
fn walk(frozen: &mut KvFrozen, chunk: &mut Vec<u8>, steps: usize) {
    for _ in 0..steps {
        frozen.walk(chunk, 1);
        while let Some(entry) = frozen.ready.pop() {
            chunk::write_entry(chunk, &SnapshotEntry::of(&entry, Spaces::default()));
        }
    }
}

proptest! {
    /// Whatever happens during the walk, a view is the state as it was.
    #[test]
    fn a_view_is_one_moment_of_the_state(
        before in vec(step(0..60), 0..30),
        events in vec(event(), 0..60),
        ends in any::<bool>(),
    ) {
        let mut kv = filled(0..50);
        let mut other = filled(0..2);
        let other = rest(&mut other.freeze());
        for step in &before {
            execute(&mut kv, 2, step);
        }
        let expected = kv.reader().entries();
        let mut frozen = kv.freeze();
        let mut chunk = vec![];
        chunk::begin(&mut chunk, Stamp::default(), b"", &[]);
        let mut position = 3;
        for event in &events {
            match event {
                Event::Run(step, forward) => {
                    position += forward;
                    execute(&mut kv, position, step);
                }
                Event::Restore => {
                    let state = restored(&kv.reader(), &other);
                    kv.restore(GlobalPosition::new(position), state).unwrap();
                    position += 1;
                }
                Event::Walk(steps) => walk(&mut frozen, &mut chunk, *steps),
            }
        }
        if ends {
            let mut chunks = rest(&mut frozen);
            prop_assert!(nothing_is_frozen(&kv));
            chunks.push(chunk.into());
            prop_assert_eq!(sorted(&chunks), expected);
        }
        drop(frozen);
        prop_assert!(nothing_is_frozen(&kv));
        prop_assert_eq!(sorted(&rest(&mut kv.freeze())), kv.reader().entries());
    }

    /// A restored server answers like one that has executed everything, including versions.
    #[test]
    fn a_restored_state_goes_on_as_the_original(
        before in vec((step(0..20), 0u64..2), 0..40),
        replaced in vec(step(0..20), 0..20),
        after in vec((step(0..20), 0u64..2), 0..40),
    ) {
        let (mut kv, mut other) = (filled(0..10), Kv::new());
        let mut position = 1;
        for (step, forward) in &before {
            position += forward;
            execute(&mut kv, position, step);
        }
        for step in &replaced {
            execute(&mut other, 1, step);
        }
        let reader = other.reader();
        let state = restored(&reader, &rest(&mut kv.freeze()));
        other.restore(GlobalPosition::new(position), state).unwrap();
        prop_assert_eq!(reader.entries(), kv.reader().entries());
        prop_assert_eq!(reader.position(), position);
        prop_assert_eq!(reader.len(), kv.reader().len());
        position += 1;
        for (step, forward) in &after {
            position += forward;
            prop_assert_eq!(execute(&mut kv, position, step), execute(&mut other, position, step));
        }
        prop_assert_eq!(reader.entries(), kv.reader().entries());
    }
}

/// What changes in the middle of a shard is saved from exactly where the walk is, and not before.
#[test]
fn each_entry_of_a_shard_is_walked_or_saved() {
    for walked in 0..10 {
        let mut kv = Kv::new();
        let map = Arc::clone(&kv.map);
        let keys = (0..u32::MAX).map(u32::to_be_bytes).filter(|key| map.place(key).shard() == 5);
        let keys: Vec<[u8; 4]> = keys.take(10).collect();
        for key in &keys {
            set(&mut kv, 1, key, b"before");
        }
        let expected = kv.reader().entries();
        let mut frozen = kv.freeze();
        let mut chunk = Vec::new();
        chunk::begin(&mut chunk, Stamp::default(), b"", &[]);
        walk(&mut frozen, &mut chunk, 5 + walked);
        for key in &keys {
            set(&mut kv, 2, key, b"after");
        }
        let mut chunks = rest(&mut frozen);
        chunks.push(chunk.into());
        assert_eq!(sorted(&chunks), expected, "after {walked} of 10");
    }
}

/// Tables grow during the walk, keys come and go, and finally everything is removed.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_walk_beside_a_writer_sees_one_moment() {
    let mut kv = Kv::new();
    for i in 0..40_000u32 {
        set(&mut kv, 1, &i.to_be_bytes(), b"before");
    }
    for round in 0..4u64 {
        let expected = kv.reader().entries();
        let mut frozen = kv.freeze();
        let walked = AtomicBool::new(false);
        thread::scope(|scope| {
            let walker = scope.spawn(|| {
                let chunks = rest(&mut frozen);
                walked.store(true, Ordering::Release);
                sorted(&chunks)
            });
            let position = 2 + round;
            for count in (0..40_000u32).cycle() {
                let i = count.wrapping_mul(7919) % 90_000;
                set(&mut kv, position, &i.to_be_bytes(), &round.to_be_bytes());
                delete(&mut kv, position, &[&(i / 2).to_be_bytes()]);
                if count == 500 && round == 3 {
                    run(&mut kv, position, command::encode_flush_all);
                }
                if walked.load(Ordering::Acquire) {
                    break;
                }
            }
            assert!(walker.join().unwrap() == expected, "round {round}");
        });
        assert!(nothing_is_frozen(&kv));
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn readers_see_a_restored_state_all_at_once() {
    let pair: [&[u8]; 2] = [b"one", b"two"];
    let pair = || pair.iter().copied();
    let mut kv = Kv::new();
    let reader = kv.reader();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let values = reader.get_many(pair());
                assert!(values[0] == values[1], "half a state: {values:?}");
            }
        });
        for position in 1..300 {
            let mut other = Kv::new();
            for key in pair() {
                set(&mut other, position, key, &position.to_be_bytes());
            }
            let state = restored(&kv.reader(), &rest(&mut other.freeze()));
            kv.restore(GlobalPosition::new(position), state).unwrap();
            assert_eq!(kv.reader().position(), position);
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn a_view_keeps_no_more_than_what_was_changed() {
    let mut kv = filled(0..200);
    let frozen = kv.freeze();
    for round in 2..5 {
        for key in 0..10 {
            set(&mut kv, round, &[key], b"changed");
            set(&mut kv, round, &[key, 1], b"new");
        }
    }
    let mut saved = Vec::new();
    frozen.view.drain_saved(&mut saved);
    saved.sort_by(|one, other| one.key().cmp(other.key()));
    let keys: Vec<u8> = saved.iter().map(|entry| entry.key()[0]).collect();
    assert_eq!(keys, (0..10).collect::<Vec<u8>>());
}

#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn chunks_are_about_as_large_as_they_should_be() {
    let mut kv = Kv::new();
    let large = vec![7; 3 * CHUNK_BYTES];
    for i in 0..5000u32 {
        set(&mut kv, 1, &i.to_be_bytes(), &large[..(i as usize * 13) % 6000]);
    }
    set(&mut kv, 1, b"large", &large);
    let chunks = rest(&mut kv.freeze());
    assert_eq!(sorted(&chunks), kv.reader().entries());
    for (i, chunk) in chunks.iter().enumerate() {
        if chunk.len() > large.len() {
            assert_eq!(read(chunk).len(), 1, "a large value has a chunk of its own");
        } else {
            assert!(chunk.len() < CHUNK_BYTES + 7000, "a chunk of {} bytes", chunk.len());
            // Before the large value a chunk ends early.
            assert!(
                chunk.len() > CHUNK_BYTES / 2 || i + 2 >= chunks.len() || chunks[i + 1].len() > large.len()
            );
        }
    }
}

#[test]
fn keys_of_equal_place_are_walked_together() {
    let mut tables = Tables::default();
    for (key, place) in [(b"a", 5), (b"b", 7), (b"c", 7), (b"d", 7), (b"e", u64::MAX >> SHARD_BITS)] {
        let version = Version { position: 1, further: 0 };
        tables.insert_absent(Entry::new(
            Place(place),
            key,
            Content::Copied(b""),
            version,
            Attributes::default(),
        ));
    }
    let view = View::new(1);
    let mut at = Place::start_of(0);
    let mut steps = Vec::new();
    loop {
        let mut chunk = Vec::new();
        chunk::begin(&mut chunk, Stamp::default(), b"", &[]);
        let next = copy_out((&view, Spaces::default()), &tables, at, &mut chunk, 1, &mut Vec::new());
        steps.push(read(&chunk).len());
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    assert_eq!(steps, [1, 3, 1]);
}

#[test]
#[should_panic(expected = "slots_rise")]
fn no_command_follows_at_a_position_that_was_frozen() {
    let mut kv = filled(0..1);
    drop(kv.freeze());
    set(&mut kv, 1, b"k", b"v");
}

#[test]
#[should_panic(expected = "slots_rise")]
fn no_command_follows_at_a_position_that_was_restored() {
    let mut kv = Kv::new();
    let state = Kv::restoring(&kv.reader());
    kv.restore(GlobalPosition::new(5), state).unwrap();
    set(&mut kv, 5, b"k", b"v");
}

#[test]
fn what_is_no_state_is_refused() {
    let mut kv = filled(0..3);
    let chunks = rest(&mut kv.freeze());
    let reader = kv.reader();
    let before = reader.entries();
    let mut twice = restored(&reader, &chunks);
    assert!(twice.add_chunk(&chunks[0]).is_err());
    assert!(Kv::restoring(&reader).add_chunk(&chunks[0].slice(..chunks[0].len() - 1)).is_err());
    assert_eq!(kv.reader().entries(), before);
    let mut other = Kv::new();
    set(&mut kv, 9, b"late", b"");
    let state = restored(&other.reader(), &rest(&mut kv.freeze()));
    assert!(other.restore(GlobalPosition::new(8), state).is_err());
    assert!(other.reader().is_empty());
}

/// The life and descriptions are part of the state, like values.
#[test]
fn a_life_and_descriptions_come_back() {
    let life = |number| Life::new(number).unwrap();
    let zipped = Description { content_type: b"text/plain", content_encoding: b"gzip" };
    let mut kv = Kv::new();
    run(&mut kv, 1, |out| command::encode_name_life(out, life(7)));
    run(&mut kv, 1, |out| command::encode_name_life(out, life(8)));
    let large = vec![b'v'; SHARED_VALUE_BYTES];
    for (key, value) in [(b"large", large.as_slice()), (b"small", b"v")] {
        run(&mut kv, 2, |out| {
            command::encode_put_head(out, key, &Condition::Always, false, zipped);
            out.extend_from_slice(value);
        });
    }
    set(&mut kv, 2, b"plain", b"v");
    let mut frozen = kv.freeze();
    // What is changed while it is written is saved with its description.
    set(&mut kv, 3, b"small", b"w");
    let chunks = rest(&mut frozen);
    drop(frozen);

    let mut other = Kv::new();
    let state = restored(&other.reader(), &chunks);
    other.restore(GlobalPosition::new(2), state).unwrap();
    let reader = other.reader();
    assert_eq!(reader.life(), Some(life(7)), "the first name counts");
    let described = |key: &[u8], description| {
        assert!(reader.with(key, |found| found.unwrap().description == description), "{key:?}");
    };
    described(b"large", zipped);
    described(b"small", zipped);
    described(b"plain", Description::NONE);
    assert_eq!(reader.sizes().0, 3);
    assert!(
        kv.reader().with(b"small", |found| found.unwrap().description.is_empty()),
        "a plain set has no description"
    );
}

/// A state without keys keeps its life, too.
#[test]
fn a_life_without_keys_comes_back() {
    let mut kv = Kv::new();
    assert_eq!(rest(&mut kv.freeze()).len(), 0);
    run(&mut kv, 1, |out| command::encode_name_life(out, Life::new(7).unwrap()));
    let chunks = rest(&mut kv.freeze());
    assert_eq!(chunks.len(), 1);
    let mut other = Kv::new();
    let state = restored(&other.reader(), &chunks);
    other.restore(GlobalPosition::new(1), state).unwrap();
    assert_eq!(other.reader().life(), Life::new(7));
}

#[test]
fn chunks_of_different_lives_are_no_state() {
    let [one, two] = [1, 2].map(|number| {
        let mut chunk = Vec::new();
        chunk::begin(&mut chunk, Stamp { life: Life::new(number), ..Stamp::default() }, b"", &[]);
        Bytes::from(chunk)
    });
    let mut restoring = Kv::restoring(&Kv::new().reader());
    restoring.add_chunk(&one).unwrap();
    restoring.add_chunk(&one).unwrap();
    assert!(restoring.add_chunk(&two).is_err());
}

/// A snapshot of an earlier version has no life: the first command that names one sets it.
#[test]
fn a_state_of_before_is_named_once() {
    let mut kv = Kv::new();
    let state = restored(&kv.reader(), &[Bytes::from_static(b"\x01\x01\x01\x05\0kv")]);
    kv.restore(GlobalPosition::new(9), state).unwrap();
    assert_eq!(kv.reader().life(), None);
    assert_eq!(kv.reader().get(b"k").unwrap().0, "v");
    run(&mut kv, 10, |out| command::encode_name_life(out, Life::new(7).unwrap()));
    assert_eq!(kv.reader().life(), Life::new(7));
}
