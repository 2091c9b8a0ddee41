//! What watchers are told, against what the state holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use niagara_engine::{Frozen, Restoring, Wake};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Op;
use crate::changes::{Change, ChangeId, Gone, Kind, Lookout, Watched, Watcher};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

pub(super) fn watch(kv: &Kv, prefix: &[u8], from: Option<ChangeId>) -> Result<Watcher, Gone> {
    let reader = kv.reader();
    Lookout::new(Arc::new(Nobody)).watch(reader.changes(), prefix.to_vec(), from, reader.position())
}

pub(super) fn keep(kv: &mut Kv, position: u64) {
    assert_eq!(run(kv, position, command::encode_keep_changes), Reply::Timed);
}

/// All that has come for a watcher.
pub(super) fn seen(watcher: &mut Watcher) -> Vec<Change> {
    let mut changes = Vec::new();
    while watcher.read(|change| {
        changes.push(change.clone());
        true
    }) == Ok(Watched::Some)
    {}
    changes
}

/// What changes say that keys hold: the value, and the deadline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told(BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>);

impl Told {
    fn take(&mut self, changes: &[Change]) {
        for Change { kind, key, now, .. } in changes {
            match (kind, now) {
                (Kind::Flush, None) => self.0.clear(),
                (Kind::Set | Kind::Deadline, Some(now)) => {
                    let value = now.value.as_ref().expect("it is short").to_vec();
                    let before = self.0.insert(key.to_vec(), (value.clone(), now.deadline));
                    if *kind == Kind::Deadline {
                        assert_eq!(before.map(|(value, _)| value), Some(value), "the value is the same");
                    }
                }
                (Kind::Delete | Kind::Expire, None) => {
                    assert!(self.0.remove(&key.to_vec()).is_some(), "only what exists can go");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// What is there, whether or not it has expired.
    fn of(kv: &Kv) -> Told {
        let page = kv
            .reader()
            .list(crate::Cursor::START, crate::Listed { prefix: b"", limit: 1000, with_values: true });
        let entries = page.entries.iter();
        Told(
            entries
                .map(|(key, stored)| (key.to_vec(), (stored.value().to_vec(), stored.deadline())))
                .collect(),
        )
    }
}

fn some_command() -> impl Strategy<Value = Vec<u8>> {
    let key = || "[ab]{1,2}".prop_map(String::into_bytes);
    let call = |op: Op, words: Vec<Vec<u8>>| {
        let mut out = Vec::new();
        command::encode_call(&mut out, op, words.iter().map(Vec::as_slice));
        out
    };
    let set = key().prop_map(|key| {
        let mut out = Vec::new();
        command::encode_set_head(&mut out, &key, &Condition::Always, false);
        out.extend_from_slice(b"7");
        out
    });
    let add = key().prop_map(|key| {
        let mut out = Vec::new();
        command::encode_incr_by(&mut out, &key, 3);
        out
    });
    let append = key().prop_map(|key| {
        let mut out = Vec::new();
        command::encode_append(&mut out, &key, b"1");
        out
    });
    let delete = vec(key(), 1..3).prop_map(|keys| {
        let mut out = Vec::new();
        command::encode_delete(&mut out, keys.iter().map(Vec::as_slice), &Condition::Always);
        out
    });
    let flush = Just(()).prop_map(|()| {
        let mut out = Vec::new();
        command::encode_flush_all(&mut out);
        out
    });
    let rename = (key(), key()).prop_map(move |(from, to)| call(Op::Rename, vec![from, to]));
    let expire = (key(), 0u64..3).prop_map(move |(key, seconds)| {
        call(Op::PExpire, vec![key, (seconds * 400).to_string().into_bytes()])
    });
    prop_oneof![6 => set, 2 => add, 2 => append, 3 => delete, 1 => flush, 2 => rename, 3 => expire]
}

/// Commands that share positions, each with the time that has passed before it.
fn log() -> impl Strategy<Value = Vec<Vec<(u64, Vec<u8>)>>> {
    let timed = (prop_oneof![3 => Just(0u64), 1 => 0u64..900], some_command());
    vec(vec(timed, 1..4), 1..20)
}

fn execute(kv: &mut Kv, position: u64, commands: &[(u64, Vec<u8>)], clock: &mut u64) {
    for (passed, command) in commands {
        *clock += passed;
        run(kv, position, |out| {
            command::encode_time(out, *clock);
            out.extend_from_slice(command);
        });
    }
}

proptest! {
    /// Whoever knows the state at some position, and takes the changes since then, knows the state at the end.
    #[test]
    fn changes_lead_from_each_state_to_the_next(log in log(), begin in 0usize..20) {
        let mut kv = Kv::new();
        let mut clock = 1_000_000;
        let begin = begin % log.len();
        for (position, commands) in (1..).zip(&log[..begin]) {
            execute(&mut kv, position, commands, &mut clock);
        }
        let begun = begin as u64 + 1;
        keep(&mut kv, begun);
        let mut states = Vec::new();
        for (position, commands) in (begun..).zip(std::iter::once(&Vec::new()).chain(&log[begin..])) {
            execute(&mut kv, position, commands, &mut clock);
            // What has expired is gone, not only hidden.
            run(&mut kv, position, |out| command::encode_advance(out, clock));
            states.push((position, Told::of(&kv)));
        }
        let last = states.last().expect("there is one").1.clone();
        for (position, mut told) in states {
            let from = ChangeId::first_at(position + 1);
            let changes = seen(&mut watch(&kv, b"", Some(from)).expect("it is kept"));
            prop_assert!(changes.windows(2).all(|pair| pair[0].id < pair[1].id));
            told.take(&changes);
            prop_assert_eq!(&told, &last);
        }
    }

    /// A change has the same name on every server, whatever that server has begun with.
    #[test]
    fn servers_name_changes_alike(log in log(), cut in 0usize..20) {
        let (mut one, mut other) = (Kv::new(), Kv::new());
        let (mut clock, mut clock_there) = (1_000_000, 1_000_000);
        let cut = cut % log.len();
        keep(&mut one, 1);
        for (position, commands) in (2..).zip(&log) {
            execute(&mut one, position, commands, &mut clock);
        }
        // This one continues from a snapshot, and hears later that somebody watches.
        let mut before = Kv::new();
        for (position, commands) in (2..).zip(&log[..cut]) {
            execute(&mut before, position, commands, &mut clock_there);
        }
        let mut frozen = before.freeze();
        let mut restoring = Kv::restoring(&other.reader());
        let mut chunk = Vec::new();
        while frozen.next_chunk(&mut chunk) {
            restoring.add_chunk(&bytes::Bytes::from(std::mem::take(&mut chunk))).expect("it was written just now");
        }
        let at = cut as u64 + 1;
        other.restore(GlobalPosition::new(at), restoring).expect("it is whole");
        for (number, (position, commands)) in (at + 1..).zip(&log[cut..]).enumerate() {
            execute(&mut other, position, commands, &mut clock_there);
            if number == 0 {
                keep(&mut other, position);
            }
        }
        let from = ChangeId::first_at(at + 2);
        let changes = |kv: &Kv| watch(kv, b"a", Some(from)).map(|mut watcher| seen(&mut watcher));
        prop_assert_eq!(changes(&one).expect("it has kept all"), changes(&other).expect("kept from there on"));
        prop_assert_eq!(watch(&other, b"", Some(ChangeId::first_at(at + 1))).err(), Some(Gone { least: Some(at + 2) }));
    }
}

#[test]
fn nothing_is_kept_while_nobody_watches() {
    let mut kv = Kv::new();
    run(&mut kv, 1, |out| command::encode_incr_by(out, b"n", 1));
    assert_eq!(watch(&kv, b"", None).err(), Some(Gone { least: None }));
    keep(&mut kv, 2);
    run(&mut kv, 2, |out| command::encode_incr_by(out, b"n", 1));
    assert_eq!(watch(&kv, b"", Some(ChangeId::first_at(2))).err(), Some(Gone { least: Some(3) }));
    let mut watcher = watch(&kv, b"", None).expect("changes are kept from position 3 on");
    assert!(seen(&mut watcher).is_empty(), "indexes are counted from the beginning of a position");
    run(&mut kv, 3, |out| command::encode_incr_by(out, b"n", 1));
    assert_eq!(seen(&mut watcher)[0].id, ChangeId::first_at(3));
}

#[test]
fn a_watcher_that_is_too_slow_is_told_so() {
    let mut kv = Kv::new();
    keep(&mut kv, 1);
    let mut slow = watch(&kv, b"", None).expect("changes are kept");
    let mut prompt = watch(&kv, b"", None).expect("changes are kept");
    let put = |kv: &mut Kv, position: u64| {
        run(kv, position, |out| {
            command::encode_set_head(out, b"k", &Condition::Always, false);
            out.resize(out.len() + (1 << 20), b'v');
        });
    };
    for position in 2..80 {
        if position % 20 == 0 {
            keep(&mut kv, position);
        }
        put(&mut kv, position);
        assert_eq!(seen(&mut prompt).len(), 1, "position {position}");
    }
    let gone = slow.read(|_| panic!("what it awaits is gone")).expect_err("it has seen nothing of 78 MiB");
    let least = gone.least.expect("the latest are kept");
    assert!((10..20).contains(&least), "about 64 MiB are kept: {least}");
    let mut resumed = watch(&kv, b"", Some(ChangeId::first_at(least))).expect("they are kept from there on");
    assert_eq!(seen(&mut resumed).len() as u64, 80 - least);
}

#[test]
fn changes_are_kept_no_longer_than_somebody_watches() {
    let mut kv = Kv::new();
    keep(&mut kv, 1);
    let mut watcher = watch(&kv, b"", None).expect("changes are kept");
    for position in 2..80 {
        run(&mut kv, position, |out| {
            command::encode_set_head(out, b"k", &Condition::Always, false);
            out.resize(out.len() + (1 << 20), b'v');
        });
    }
    assert_eq!(watcher.read(|_| true), Err(Gone { least: None }), "nobody has said again that he watches");
    keep(&mut kv, 80);
    assert_eq!(watcher.read(|_| true), Err(Gone { least: Some(81) }));
}

#[test]
fn a_value_that_is_too_long_is_left_out() {
    let mut kv = Kv::new();
    keep(&mut kv, 1);
    let mut watcher = watch(&kv, b"", None).expect("changes are kept");
    run(&mut kv, 2, |out| {
        command::encode_set_head(out, b"k", &Condition::Always, false);
        out.resize(out.len() + (1 << 20) + 1, b'v');
    });
    let now = seen(&mut watcher).remove(0).now.expect("it exists");
    assert_eq!((now.bytes, now.value), ((1 << 20) + 1, None));
}

#[test]
fn a_restored_snapshot_ends_what_was_watched() {
    let mut kv = Kv::new();
    keep(&mut kv, 1);
    run(&mut kv, 2, |out| command::encode_incr_by(out, b"n", 1));
    let mut watcher = watch(&kv, b"", Some(ChangeId::first_at(2))).expect("changes are kept");
    let restoring = Kv::restoring(&kv.reader());
    kv.restore(GlobalPosition::new(9), restoring).expect("an empty state");
    assert_eq!(
        watcher.read(|_| true),
        Err(Gone { least: Some(10) }),
        "positions up to 9 were executed elsewhere"
    );
    run(&mut kv, 10, |out| command::encode_incr_by(out, b"n", 1));
    let mut resumed = watch(&kv, b"", Some(ChangeId::first_at(10))).expect("they are kept from there on");
    assert_eq!(seen(&mut resumed).len(), 1);
}
