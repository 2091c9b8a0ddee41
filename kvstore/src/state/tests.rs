use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;

use niagara_engine::{Frozen, Restoring};

use super::*;
use crate::command::{self, Condition, MAX_VALUE_BYTES};
use crate::reply::CommandError;
use crate::{Description, Reply, Version};

mod changes;
mod choices;
mod databases;
mod digest;
mod expiry;
mod lru;
mod memory;
mod messages;
mod notices;
mod once;
mod scripts;
mod tracking;
mod users;

/// Executes what `encode` writes.
pub(super) fn run(kv: &mut Kv, position: u64, encode: impl FnOnce(&mut Vec<u8>)) -> Reply {
    kv.execute(GlobalPosition::new(position), &encoded(encode).into())
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

pub(super) fn set(kv: &mut Kv, position: u64, key: &[u8], value: &[u8]) -> Reply {
    set_if(kv, position, key, value, &Condition::Always)
}

fn set_if(kv: &mut Kv, position: u64, key: &[u8], value: &[u8], condition: &Condition) -> Reply {
    run(kv, position, |out| {
        command::encode_set_head(out, key, condition, true);
        out.extend_from_slice(value);
    })
}

pub(super) fn delete(kv: &mut Kv, position: u64, keys: &[&[u8]]) -> Reply {
    run(kv, position, |out| command::encode_delete(out, keys.iter().copied(), &Condition::Always))
}

fn version_of(reply: &Reply) -> Version {
    match reply {
        Reply::Stored { version, .. } | Reply::Counted { version, .. } | Reply::Appended { version, .. } => {
            *version
        }
        other => panic!("no version in {other:?}"),
    }
}

#[test]
fn versions_count_the_changes_of_a_key_at_one_position() {
    let mut kv = Kv::new();
    let texts: Vec<String> = [(7, b"a"), (7, b"b"), (7, b"a"), (7, b"a"), (8, b"a")]
        .map(|(position, key)| version_of(&set(&mut kv, position, key, b"v")).to_string())
        .into();
    assert_eq!(texts, ["7", "7", "7.1", "7.2", "8"]);
}

/// A client that saw a value must not overwrite another one, even if the key was removed and created again
/// meanwhile, all at one position.
#[test]
fn no_version_names_two_values_of_a_key() {
    for remove in [|kv: &mut Kv| delete(kv, 7, &[b"a"]), |kv: &mut Kv| run(kv, 7, command::encode_flush_all)]
    {
        let mut kv = Kv::new();
        let seen = version_of(&set(&mut kv, 7, b"a", b"seen"));
        remove(&mut kv);
        let anew = version_of(&set(&mut kv, 7, b"a", b"anew"));
        assert_ne!(seen, anew);
        let reply = set_if(&mut kv, 7, b"a", b"lost update", &Condition::IfAnyVersion(vec![seen]));
        assert_eq!(reply, Reply::ConditionFailed { current: Some(anew), old: Some("anew".into()) });
    }
}

#[test]
fn increments_follow_redis() {
    let mut kv = Kv::new();
    let mut incr = |before: &[u8], delta: i64| {
        set(&mut kv, 1, b"n", before);
        run(&mut kv, 1, |out| command::encode_incr_by(out, b"n", delta))
    };
    for (before, delta, after) in [("10", 5, 15), ("-3", 3, 0), ("0", i64::MIN, i64::MIN)] {
        assert!(matches!(incr(before.as_bytes(), delta), Reply::Counted { value, .. } if value == after));
    }
    for text in ["", " 1", "1 ", "+1", "01", "-0", "-", "1.0", "x", "9223372036854775808"] {
        assert_eq!(incr(text.as_bytes(), 1), Reply::Failed(CommandError::NotAnInteger), "{text:?}");
    }
    assert_eq!(incr(b"9223372036854775807", 1), Reply::Failed(CommandError::Overflow));
    assert_eq!(incr(b"-9223372036854775808", -1), Reply::Failed(CommandError::Overflow));
}

#[test]
fn an_append_stops_at_the_longest_value() {
    let mut kv = Kv::new();
    set(&mut kv, 1, b"k", &vec![1; MAX_VALUE_BYTES - 1]);
    let append = |kv: &mut Kv, value: &[u8]| run(kv, 2, |out| command::encode_append(out, b"k", value));
    assert!(
        matches!(append(&mut kv, b"x"), Reply::Appended { length, .. } if length == MAX_VALUE_BYTES as u64)
    );
    assert_eq!(append(&mut kv, b"x"), Reply::Failed(CommandError::TooLarge));
    assert_eq!(kv.reader().get(b"k").unwrap().0.len(), MAX_VALUE_BYTES);
}

/// A command that replaces a value drops its description; one that changes it keeps the description.
#[test]
fn descriptions_stay_with_their_value() {
    let text = Description { content_type: b"text/plain", content_encoding: b"" };
    let mut kv = Kv::new();
    let put = |kv: &mut Kv, key: &[u8]| {
        run(kv, 1, |out| {
            command::encode_put_head(out, key, &Condition::Always, false, text);
            out.push(b'5');
        })
    };
    let described =
        |kv: &Kv, key: &[u8]| kv.reader().with(key, |found| found.map(|found| found.description == text));
    for key in [b"a", b"b", b"c", b"d", b"e"] {
        put(&mut kv, key);
        assert_eq!(described(&kv, key), Some(true));
    }
    let bytes = kv.reader().sizes().1;
    set(&mut kv, 1, b"a", b"6");
    run(&mut kv, 1, |out| command::encode_mset(out, [(&b"b"[..], &b"6"[..])].into_iter(), false));
    run(&mut kv, 1, |out| command::encode_append(out, b"c", b"6"));
    run(&mut kv, 1, |out| command::encode_incr_by(out, b"d", 1));
    let now = [b"a", b"b", b"c", b"d", b"e"].map(|key| described(&kv, key));
    assert_eq!(now, [Some(false), Some(false), Some(true), Some(true), Some(true)]);
    assert_eq!(kv.reader().get(b"d").unwrap().0, "6");
    assert_eq!(kv.reader().sizes(), (5, bytes - 2 * text.len() as u64 + 1));
    put(&mut kv, b"a");
    delete(&mut kv, 1, &[b"a", b"b", b"c", b"d", b"e"]);
    assert_eq!(kv.reader().sizes(), (0, 0));
}

#[test]
fn a_value_that_a_reader_holds_does_not_change_under_it() {
    let mut kv = Kv::new();
    set(&mut kv, 1, b"k", b"before");
    let (held, _) = kv.reader().get(b"k").unwrap();
    run(&mut kv, 2, |out| command::encode_append(out, b"k", b" and after"));
    assert_eq!(held, "before");
    assert_eq!(kv.reader().get(b"k").unwrap().0, "before and after");
}

#[test]
fn large_values_share_the_commands_buffer_and_small_ones_do_not() {
    for (length, shared) in [((4 << 10) - 1, false), (4 << 10, true)] {
        let mut bytes = Vec::new();
        command::encode_set_head(&mut bytes, b"k", &Condition::Always, false);
        bytes.resize(bytes.len() + length, 9);
        let bytes = Bytes::from(bytes);
        let mut kv = Kv::new();
        kv.execute(GlobalPosition::new(1), &bytes);
        let (value, _) = kv.reader().get(b"k").unwrap();
        assert_eq!(bytes.as_ptr_range().contains(&value.as_ptr()), shared, "{length} bytes");
    }
}

#[test]
fn a_malformed_command_changes_nothing() {
    let mut kv = Kv::new();
    let reply = kv.execute(GlobalPosition::new(3), &Bytes::from_static(&[99, 1, 2]));
    assert!(matches!(reply, Reply::Failed(CommandError::Malformed(_))));
    assert!(kv.reader().is_empty());
    assert_eq!(kv.reader().position(), 3);
}

#[test]
#[should_panic(expected = "slots_rise")]
fn positions_do_not_fall() {
    let mut kv = Kv::new();
    set(&mut kv, 3, b"k", b"v");
    set(&mut kv, 2, b"k", b"v");
}

/// A command of the model, with few keys, so that commands collide.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Set { key: u8, value: Vec<u8>, condition: u8 },
    Delete { keys: Vec<u8> },
    MSet { pairs: Vec<(u8, Vec<u8>)>, if_absent: bool },
    Append { key: u8, value: Vec<u8> },
    IncrBy { key: u8, delta: i64 },
    FlushAll,
}

pub(super) fn step(keys: Range<u8>) -> impl Strategy<Value = Step> {
    let key = move || keys.clone();
    let value = || prop_oneof![vec(any::<u8>(), 0..4), any::<i64>().prop_map(|n| n.to_string().into_bytes())];
    prop_oneof![
        4 => (key(), value(), 0u8..4).prop_map(|(key, value, condition)| Step::Set { key, value, condition }),
        2 => vec(key(), 1..3).prop_map(|keys| Step::Delete { keys }),
        2 => (vec((key(), value()), 1..4), any::<bool>()).prop_map(|(pairs, if_absent)| Step::MSet { pairs, if_absent }),
        1 => (key(), value()).prop_map(|(key, value)| Step::Append { key, value }),
        2 => (key(), any::<i64>()).prop_map(|(key, delta)| Step::IncrBy { key, delta }),
        1 => Just(Step::FlushAll),
    ]
}

/// What the map must hold, executed in the plainest way. Returns whether something changed.
fn model(state: &mut BTreeMap<u8, Vec<u8>>, step: &Step) {
    match step {
        Step::Set { key, value, condition } => {
            let holds = match condition {
                0 => true,
                1 => !state.contains_key(key),
                2 => state.contains_key(key),
                _ => false,
            };
            if holds {
                state.insert(*key, value.clone());
            }
        }
        Step::Delete { keys } => keys.iter().for_each(|key| drop(state.remove(key))),
        Step::MSet { pairs, if_absent } => {
            if !(*if_absent && pairs.iter().any(|(key, _)| state.contains_key(key))) {
                state.extend(pairs.iter().cloned());
            }
        }
        Step::Append { key, value } => state.entry(*key).or_default().extend_from_slice(value),
        Step::IncrBy { key, delta } => {
            let before = match state.get(key) {
                None => Some(0),
                Some(text) => std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse::<i64>().ok().filter(|number| number.to_string() == text)),
            };
            if let Some(after) = before.and_then(|before| before.checked_add(*delta)) {
                state.insert(*key, after.to_string().into_bytes());
            }
        }
        Step::FlushAll => state.clear(),
    }
}

pub(super) fn execute(kv: &mut Kv, position: u64, step: &Step) -> Reply {
    run(kv, position, |out| match step {
        Step::Set { key, value, condition } => {
            let never = Condition::IfAnyVersion(vec![Version { position: u64::MAX, further: 9 }]);
            let conditions = [Condition::Always, Condition::IfAbsent, Condition::IfPresent, never];
            command::encode_set_head(out, &[*key], &conditions[usize::from(*condition)], false);
            out.extend_from_slice(value);
        }
        Step::Delete { keys } => {
            command::encode_delete(out, keys.iter().map(std::slice::from_ref), &Condition::Always);
        }
        Step::MSet { pairs, if_absent } => {
            let pairs = pairs.iter().map(|(key, value)| (std::slice::from_ref(key), value.as_slice()));
            command::encode_mset(out, pairs, *if_absent);
        }
        Step::Append { key, value } => command::encode_append(out, &[*key], value),
        Step::IncrBy { key, delta } => command::encode_incr_by(out, &[*key], *delta),
        Step::FlushAll => command::encode_flush_all(out),
    })
}

proptest! {
    /// The map holds what a plain map would; another server with other hashes agrees, including versions and
    /// replies; and no version ever names two values of a key.
    #[test]
    fn it_is_a_map_and_the_same_on_every_server(steps in vec((step(1..6), 0u64..2), 0..80)) {
        let (mut kv, mut other) = (Kv::new(), Kv::of_cluster(7).unwrap());
        let mut state = BTreeMap::new();
        let mut named: BTreeMap<(u8, Version), Vec<u8>> = BTreeMap::new();
        let mut position = 1;
        for (step, forward) in &steps {
            position += forward;
            model(&mut state, step);
            let reply = execute(&mut kv, position, step);
            prop_assert_eq!(&reply, &execute(&mut other, position, step));
            let reader = kv.reader();
            prop_assert_eq!(reader.len(), state.len() as u64);
            for key in 0..8u8 {
                let found = reader.get(&[key]);
                prop_assert_eq!(&found, &other.reader().get(&[key]));
                prop_assert_eq!(found.as_ref().map(|(value, _)| value.as_ref()), state.get(&key).map(Vec::as_slice));
                if let Some((value, version)) = found {
                    let first = named.entry((key, version)).or_insert_with(|| value.to_vec());
                    prop_assert_eq!(&*first, &value.to_vec(), "version {} names two values", version);
                }
            }
        }
    }

    /// A scan of any page size visits every key once.
    #[test]
    fn a_quiet_scan_visits_each_key_once(keys in prop::collection::btree_set(any::<u16>(), 0..2000), count in 1usize..300) {
        let mut kv = Kv::new();
        for key in &keys {
            set(&mut kv, 1, &key.to_be_bytes(), b"");
        }
        let mut seen = Vec::new();
        let mut cursor = Cursor::START;
        loop {
            cursor = kv.reader().scan(cursor, count, |key| seen.push(u16::from_be_bytes(key.try_into().unwrap())));
            if cursor == Cursor::START {
                break;
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, keys.into_iter().collect::<Vec<_>>());
    }
}

/// Keys that exist throughout are visited even if masses of others come, so that tables double, and go.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_scan_under_change_misses_no_key_that_stays() {
    let mut kv = Kv::new();
    let stays: BTreeSet<Vec<u8>> = (0..500u32).map(|i| format!("stays {i}").into_bytes()).collect();
    for key in &stays {
        set(&mut kv, 1, key, b"");
    }
    let reader = kv.reader();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for i in 0..200_000u32 {
                set(&mut kv, 2, format!("new {i}").as_bytes(), b"");
                if i % 3 == 0 {
                    delete(&mut kv, 2, &[format!("new {}", i / 2).as_bytes()]);
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut scans = 0;
        while scans < 3 || !done.load(Ordering::Acquire) {
            let mut seen: HashSet<Vec<u8>> = HashSet::new();
            let mut cursor = Cursor::START;
            loop {
                cursor = reader.scan(cursor, 50, |key| {
                    if key.starts_with(b"stays") {
                        assert!(seen.insert(key.to_vec()), "visited twice");
                    }
                });
                if cursor == Cursor::START {
                    break;
                }
            }
            assert_eq!(seen.len(), stays.len());
            scans += 1;
        }
        writer.join().unwrap();
    });
}

/// A scan that continues at another server visits every key, whatever that server's tables have been through:
/// also after a restart, and after a snapshot.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_cursor_holds_on_every_server_of_the_cluster() {
    let cluster = || Kv::of_cluster(0xc1).unwrap();
    let (mut one, mut grown, mut restored) = (cluster(), cluster(), cluster());
    for i in 0..20_000u32 {
        set(&mut grown, 1, &i.to_be_bytes(), b"");
    }
    run(&mut grown, 1, command::encode_flush_all);
    let keys: BTreeSet<Vec<u8>> = (0..5000u32).map(|i| format!("key {i}").into_bytes()).collect();
    for key in &keys {
        set(&mut one, 2, key, b"");
    }
    for key in keys.iter().rev() {
        set(&mut grown, 2, key, b"");
    }
    let (mut frozen, mut restoring) = (one.freeze(), Kv::restoring(&restored.reader()));
    let mut chunk = Vec::new();
    while frozen.next_chunk(&mut chunk) {
        restoring.add_chunk(&std::mem::take(&mut chunk).into()).unwrap();
    }
    restored.restore(GlobalPosition::new(3), restoring).unwrap();
    let readers = [one.reader(), grown.reader(), restored.reader()];
    for count in [1, 7, 100, 1000] {
        let (mut seen, mut cursor) = (Vec::new(), Cursor::START);
        for reader in readers.iter().cycle() {
            cursor = reader.scan(cursor, count, |key| seen.push(key.to_vec()));
            assert!(cursor <= Cursor::MAX);
            if cursor == Cursor::START {
                break;
            }
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(keys.iter().cloned()), "{count} keys a page");
    }
}

/// Without the cluster's id, nobody knows which keys share a table.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn another_cluster_scans_in_another_order() {
    let order = |mut kv: Kv| {
        let mut seen = Vec::new();
        for i in 0..20u8 {
            set(&mut kv, 1, &[i], b"");
        }
        kv.reader().scan(Cursor::START, 100, |key| seen.push(key[0]));
        seen
    };
    let [one, same, other] = [1, 1, 2].map(|cluster| order(Kv::of_cluster(cluster).unwrap()));
    assert_eq!(one, same);
    assert_ne!(one, other);
    // Cursors outlive the program that issued them.
    assert_eq!(one, ORDER_IN_CLUSTER_1);
}

const ORDER_IN_CLUSTER_1: [u8; 20] = [10, 13, 18, 14, 7, 17, 19, 16, 9, 12, 8, 15, 4, 6, 5, 0, 3, 1, 2, 11];

/// A page costs as much as it shows, whatever count is requested: it ends after a MiB of keys.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn a_page_of_long_keys_ends_early() {
    let mut kv = Kv::new();
    for i in 0..100u8 {
        set(&mut kv, 1, &[vec![i], vec![b'k'; (64 << 10) - 1]].concat(), b"");
    }
    let (mut pages, mut seen, mut cursor) = (0, BTreeSet::new(), Cursor::START);
    loop {
        let mut bytes = 0;
        cursor = kv.reader().scan(cursor, usize::MAX, |key| {
            bytes += key.len();
            seen.insert(key[0]);
        });
        assert!(bytes <= (1 << 20) + (64 << 10), "{bytes} bytes on a page");
        pages += 1;
        if cursor == Cursor::START {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (7, 100));
    // Short keys come together, as many as requested.
    run(&mut kv, 1, command::encode_flush_all);
    for i in 0..10_000u32 {
        set(&mut kv, 1, &i.to_be_bytes(), b"");
    }
    let mut keys = 0;
    assert_eq!(kv.reader().scan(Cursor::START, 20_000, |_| keys += 1), Cursor::START);
    assert_eq!(keys, 10_000);
}

/// The state keeps changing while a page's keys are visited.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn nothing_is_locked_while_a_scan_visits() {
    let mut kv = Kv::new();
    for i in 0..1000u32 {
        set(&mut kv, 1, &i.to_be_bytes(), b"");
    }
    let reader = kv.reader();
    let mut cursor = Cursor::START;
    let mut seen = 0;
    loop {
        cursor = reader.scan(cursor, 50, |key| {
            delete(&mut kv, 1, &[key]);
            seen += 1;
        });
        if cursor == Cursor::START {
            break;
        }
    }
    assert_eq!((seen, reader.len()), (1000, 0));
}

/// The bytes of a value that records which thread frees it.
struct Freed(Vec<u8>, std::sync::mpsc::Sender<Option<String>>);

impl AsRef<[u8]> for Freed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        let _ = self.1.send(thread::current().name().map(String::from));
    }
}

/// What was flushed is freed by a thread that already exists, since the system might refuse a new one.
#[test]
fn what_was_there_is_freed_elsewhere() {
    let (sender, freed) = std::sync::mpsc::channel();
    let mut kv = Kv::of_cluster(1).unwrap();
    let reader = kv.reader();
    for restore in [false, true] {
        let mut bytes = Vec::new();
        command::encode_set_head(&mut bytes, b"k", &Condition::Always, false);
        bytes.resize(10_000, 9);
        let position = GlobalPosition::new(1 + u64::from(restore));
        kv.execute(position, &Bytes::from_owner(Freed(bytes, sender.clone())));
        assert_eq!(reader.len(), 1);
        if restore {
            kv.restore(GlobalPosition::new(3), Kv::restoring(&reader)).unwrap();
        } else {
            run(&mut kv, 1, command::encode_flush_all);
        }
        assert_eq!(reader.len(), 0);
        assert_eq!(freed.recv().unwrap().as_deref(), Some("garbage"));
    }
}

/// One thread sets several keys together, by mset or in a block, and removes them together; readers see them equal at every
/// moment.
#[test]
#[cfg_attr(miri, ignore = "takes too long")]
fn nobody_sees_half_of_a_command() {
    let keys: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i; 3]).collect();
    let names = || keys.iter().map(Vec::as_slice);
    let mut kv = Kv::new();
    let reader = kv.reader();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=4000u64 {
                let value = round.to_string();
                let pairs = keys.iter().map(|key| (key.as_slice(), value.as_bytes()));
                if round % 2 == 0 {
                    run(&mut kv, 2 * round, |out| command::encode_mset(out, pairs, false));
                } else {
                    let sets = pairs
                        .map(|pair| encoded(|out| command::encode_mset(out, std::iter::once(pair), false)));
                    let sets: Vec<_> = sets.collect();
                    run(&mut kv, 2 * round, |out| {
                        command::encode_block(out, std::iter::empty(), sets.iter().map(Vec::as_slice));
                    });
                }
                if round % 3 == 0 {
                    let all: Vec<&[u8]> = names().collect();
                    delete(&mut kv, 2 * round + 1, &all);
                } else if round % 7 == 0 {
                    run(&mut kv, 2 * round + 1, command::encode_flush_all);
                }
            }
            done.store(true, Ordering::Release);
        });
        for backwards in [false, true] {
            let (reader, done, keys) = (&reader, &done, &keys);
            scope.spawn(move || {
                let mut order: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                if backwards {
                    order.reverse();
                }
                while !done.load(Ordering::Acquire) {
                    let values = reader.get_many(order.iter().copied());
                    assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "half an mset: {values:?}");
                    let exist = reader.exists(order.iter().copied());
                    assert!(exist == 0 || exist == 20, "half a delete: {exist} of 20");
                    let len = reader.len();
                    assert!(len == 0 || len == 20, "half of either: {len} of 20");
                }
            });
        }
    });
}
