//! Keys that expire, against a model; and what removes them.

use std::time::{Duration, Instant};

use super::digest::restored;
use super::*;
use crate::command::Watch;
use crate::{Data, Op};

fn call(kv: &mut Kv, position: u64, time: u64, op: Op, words: &[&[u8]]) -> Data {
    let reply = run(kv, position, |out| {
        command::encode_time(out, time);
        command::encode_call(out, op, words.iter().copied());
    });
    match reply {
        Reply::Data(data) => data,
        other => panic!("a call is answered with {other:?}"),
    }
}

fn advance(kv: &mut Kv, position: u64, time: u64) {
    assert_eq!(run(kv, position, |out| command::encode_advance(out, time)), Reply::Timed);
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Option<u16>),
    KeepTtl(u8),
    Append(u8),
    Expire(u8, i16),
    Persist(u8),
    Rename(u8, u8),
    Delete(u8),
    Advance,
    Look(u8),
    Restore,
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..4u8;
    prop_oneof![
        4 => (key(), prop::option::of(1..500u16)).prop_map(|(key, lasts)| Step::Set(key, lasts)),
        1 => key().prop_map(Step::KeepTtl),
        1 => key().prop_map(Step::Append),
        3 => (key(), -50..500i16).prop_map(|(key, lasts)| Step::Expire(key, lasts)),
        1 => key().prop_map(Step::Persist),
        1 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => key().prop_map(Step::Delete),
        3 => Just(Step::Advance),
        4 => key().prop_map(Step::Look),
        1 => Just(Step::Restore),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    /// Times rise by up to 200 ms from step to step, or fall, as those of different servers may.
    #[test]
    fn keys_last_as_a_model_says(steps in vec((step(), -100..200i64), 1..120)) {
        let mut kv = Kv::new();
        let mut model: BTreeMap<u8, (Vec<u8>, Option<u64>)> = BTreeMap::new();
        let (mut clock, mut time) = (0, 1_000_000u64);
        for (position, (step, passed)) in (1..).zip(steps) {
            time = time.saturating_add_signed(passed);
            let key = |key: u8| [b'k', key];
            // What the model does when a command carries the time.
            let mut timed = |model: &mut BTreeMap<u8, (Vec<u8>, Option<u64>)>| {
                clock = clock.max(time);
                model.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| deadline > clock));
                clock
            };
            match step {
                Step::Set(at, None) => {
                    set(&mut kv, position, &key(at), b"v");
                    model.insert(at, (b"v".to_vec(), None));
                }
                Step::Set(at, Some(lasts)) => {
                    let clock = timed(&mut model);
                    let lasts_text = lasts.to_string();
                    let words: [&[u8]; 4] = [&key(at), b"w", b"PX", lasts_text.as_bytes()];
                    prop_assert_eq!(call(&mut kv, position, time, Op::Set, &words), Data::OK);
                    model.insert(at, (b"w".to_vec(), Some(clock + u64::from(lasts))));
                }
                Step::KeepTtl(at) => {
                    timed(&mut model);
                    let words: [&[u8]; 3] = [&key(at), b"x", b"KEEPTTL"];
                    call(&mut kv, position, time, Op::Set, &words);
                    let deadline = model.get(&at).and_then(|(_, deadline)| *deadline);
                    model.insert(at, (b"x".to_vec(), deadline));
                }
                Step::Append(at) => {
                    run(&mut kv, position, |out| command::encode_append(out, &key(at), b"+"));
                    model.entry(at).or_default().0.push(b'+');
                }
                Step::Expire(at, lasts) => {
                    let clock = timed(&mut model);
                    let lasts_text = lasts.to_string();
                    let words: [&[u8]; 2] = [&key(at), lasts_text.as_bytes()];
                    let expected = model.contains_key(&at);
                    prop_assert_eq!(call(&mut kv, position, time, Op::PExpire, &words), Data::flag(expected));
                    if lasts <= 0 {
                        model.remove(&at);
                    } else if let Some((_, deadline)) = model.get_mut(&at) {
                        *deadline = Some(clock + lasts.unsigned_abs() as u64);
                    }
                }
                Step::Persist(at) => {
                    timed(&mut model);
                    let expected = model.get_mut(&at).is_some_and(|(_, deadline)| deadline.take().is_some());
                    prop_assert_eq!(call(&mut kv, position, time, Op::Persist, &[&key(at)]), Data::flag(expected));
                }
                Step::Rename(from, to) => {
                    timed(&mut model);
                    let renamed = call(&mut kv, position, time, Op::Rename, &[&key(from), &key(to)]);
                    match model.remove(&from) {
                        Some(value) => {
                            prop_assert_eq!(renamed, Data::OK);
                            model.insert(to, value);
                        }
                        None => prop_assert!(matches!(renamed, Data::Error(_))),
                    }
                }
                Step::Delete(at) => {
                    let removed = delete(&mut kv, position, &[&key(at)]);
                    prop_assert_eq!(removed, Reply::Deleted { removed: model.remove(&at).is_some().into() });
                }
                Step::Advance => {
                    timed(&mut model);
                    advance(&mut kv, position, time);
                    prop_assert_eq!(kv.reader().len(), model.len() as u64, "what has expired is removed");
                }
                Step::Look(at) => {
                    timed(&mut model);
                    let left = call(&mut kv, position, time, Op::PTtl, &[&key(at)]);
                    let expected = match model.get(&at) {
                        None => -2,
                        Some((_, None)) => -1,
                        Some((_, Some(deadline))) => (deadline - clock) as i64,
                    };
                    prop_assert_eq!(left, Data::Integer(expected));
                }
                Step::Restore => {
                    kv = restored(&mut kv);
                }
                Step::Flush => {
                    run(&mut kv, position, command::encode_flush_all);
                    model.clear();
                }
            }
            let shown: Vec<_> = kv.reader().entries().into_iter().map(|(key, value, _)| (key[1], value.to_vec())).collect();
            let expected: Vec<_> = model.iter().map(|(key, (value, _))| (*key, value.clone())).collect();
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(kv.reader().clock(), clock);
            let next = model.values().filter_map(|(_, deadline)| *deadline).min();
            let published = kv.reader().next_deadline();
            prop_assert!(published == next || published.is_some_and(|published| published <= clock));
            let scanned = {
                let (mut keys, reader) = (0, kv.reader());
                reader.scan(Cursor::START, 100, |_| keys += 1);
                keys
            };
            prop_assert_eq!(scanned, model.len());
        }
    }

    /// Commands of a block answer and change the same as one by one; a reader sees all of it or nothing.
    #[test]
    fn a_block_is_its_commands_one_by_one(steps in vec((0..9u8, 0..3u8, 0..3u8), 0..12)) {
        let (mut together, mut apart) = (Kv::new(), Kv::new());
        let parts: Vec<Vec<u8>> = steps.iter().map(|(kind, one, other)| {
            let (one, other) = ([b'k', *one], [b'k', *other]);
            let mut out = Vec::new();
            match kind {
                0 => {
                    command::encode_set_head(&mut out, &one, &Condition::IfAbsent, true);
                    out.extend_from_slice(b"5");
                }
                1 => command::encode_incr_by(&mut out, &one, 7),
                2 => command::encode_append(&mut out, &one, b"8"),
                3 => command::encode_delete(&mut out, [&one[..], &other].into_iter(), &Condition::Always),
                4 => command::encode_mset(&mut out, [(&one[..], &b"1"[..]), (&other, b"2")].into_iter(), true),
                5 => command::encode_call(&mut out, Op::Rename, [&one[..], &other].into_iter()),
                6 => command::encode_call(&mut out, Op::Keys, [&b"*"[..]].into_iter()),
                7 => command::encode_call(&mut out, Op::MGet, [&one[..], &other].into_iter()),
                _ => command::encode_flush_all(&mut out),
            }
            out
        }).collect();
        let block = run(&mut together, 1, |out| {
            command::encode_block(out, std::iter::empty(), parts.iter().map(Vec::as_slice));
        });
        let alone: Vec<Reply> = parts.iter().map(|part| apart.execute(GlobalPosition::new(1), &Bytes::copy_from_slice(part))).collect();
        prop_assert_eq!(block, Reply::Block(Some(alone)));
        prop_assert_eq!(together.digest(), apart.digest());
        prop_assert_eq!(together.reader().entries(), apart.reader().entries());
        prop_assert_eq!(together.reader().len(), apart.reader().len());
    }
}

#[test]
fn a_block_is_not_executed_if_a_watched_key_has_changed() {
    let mut kv = Kv::new();
    let seen = version_of(&set(&mut kv, 1, b"k", b"1"));
    let mut increment = Vec::new();
    command::encode_incr_by(&mut increment, b"k", 1);
    let block = |kv: &mut Kv, position, watches: &[(&[u8], Option<Version>)]| {
        run(kv, position, |out| {
            let watches = watches.iter().map(|&(key, version)| Watch { key, database: None, version });
            command::encode_block(out, watches, [increment.as_slice()].into_iter());
        })
    };
    assert!(matches!(block(&mut kv, 2, &[(b"k", Some(seen)), (b"other", None)]), Reply::Block(Some(_))));
    assert_eq!(
        block(&mut kv, 3, &[(b"k", Some(seen))]),
        Reply::Block(None),
        "the block itself has changed it"
    );
    assert_eq!(block(&mut kv, 4, &[(b"k", None)]), Reply::Block(None), "it was absent");
    assert_eq!(kv.reader().get(b"k").unwrap().0, "2");
    call(&mut kv, 5, 1000, Op::SetEx, &[b"k", b"1", b"7"]);
    let version = kv.reader().get(b"k").unwrap().1;
    call(&mut kv, 6, 2000, Op::PTtl, &[b"k"]);
    assert_eq!(block(&mut kv, 7, &[(b"k", Some(version))]), Reply::Block(None), "it has expired");
}

/// However many keys expire at once, an advance removes a bounded number, and reads show none of them.
#[test]
fn keys_that_expire_together_are_removed_in_parts() {
    let mut kv = Kv::new();
    const KEYS: u64 = 20_000;
    for number in 0..KEYS {
        let key = format!("key-{number}");
        call(&mut kv, number + 1, 1000, Op::Set, &[key.as_bytes(), b"v", b"PXAT", b"5000"]);
    }
    assert_eq!((kv.reader().len(), kv.reader().expiring()), (KEYS, KEYS));
    let (mut position, mut longest) = (KEYS, Duration::ZERO);
    while kv.reader().next_deadline().is_some() {
        position += 1;
        let (before, begun) = (kv.reader().len(), Instant::now());
        advance(&mut kv, position, 5000);
        longest = longest.max(begun.elapsed());
        assert!(before - kv.reader().len() <= apply::REMOVED_AT_ONCE as u64);
        assert!(kv.reader().get(b"key-7").is_none());
        assert_eq!(kv.reader().entries().len(), 0);
    }
    assert_eq!((kv.reader().len(), kv.reader().expiring()), (0, 0));
    eprintln!("the longest advance took {longest:?}");
    assert_eq!(restored(&mut kv).digest(), kv.digest());
}
