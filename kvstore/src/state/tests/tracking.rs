//! Reads on one thread, and changes on another.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use bytes::Bytes;
use niagara_engine::{GlobalPosition, StateMachine, Wake};

use crate::command::{self, Condition};
use crate::tracking::{Mode, Stale, Tracker, Trackers};
use crate::{Data, Kv, KvReader, Op, Reply};

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

fn set(key: u8, value: u64) -> Bytes {
    let mut set = Vec::new();
    command::encode_set_head(&mut set, &[key], &Condition::Always, false);
    set.extend_from_slice(&value.to_le_bytes());
    set.into()
}

fn hear(trackers: &RefCell<Trackers>) -> Option<Vec<(u64, Stale)>> {
    trackers.borrow_mut().hear()
}

fn value(reader: &KvReader, key: u8) -> Option<Bytes> {
    reader.get(&[key]).map(|(value, _)| value)
}

/// Reads keys as a front-end thread does, and keeps what it has read until it hears that it has changed.
fn keep(reader: &KvReader, is_over: &AtomicBool) -> BTreeMap<u8, Option<Bytes>> {
    let trackers = Trackers::new(Arc::clone(reader.tracking()), Arc::new(Nobody));
    let trackers = Rc::new(RefCell::new(trackers));
    let mut tracker = Tracker::new(Rc::clone(&trackers), 1);
    tracker.begin(Mode::default());
    let mut kept = BTreeMap::new();
    let mut was_over = false;
    let mut key = 0_u8;
    loop {
        // What was executed before it was over is heard in the last turn.
        let is_last = was_over;
        was_over = is_over.load(SeqCst);
        while let Some(told) = hear(&trackers) {
            told.into_iter().for_each(|(_, stale)| tracker.outdate(stale));
        }
        while let Some(stale) = tracker.due() {
            match stale {
                Stale::All => kept.clear(),
                Stale::Keys(keys) => keys.iter().for_each(|(_, key)| drop(kept.remove(&key[0]))),
            }
        }
        if is_last {
            return kept;
        }
        for _ in 0..8 {
            key = (key + 1) % 16;
            let since = tracker.last_change();
            let read = value(reader, key);
            tracker.remember(&[key], since);
            kept.insert(key, read);
        }
    }
}

#[test]
fn no_change_falls_between_a_read_and_its_registration() {
    let rounds = 200 * std::env::var("NIAGARA_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let (mut kv, position) = (Kv::new(), AtomicU64::new(0));
    for round in 0..rounds {
        let (reader, is_over) = (kv.reader(), AtomicBool::new(false));
        thread::scope(|scope| {
            let keepers = [0, 1].map(|_| scope.spawn(|| keep(&reader, &is_over)));
            for step in 0..200_u64 {
                let next = GlobalPosition::new(position.fetch_add(1, SeqCst) + 1);
                kv.execute(next, &set((step * 7 % 16) as u8, round * 1000 + step));
            }
            is_over.store(true, SeqCst);
            for keeper in keepers {
                for (key, kept) in keeper.join().unwrap() {
                    assert_eq!(kept, value(&reader, key), "round {round}: nobody was told of key {key}");
                }
            }
        });
    }
    let tracked = kv.reader().tracking().tracked();
    assert_eq!((tracked.clients, tracked.keys, tracked.items), (0, 0, 0));
}

/// A thread that does not take what waits for it loses it, and says so.
#[test]
fn what_waits_for_a_thread_is_bounded() {
    let mut kv = Kv::new();
    let reader = kv.reader();
    let trackers = Rc::new(RefCell::new(Trackers::new(Arc::clone(reader.tracking()), Arc::new(Nobody))));
    let mut tracker = Tracker::new(Rc::clone(&trackers), 1);
    tracker.begin(Mode::default());
    tracker.remember(b"read", tracker.last_change());
    let long = vec![b'k'; command::MAX_KEY_BYTES];
    for position in 1..=1200 {
        let mut set = Vec::new();
        command::encode_set_head(&mut set, &long, &Condition::Always, false);
        kv.execute(GlobalPosition::new(position), &set.into());
    }
    tracker.remember(b"later", tracker.last_change());
    assert!(trackers.borrow().has_news());
    assert_eq!(hear(&trackers), Some(vec![(1, Stale::All)]));
    assert_eq!(hear(&trackers), None);
    let tracked = reader.tracking().tracked();
    assert_eq!((tracked.clients, tracked.keys), (1, 1), "what was read later is still known");
    drop(tracker);
    let tracked = reader.tracking().tracked();
    assert_eq!((tracked.clients, tracked.keys), (0, 0));
}

fn call(kv: &mut Kv, position: u64, (op, words): (Op, &[&str])) -> Reply {
    let mut command = Vec::new();
    command::encode_time(&mut command, 1_000 + position);
    command::encode_call(&mut command, op, words.iter().map(|word| word.as_bytes()));
    kv.execute(GlobalPosition::new(position), &command.into())
}

/// What trackers of all keys are told: the names, or `*` for all of them.
fn told(trackers: &RefCell<Trackers>) -> String {
    let name = |key: &Bytes| String::from_utf8(key.to_vec()).unwrap();
    let told = std::iter::from_fn(|| hear(trackers)).flatten().map(|(_, stale)| match stale {
        Stale::All => "*".to_owned(),
        Stale::Keys(keys) => keys.iter().map(|(_, key)| name(key)).collect::<Vec<_>>().join(" "),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_way_to_change_a_key_is_told() {
    let mut kv = Kv::new();
    let trackers = Rc::new(RefCell::new(Trackers::new(Arc::clone(kv.reader().tracking()), Arc::new(Nobody))));
    let mut tracker = Tracker::new(Rc::clone(&trackers), 1);
    call(&mut kv, 1, (Op::SetEx, &["early", "100", "1"]));
    tracker.begin(Mode { prefixes: Some(vec![Bytes::new()]), ..Mode::default() });
    let mut position = 1;
    let mut expect = |kv: &mut Kv, call_of: (Op, &[&str]), keys: &str| {
        position += 1;
        let reply = call(kv, position, call_of);
        assert!(!matches!(reply, Reply::Data(Data::Error(_))), "{call_of:?}: {reply:?}");
        assert_eq!(told(&trackers), keys, "{call_of:?}");
    };
    for (call_of, keys) in [
        ((Op::SetEx, &["a", "100", "1"][..]), "a"),
        ((Op::Get, &["a"]), ""),
        ((Op::Expire, &["a", "200"]), "a"),
        ((Op::Persist, &["a"]), "a"),
        ((Op::Persist, &["a"]), ""),
        ((Op::Rename, &["a", "b"]), "a b"),
        ((Op::Copy, &["b", "c"]), "c"),
        ((Op::SetBit, &["c", "0", "1"]), "c"),
        ((Op::Set, &["c", "1", "NX"]), ""),
        ((Op::Move, &["c", "3"]), "c c"),
        ((Op::GetDel, &["b"]), "b"),
        ((Op::SwapDb, &["0", "0"]), ""),
        ((Op::SwapDb, &["0", "3"]), "*"),
        // Others have keys, too, and all together are told once.
        ((Op::FlushDb, &[]), "*"),
        ((Op::SetEx, &["d", "100", "1"]), "d"),
        (
            (Op::Eval, &["redis.call('set', 'e', 1) redis.call('get', 'e') redis.call('del', 'e')", "0"]),
            "e e",
        ),
        ((Op::Config, &["SET", "maxmemory", "1", "maxmemory-policy", "allkeys-lru"]), ""),
    ] {
        expect(&mut kv, call_of, keys);
    }
    // Evictions go before the command that needs memory, whatever becomes of that.
    call(&mut kv, 100, (Op::SetEx, &["f", "100", "1"]));
    assert!(told(&trackers).split(' ').any(|key| key == "d"), "it was evicted");
    call(&mut kv, 101, (Op::Config, &["SET", "maxmemory", "0"]));
    call(&mut kv, 102, (Op::SetEx, &["g", "1", "1"]));
    assert_eq!(told(&trackers), "g");
    let mut advance = Vec::new();
    command::encode_advance(&mut advance, 1_000_000);
    kv.execute(GlobalPosition::new(103), &advance.into());
    assert!(told(&trackers).split(' ').any(|key| key == "g"), "it has expired");
    let restoring = Kv::restoring(&kv.reader());
    kv.restore(GlobalPosition::new(200), restoring).unwrap();
    assert_eq!(told(&trackers), "*");
    assert_eq!(told(&trackers), "");
}
