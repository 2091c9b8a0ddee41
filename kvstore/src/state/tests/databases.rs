//! Databases, against a model: maps of keys, exchanged and emptied one by one.

use super::digest::restored;
use super::*;
use crate::command::Watch;
use crate::{Data, Database, Op};

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Option<u16>),
    Append(u8),
    Delete(u8),
    Move(u8, u64),
    Copy(u8, u8, u64, bool),
    Rename(u8, u8),
    Swap(u64, u64),
    Flush,
    FlushAll,
    Restore,
    Wait,
}

/// Three databases, so that they meet.
const NUMBERS: [u64; 3] = [0, 1, 15];

fn number() -> impl Strategy<Value = u64> {
    prop::sample::select(&NUMBERS[..])
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..4u8;
    prop_oneof![
        6 => (key(), prop::option::of(1..500u16)).prop_map(|(key, lasts)| Step::Set(key, lasts)),
        1 => key().prop_map(Step::Append),
        2 => key().prop_map(Step::Delete),
        3 => (key(), number()).prop_map(|(key, into)| Step::Move(key, into)),
        3 => (key(), key(), number(), any::<bool>()).prop_map(|(from, to, into, replace)| Step::Copy(from, to, into, replace)),
        1 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => (number(), number()).prop_map(|(one, other)| Step::Swap(one, other)),
        1 => Just(Step::Flush),
        1 => Just(Step::FlushAll),
        1 => Just(Step::Restore),
        1 => Just(Step::Wait),
    ]
}

/// What the keys of each database hold, and when they expire.
type Model = [BTreeMap<u8, (Vec<u8>, Option<u64>)>; Database::COUNT];

fn call(kv: &mut Kv, position: u64, (database, time): (Database, u64), op: Op, words: &[&[u8]]) -> Data {
    let reply = run(kv, position, |out| {
        command::encode_time(out, time);
        command::encode_in(out, database);
        command::encode_call(out, op, words.iter().copied());
    });
    match reply {
        Reply::Data(data) => data,
        other => panic!("a call is answered with {other:?}"),
    }
}

/// Executes a step in a database on the model, and returns the call that does it.
fn expected(model: &mut Model, at: usize, time: u64, step: &Step) -> (Op, Vec<Vec<u8>>, Data) {
    let text = |number: u64| number.to_string().into_bytes();
    let key = |key: u8| vec![key];
    match *step {
        Step::Set(name, lasts) => {
            let value = text(time);
            let deadline = lasts.map(|lasts| time + u64::from(lasts));
            model[at].insert(name, (value.clone(), deadline));
            let mut words = vec![key(name), value];
            if let Some(deadline) = deadline {
                words.extend([b"PXAT".to_vec(), text(deadline)]);
            }
            (Op::Set, words, Data::OK)
        }
        Step::Move(name, into) => {
            let refused = into as usize == at;
            let free = !refused && model[at].contains_key(&name) && !model[into as usize].contains_key(&name);
            if free {
                let moved = model[at].remove(&name).unwrap();
                model[into as usize].insert(name, moved);
            }
            let same = Data::Error("ERR source and destination objects are the same".into());
            (Op::Move, vec![key(name), text(into)], if refused { same } else { Data::flag(free) })
        }
        Step::Copy(from, to, into, replace) => {
            let refused = (from, at) == (to, into as usize);
            let copied =
                model[at].get(&from).cloned().filter(|_| replace || !model[into as usize].contains_key(&to));
            let copied = copied.filter(|_| !refused);
            let done = copied.is_some();
            model[into as usize].extend(copied.map(|copied| (to, copied)));
            let mut words = vec![key(from), key(to), b"DB".to_vec(), text(into)];
            words.extend(replace.then(|| b"REPLACE".to_vec()));
            let same = Data::Error("ERR source and destination objects are the same".into());
            (Op::Copy, words, if refused { same } else { Data::flag(done) })
        }
        Step::Rename(from, to) => {
            let reply = match model[at].remove(&from) {
                None => Data::Error("ERR no such key".into()),
                Some(moved) => {
                    model[at].insert(to, moved);
                    Data::OK
                }
            };
            (Op::Rename, vec![key(from), key(to)], reply)
        }
        Step::Swap(one, other) => {
            model.swap(one as usize, other as usize);
            (Op::SwapDb, vec![text(one), text(other)], Data::OK)
        }
        Step::Flush => {
            model[at].clear();
            (Op::FlushDb, Vec::new(), Data::OK)
        }
        Step::Append(_) | Step::Delete(_) | Step::FlushAll | Step::Restore | Step::Wait => {
            (Op::DbSize, Vec::new(), Data::Integer(model[at].len() as i64))
        }
    }
}

/// Executes a step that is a command of its own.
fn execute(kv: &mut Kv, model: &mut Model, position: u64, (database, time): (Database, u64), step: &Step) {
    let held = &mut model[usize::from(database.number())];
    match *step {
        Step::Append(key) => {
            held.entry(key).or_default().0.push(b'+');
            run(kv, position, |out| {
                command::encode_time(out, time);
                command::encode_in(out, database);
                command::encode_append(out, &[key], b"+");
            });
        }
        Step::Delete(key) => {
            held.remove(&key);
            run(kv, position, |out| {
                command::encode_in(out, database);
                command::encode_delete(out, [&[key][..]].into_iter(), &Condition::Always);
            });
        }
        Step::FlushAll => {
            model.iter_mut().for_each(BTreeMap::clear);
            run(kv, position, command::encode_flush_all);
        }
        Step::Restore => *kv = restored(kv),
        Step::Wait
        | Step::Set(..)
        | Step::Move(..)
        | Step::Copy(..)
        | Step::Rename(..)
        | Step::Swap(..)
        | Step::Flush => {}
    }
}

fn held(kv: &Kv, database: Database) -> BTreeMap<u8, (Vec<u8>, Option<u64>)> {
    let reader = kv.reader();
    let one = |key: u8| {
        reader
            .with_in(database, &[key], |found| Some((key, (found.as_ref()?.value.to_vec(), found?.deadline))))
    };
    (0..4).filter_map(one).collect()
}

fn visited(kv: &mut Kv, position: u64, at: (Database, u64)) -> BTreeSet<u8> {
    let Data::Array(keys) = call(kv, position, at, Op::Keys, &[b"*"]) else { panic!("KEYS has an array") };
    keys.into_iter()
        .map(|key| match key {
            Data::Bulk(key) => key[0],
            other => panic!("{other:?} is no key"),
        })
        .collect()
}

proptest! {
    #[test]
    fn each_database_holds_what_a_model_says(steps in vec((step(), number()), 1..80)) {
        let (mut kv, mut model, mut time, mut position) = (Kv::new(), Model::default(), 1_000, 0);
        for (step, number) in steps {
            let database = Database::new(number).unwrap();
            time += 60;
            position += 1;
            run(&mut kv, position, |out| command::encode_advance(out, time));
            model.iter_mut().for_each(|held| held.retain(|_, (_, deadline)| deadline.is_none_or(|deadline| deadline > time)));
            position += 1;
            execute(&mut kv, &mut model, position, (database, time), &step);
            position += 1;
            let (op, words, reply) = expected(&mut model, number as usize, time, &step);
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(call(&mut kv, position, (database, time), op, &words), reply, "{:?}", step);
            for database in NUMBERS.map(|number| Database::new(number).unwrap()) {
                let expected = &model[usize::from(database.number())];
                prop_assert_eq!(&held(&kv, database), expected);
                let expiring = expected.values().filter(|(_, deadline)| deadline.is_some()).count();
                prop_assert_eq!(kv.reader().keys_of(database), (expected.len() as u64, expiring as u64));
                prop_assert_eq!(visited(&mut kv, position, (database, time)), expected.keys().copied().collect());
            }
            let all: usize = model.iter().map(BTreeMap::len).sum();
            prop_assert_eq!(kv.reader().len(), all as u64);
            let listed: Vec<u8> = kv.reader().entries().iter().map(|(key, ..)| key[0]).collect();
            prop_assert_eq!(listed, model[0].keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(restored(&mut kv).digest(), kv.digest());
            position += 1;
        }
    }
}

/// Servers compare digests: two states that differ only in where a key is must not be taken for equal.
#[test]
fn the_digest_tells_databases_apart() {
    let state = |number: u64| {
        let mut kv = Kv::new();
        call(&mut kv, 1, (Database::new(number).unwrap(), 5), Op::Set, &[b"k", b"v"]);
        kv.digest()
    };
    let digests: HashSet<_> = (0..16).map(state).collect();
    assert_eq!(digests.len(), 16);
    let mut kv = Kv::new();
    call(&mut kv, 1, (Database::FIRST, 5), Op::Set, &[b"k", b"v"]);
    call(&mut kv, 2, (Database::FIRST, 5), Op::SwapDb, &[b"0", b"7"]);
    assert_eq!(kv.digest(), state(7));
}

/// A view shows each key in the database where it was, although databases are exchanged and emptied while it is written.
#[test]
fn a_view_names_the_databases_of_its_moment() {
    let mut kv = Kv::new();
    let third = Database::new(3).unwrap();
    for key in 0..200u8 {
        let database = if key % 2 == 0 { Database::FIRST } else { third };
        call(&mut kv, u64::from(key) + 1, (database, 5), Op::Set, &[&[key], b"v"]);
    }
    let mut frozen = kv.freeze();
    call(&mut kv, 300, (Database::FIRST, 5), Op::SwapDb, &[b"0", b"3"]);
    call(&mut kv, 301, (Database::FIRST, 5), Op::FlushDb, &[]);
    call(&mut kv, 302, (Database::FIRST, 5), Op::Set, &[b"new", b"v"]);
    let mut seen = BTreeMap::new();
    let mut chunk = Vec::new();
    while frozen.next_chunk(&mut chunk) {
        for entry in snapshot_entries(&chunk) {
            let entry = entry.unwrap();
            assert_eq!(seen.insert(entry.key.to_vec(), entry.database), None);
        }
        chunk.clear();
    }
    assert_eq!(seen.len(), 200);
    assert!(
        seen.iter().all(|(key, database)| *database == if key[0] % 2 == 0 { Database::FIRST } else { third })
    );
}

#[test]
fn a_block_reaches_several_databases_and_watches_their_keys() {
    let mut kv = Kv::new();
    let (first, ninth) = (Database::FIRST, Database::new(9).unwrap());
    call(&mut kv, 1, (ninth, 5), Op::Set, &[b"k", b"nine"]);
    let version = kv.reader().with_in(ninth, b"k", |found| found.map(|found| found.version));
    let parts = [
        encoded(|out| command::encode_append(out, b"k", b"!")),
        encoded(|out| {
            command::encode_in(out, first);
            command::encode_append(out, b"k", b"zero");
        }),
    ];
    let block = |kv: &mut Kv, position, watched: Watch<'_>| {
        run(kv, position, |out| {
            command::encode_in(out, ninth);
            command::encode_block(out, [watched].into_iter(), parts.iter().map(Vec::as_slice));
        })
    };
    let elsewhere = Watch { key: b"k", database: Some(first), version };
    assert_eq!(block(&mut kv, 2, elsewhere), Reply::Block(None), "that database has no such key");
    let own = Watch { key: b"k", database: None, version };
    assert!(matches!(block(&mut kv, 3, own), Reply::Block(Some(replies)) if replies.len() == 2));
    let value = |database| kv.reader().with_in(database, b"k", |found| found.unwrap().value.to_bytes());
    assert_eq!((value(first), value(ninth)), ("zero".into(), "nine!".into()));
}

/// A reader finds a key's shard before it knows the space of the database: an exchange between must not show it
/// what another database holds.
#[test]
fn nobody_reads_across_an_exchange() {
    let mut kv = Kv::new();
    let reader = kv.reader();
    let other = Database::new(1).unwrap();
    let set = |out: &mut Vec<u8>, value: &[u8]| {
        command::encode_set_head(out, b"k", &Condition::Always, false);
        out.extend_from_slice(value);
    };
    // The first database never holds the other value, since all of it happens at once.
    let parts = [
        encoded(|out| command::encode_call(out, Op::SwapDb, [&b"0"[..], b"1"].into_iter())),
        encoded(|out| set(out, b"shown")),
        encoded(|out| {
            command::encode_in(out, other);
            set(out, b"hidden");
        }),
    ];
    let writer = thread::spawn(move || {
        for position in 1..20_000 {
            run(&mut kv, position, |out| {
                command::encode_block(out, std::iter::empty(), parts.iter().map(Vec::as_slice));
            });
        }
    });
    let mut seen = BTreeSet::new();
    while !writer.is_finished() {
        seen.extend(reader.get(b"k").map(|(value, _)| value));
    }
    writer.join().expect("commands are executed");
    assert_eq!(seen, [Bytes::from_static(b"shown")].into());
}
