//! The limit of memory: what is counted, what is refused, and which keys go.

use super::changes::{keep, seen, watch};
use super::digest::restored;
use super::*;
use crate::changes::Kind;
use crate::memory::{self, POLICIES};
use crate::{Data, Database, Op};

fn within(kv: &mut Kv, position: u64, number: u64, encode: impl FnOnce(&mut Vec<u8>)) -> Reply {
    run(kv, position, |out| {
        command::encode_time(out, 1_000_000 + position);
        command::encode_in(out, Database::new(number).unwrap());
        encode(out);
    })
}

fn call(kv: &mut Kv, position: u64, op: Op, words: &[&[u8]]) -> Reply {
    within(kv, position, 0, |out| command::encode_call(out, op, words.iter().copied()))
}

pub(super) fn config(kv: &mut Kv, position: u64, settings: &[(&str, &str)]) -> Reply {
    let words: Vec<&[u8]> = std::iter::once(&b"SET"[..])
        .chain(settings.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]))
        .collect();
    run(kv, position, |out| command::encode_call(out, Op::Config, words.into_iter()))
}

/// What all entries count together, looked up one by one.
fn recounted(kv: &Kv) -> u64 {
    let shards = kv.map.read_everything();
    let tables = shards.iter().flat_map(|shard| shard.tables().tables_from(place::Place(0)));
    let counted = |entry: &entry::Entry| {
        memory::counted(entry.key(), &entry.value(), entry.description(), entry.deadline())
    };
    tables.flatten().map(counted).sum()
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u16),
    Expiring(u8, u8),
    Described(u8),
    Append(u8, u8),
    Increment(u8),
    SetRange(u8, u16),
    Copy(u8, u8),
    Rename(u8, u8),
    Persist(u8),
    Delete(u8),
    Swap(u8, u8),
    Flush,
    Script(u8),
    Report(u8),
    MakeRoom,
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..40u8;
    prop_oneof![
        6 => (key(), 0..600u16).prop_map(|(key, length)| Step::Set(key, length)),
        6 => (key(), 1..200u8).prop_map(|(key, lasts)| Step::Expiring(key, lasts)),
        1 => key().prop_map(Step::Described),
        2 => (key(), any::<u8>()).prop_map(|(key, more)| Step::Append(key, more)),
        1 => key().prop_map(Step::Increment),
        1 => (key(), 0..900u16).prop_map(|(key, at)| Step::SetRange(key, at)),
        2 => (key(), 0..4u8).prop_map(|(key, into)| Step::Copy(key, into)),
        1 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => key().prop_map(Step::Persist),
        1 => key().prop_map(Step::Delete),
        1 => (0..4u8, 0..4u8).prop_map(|(one, other)| Step::Swap(one, other)),
        1 => Just(Step::Flush),
        1 => key().prop_map(Step::Script),
        2 => key().prop_map(Step::Report),
        1 => Just(Step::MakeRoom),
        1 => Just(Step::Restore),
    ]
}

/// Executes a step in a database.
fn execute(kv: &mut Kv, position: u64, number: u64, step: &Step) -> Reply {
    let text = |number: u64| number.to_string().into_bytes();
    let mut of = |op, words: &[&[u8]]| {
        within(kv, position, number, |out| command::encode_call(out, op, words.iter().copied()))
    };
    match *step {
        Step::Set(key, length) => of(Op::Set, &[&[key], &vec![b'v'; length.into()]]),
        Step::Expiring(key, lasts) => of(Op::PSetEx, &[&[key], &text(lasts.into()), b"v"]),
        Step::Described(key) => of(Op::Put, &[&[key], b"v", b"text/plain", b"", b"PXAT", b"9000000"]),
        Step::SetRange(key, at) => of(Op::SetRange, &[&[key], &text(at.into()), b"x"]),
        Step::Copy(key, into) => of(Op::Copy, &[&[key], &[key], b"DB", &text(into.into()), b"REPLACE"]),
        Step::Rename(from, to) => of(Op::Rename, &[&[from], &[to]]),
        Step::Persist(key) => of(Op::Persist, &[&[key]]),
        Step::Swap(one, other) => of(Op::SwapDb, &[&text(one.into()), &text(other.into())]),
        Step::Flush => of(Op::FlushDb, &[]),
        Step::Script(key) => {
            let script = b"redis.call('set', KEYS[1], ARGV[1]) redis.call('append', KEYS[1], 'more') return redis.call('get', KEYS[1])";
            of(Op::Eval, &[script, b"1", &[key], b"value"])
        }
        Step::Append(key, more) => within(kv, position, number, |out| {
            command::encode_append(out, &[key], &vec![b'+'; more.into()]);
        }),
        Step::Increment(key) => {
            within(kv, position, number, |out| command::encode_incr_by(out, &[key, b'n'], 7))
        }
        Step::Delete(key) => within(kv, position, number, |out| {
            command::encode_delete(out, [&[key][..]].into_iter(), &Condition::Always);
        }),
        Step::Report(key) => run(kv, position, |out| {
            command::encode_used(out, [(Database::new(number).unwrap(), &[key][..])].into_iter());
        }),
        Step::MakeRoom => run(kv, position, command::encode_make_room),
        Step::Restore => Reply::Timed,
    }
}

proptest! {
    /// Two servers, one of which continues from snapshots, count the same, refuse the same and evict the same.
    #[test]
    fn what_is_counted_and_evicted_is_the_same_on_all_servers(
        steps in vec((step(), 0..4u64), 1..120),
        policy in 0..POLICIES.len(),
        most in 1000..12_000u64,
        samples in 1..12u64,
    ) {
        let (mut one, mut other) = (Kv::new(), Kv::new());
        let settings = [
            ("maxmemory", &most.to_string()[..]),
            ("maxmemory-policy", POLICIES[policy].0),
            ("maxmemory-samples", &samples.to_string()),
        ];
        for kv in [&mut one, &mut other] {
            prop_assert_eq!(config(kv, 1, &settings), Reply::Data(Data::OK));
        }
        for ((step, number), position) in steps.iter().zip(2..) {
            if let Step::Restore = step {
                other = restored(&mut one);
            }
            let reply = execute(&mut one, position, *number, step);
            prop_assert_eq!(execute(&mut other, position, *number, step), reply);
            for kv in [&one, &other] {
                prop_assert_eq!(kv.core.ledger.bytes(), recounted(kv));
                prop_assert_eq!(kv.reader().sizes().1, recounted(kv));
            }
            prop_assert_eq!(one.digest(), other.digest(), "{:?} at {}", step, position);
        }
    }
}

fn fill(kv: &mut Kv, positions: Range<u64>) -> Vec<Reply> {
    positions.map(|number| set(kv, number, format!("key-{number}").as_bytes(), &[b'v'; 100])).collect()
}

fn evicted(kv: &Kv) -> u64 {
    kv.reader().memory().evicted
}

#[test]
fn without_eviction_what_needs_memory_is_refused_and_all_else_is_done() {
    let mut kv = Kv::new();
    config(&mut kv, 1, &[("maxmemory", "3000")]);
    let replies = fill(&mut kv, 2..40);
    let let_in = replies.iter().filter(|reply| matches!(reply, Reply::Stored { .. })).count();
    let refused = Reply::Failed(CommandError::OutOfMemory);
    assert!(replies[let_in..].iter().all(|reply| *reply == refused), "{replies:?}");
    let used = kv.reader().sizes().1;
    assert!(used > 3000 && used < 3400, "one command may exceed the limit: {used}");
    assert_eq!(kv.reader().short(), (38 - let_in) as u64);

    for (op, words) in [
        (Op::SetRange, vec![&b"key-2"[..], b"5", b"x"]),
        (Op::Copy, vec![b"key-2", b"copy"]),
        (Op::BitOp, vec![b"NOT", b"inverse", b"key-2"]),
        (Op::PSetEx, vec![b"key-2", b"5", b"x"]),
    ] {
        assert_eq!(call(&mut kv, 40, op, &words), refused, "{op:?}");
    }
    assert_eq!(call(&mut kv, 41, Op::Rename, &[b"key-2", b"renamed"]), Reply::Data(Data::OK));
    assert_eq!(call(&mut kv, 42, Op::Expire, &[b"renamed", b"100"]), Reply::Data(Data::Integer(1)));
    assert!(matches!(call(&mut kv, 43, Op::Get, &[b"renamed"]), Reply::Data(Data::Bulk(_))));
    assert_eq!(delete(&mut kv, 44, &[b"renamed", b"key-3"]), Reply::Deleted { removed: 2 });
    assert!(matches!(set(&mut kv, 45, b"k", b"v"), Reply::Stored { .. }), "there is room again");
    config(&mut kv, 46, &[("maxmemory", "1")]);
    assert_eq!(set(&mut kv, 47, b"k", b"w"), refused);
    assert!(matches!(set(&mut kv, 48, b"k", b"w"), Reply::Failed(_)));
    config(&mut kv, 49, &[("maxmemory", "0")]);
    assert!(matches!(set(&mut kv, 50, b"k", b"w"), Reply::Stored { .. }));
    assert_eq!(evicted(&kv), 0);
}

#[test]
fn a_block_is_refused_as_a_whole_if_a_part_of_it_needs_memory() {
    let mut kv = Kv::new();
    set(&mut kv, 1, b"k", b"v");
    config(&mut kv, 2, &[("maxmemory", "1")]);
    let block = |kv: &mut Kv, position, parts: &[&[u8]]| {
        run(kv, position, |out| {
            command::encode_block(out, std::iter::empty(), parts.iter().copied());
        })
    };
    let get = encoded(|out| command::encode_call(out, Op::Get, [&b"k"[..]].into_iter()));
    let append = encoded(|out| {
        command::encode_in(out, Database::new(3).unwrap());
        command::encode_append(out, b"k", b"+");
    });
    let refused = block(&mut kv, 3, &[&get, &append]);
    assert_eq!(refused, Reply::Failed(CommandError::OutOfMemory));
    let script = encoded(|out| {
        command::encode_call(out, Op::Eval, [&b"return redis.call('set', 'k', 'w')"[..], b"0"].into_iter());
    });
    let Reply::Block(Some(replies)) = block(&mut kv, 4, &[&get, &script]) else { panic!("it is executed") };
    assert!(matches!(&replies[0], Reply::Data(Data::Bulk(_))));
    assert!(
        matches!(&replies[1], Reply::Data(Data::Error(text)) if text.contains("OOM command not allowed"))
    );
    assert_eq!(kv.reader().get(b"k").unwrap().0, "v");
}

#[test]
fn a_script_is_stopped_before_its_first_write_or_not_at_all() {
    let mut kv = Kv::new();
    set(&mut kv, 1, b"k", b"v");
    config(&mut kv, 2, &[("maxmemory", "1")]);
    let mut eval =
        |position, script: &str| match call(&mut kv, position, Op::Eval, &[script.as_bytes(), b"0"]) {
            Reply::Data(data) => data,
            other => panic!("{other:?}"),
        };
    let fails = |data: &Data, with: &str| matches!(data, Data::Error(text) if text.contains(with));
    let refused = eval(3, "redis.call('get', 'k') return redis.call('set', 'k', 'w')");
    assert!(fails(&refused, "OOM command not allowed when used memory > 'maxmemory'."), "{refused:?}");
    // What makes room may come first, and then the script goes on.
    assert_eq!(eval(4, "redis.call('del', 'no') redis.call('set', 'k', 'w') return 1"), Data::Integer(1));
    let undeclared = eval(5, "#!lua\nreturn redis.call('get', 'k')");
    assert!(fails(&undeclared, "OOM command not allowed"), "{undeclared:?}");
    let undeclared = eval(5, "#!lua flags=\nreturn redis.call('get', 'k')");
    assert!(fails(&undeclared, "OOM command not allowed"), "no flag is named: {undeclared:?}");
    assert_eq!(eval(6, "#!lua flags=allow-oom\nredis.call('set', 'k', 'x') return 2"), Data::Integer(2));
    assert_eq!(eval(7, "#!lua flags=no-writes\nreturn redis.call('strlen', 'k')"), Data::Integer(1));
    assert_eq!(kv.reader().get(b"k").unwrap().0, "x");
}

#[test]
fn keys_go_by_the_policy() {
    for (policy, all) in [
        ("allkeys-random", true),
        ("allkeys-lru", true),
        ("volatile-random", false),
        ("volatile-ttl", false),
        ("volatile-lru", false),
    ] {
        let mut kv = Kv::new();
        config(&mut kv, 1, &[("maxmemory", "20000"), ("maxmemory-policy", policy)]);
        for number in 2..600u64 {
            let (key, lasts) = (format!("key-{number}"), (20_000 - 2 * number).to_string());
            let last: &[&[u8]] = &[b"PX", lasts.as_bytes()];
            let words = [key.as_bytes(), b"value"];
            let is_volatile = number % 2 == 0 || number > 60;
            let words: Vec<&[u8]> =
                words.iter().chain(last.iter().filter(|_| is_volatile)).copied().collect();
            assert_eq!(call(&mut kv, number, Op::Set, &words), Reply::Data(Data::OK), "{policy}");
        }
        let used = kv.reader().sizes().1;
        assert!(used <= 20_500, "{policy}: {used}");
        assert!(evicted(&kv) > 300, "{policy}");
        let kept = |number: u64| kv.reader().get(format!("key-{number}").as_bytes()).is_some();
        let lasting = (2..=60).filter(|number| number % 2 == 1).filter(|number| kept(*number)).count();
        assert_eq!(lasting == 29, !all, "{policy} evicts only what it may: {lasting}");
        if policy == "volatile-ttl" {
            assert!((2..66).all(kept), "they would expire last");
            assert!((500..599).filter(|number| kept(*number)).count() <= 1, "they would expire first");
        }
    }
}

#[test]
fn if_none_may_go_commands_are_refused() {
    let mut kv = Kv::new();
    config(&mut kv, 1, &[("maxmemory", "2000"), ("maxmemory-policy", "volatile-lru")]);
    let replies = fill(&mut kv, 2..30);
    assert_eq!(replies.last(), Some(&Reply::Failed(CommandError::OutOfMemory)));
    assert_eq!(call(&mut kv, 31, Op::Expire, &[b"key-2", b"100"]), Reply::Data(Data::Integer(1)));
    assert!(matches!(set(&mut kv, 32, b"k", b""), Reply::Stored { .. }), "that one goes");
    assert_eq!((kv.reader().get(b"key-2"), evicted(&kv)), (None, 1));
}

/// Nobody waits until all is gone that is too much, and nobody is refused while that goes on.
#[test]
fn a_limit_that_is_lowered_is_approached_in_steps() {
    let mut kv = Kv::new();
    fill(&mut kv, 1..5000);
    config(&mut kv, 5000, &[("maxmemory", "20k"), ("maxmemory-policy", "allkeys-random")]);
    let mut before = kv.reader().len();
    let mut position = 5001;
    while kv.reader().sizes().1 > 21_000 {
        assert!(matches!(set(&mut kv, position, b"k", b"v"), Reply::Stored { .. }));
        let now = kv.reader().len();
        assert!(now < before && before - now <= 257, "{before} keys become {now}");
        (before, position) = (now, position + 1);
    }
    assert!(position < 5025);
}

/// A command that brings more than goes at once is let in once, and then refused until less is taken.
#[test]
fn nothing_grows_far_beyond_the_limit() {
    let mut kv = Kv::new();
    fill(&mut kv, 1..4000);
    let used = kv.reader().sizes().1;
    config(&mut kv, 4000, &[("maxmemory", &used.to_string()), ("maxmemory-policy", "allkeys-lru")]);
    let large = vec![b'x'; 200_000];
    let mut refused = 0;
    for position in 4001..4030 {
        let reply = set(&mut kv, position, format!("large-{position}").as_bytes(), &large);
        refused += u64::from(reply == Reply::Failed(CommandError::OutOfMemory));
        assert!(kv.reader().sizes().1 <= used + 2 * 201_000, "{}", kv.reader().sizes().1);
    }
    assert!(refused > 0);
    let restored = restored(&mut kv);
    assert_eq!((restored.digest(), restored.core.memory), (kv.digest(), kv.core.memory));
}

#[test]
fn an_msets_keys_make_room_for_the_next_ones() {
    let mut kv = Kv::new();
    config(&mut kv, 1, &[("maxmemory", "400k"), ("maxmemory-policy", "allkeys-lru")]);
    for position in 2..40u64 {
        let keys: Vec<String> = (0..1000).map(|number| format!("{position}-{number}")).collect();
        let reply = run(&mut kv, position, |out| {
            command::encode_mset(out, keys.iter().map(|key| (key.as_bytes(), &b"value"[..])), false);
        });
        assert!(matches!(reply, Reply::Stored { .. }), "at {position}");
        assert!(kv.reader().sizes().1 < 1_000_000);
    }
}

#[test]
fn watchers_are_told_what_was_evicted() {
    let mut kv = Kv::new();
    config(&mut kv, 1, &[("maxmemory", "1000"), ("maxmemory-policy", "allkeys-random")]);
    keep(&mut kv, 2);
    let mut watcher = watch(&kv, b"", None).unwrap();
    fill(&mut kv, 3..20);
    let changes = seen(&mut watcher);
    let deleted = changes.iter().filter(|change| change.kind == Kind::Delete).count();
    assert!(deleted > 5);
    assert_eq!(deleted as u64, evicted(&kv));
}

#[test]
fn settings_are_set_together_or_not_at_all() {
    let mut kv = Kv::new();
    let wrong = config(&mut kv, 1, &[("maxmemory", "5mb"), ("maxmemory-policy", "allkeys-lfu")]);
    assert!(matches!(&wrong, Reply::Data(Data::Error(text)) if text.contains("no LFU")), "{wrong:?}");
    assert_eq!(kv.reader().memory(), memory::Memory::default());
    let before = kv.digest();
    config(
        &mut kv,
        2,
        &[("MaxMemory", "5mb"), ("maxmemory-samples", "9"), ("maxmemory-policy", "Allkeys-Lru")],
    );
    let set = kv.reader().memory();
    assert_eq!((set.most, set.samples, set.policy.name()), (5 << 20, 9, "allkeys-lru"));
    assert_ne!(kv.digest(), before);
    assert_eq!(restored(&mut kv).reader().memory(), set);
}

/// An entry that is read while a snapshot is written is in it as it was.
#[test]
fn a_view_shows_no_later_reports() {
    let mut kv = Kv::new();
    config(&mut kv, 1, &[("maxmemory", "1gb"), ("maxmemory-policy", "allkeys-lru")]);
    fill(&mut kv, 2..300);
    let digest = kv.digest();
    let mut frozen = kv.freeze();
    let keys: Vec<String> = (2..300).map(|number| format!("key-{number}")).collect();
    for position in 300..303 {
        run(&mut kv, position, |out| {
            command::encode_used(out, keys.iter().map(|key| (Database::FIRST, key.as_bytes())));
        });
    }
    assert_ne!(kv.digest(), digest);
    delete(&mut kv, 303, &[b"key-7", b"key-8"]);
    set(&mut kv, 304, b"key-9", b"new");
    let mut state = Kv::restoring(&Kv::new().reader());
    let mut chunk = Vec::new();
    while frozen.next_chunk(&mut chunk) {
        state.add_chunk(&Bytes::from(std::mem::take(&mut chunk))).unwrap();
    }
    assert_eq!(state.digest(), digest);
}

fn make_room(kv: &mut Kv, position: u64) {
    assert_eq!(run(kv, position, command::encode_make_room), Reply::Timed);
}

/// Servers propose it when nobody writes.
#[test]
fn room_is_made_in_steps_until_the_limit_holds() {
    let mut kv = Kv::new();
    fill(&mut kv, 1..2000);
    let before = kv.digest();
    make_room(&mut kv, 2000);
    assert_eq!((kv.digest(), kv.reader().len()), (before, 1999), "there is no limit");
    assert_eq!(kv.reader().eviction_due(), None);
    config(&mut kv, 2001, &[("maxmemory", "20k"), ("maxmemory-policy", "allkeys-random")]);
    let mut position = 2002;
    let mut keys = kv.reader().len();
    while let Some(gone) = kv.reader().eviction_due() {
        assert_eq!(gone, evicted(&kv));
        make_room(&mut kv, position);
        let left = kv.reader().len();
        assert!((1..=256).contains(&(keys - left)), "{keys} become {left}");
        (keys, position) = (left, position + 1);
    }
    assert!(kv.reader().sizes().1 <= 20_000 && keys > 60, "no more goes than must: {keys} are left");
    assert_eq!(kv.reader().rooms_made(), position - 2001);
    let other = restored(&mut kv);
    assert_eq!((other.digest(), other.reader().eviction_due()), (kv.digest(), None));
    make_room(&mut kv, position);
    assert_eq!(kv.reader().len(), keys);
}

#[test]
fn a_reader_knows_whether_keys_are_to_go_or_commands_are_refused() {
    let mut kv = Kv::new();
    let told = |kv: &Kv| (kv.reader().eviction_due().is_some(), kv.reader().is_out_of_memory());
    fill(&mut kv, 1..3);
    assert_eq!(told(&kv), (false, false));
    config(&mut kv, 3, &[("maxmemory", "10")]);
    assert_eq!(told(&kv), (false, true));
    make_room(&mut kv, 4);
    assert_eq!((told(&kv), kv.reader().len(), kv.reader().short()), ((false, true), 2, 0));
    config(&mut kv, 5, &[("maxmemory-policy", "volatile-lru")]);
    assert_eq!(told(&kv), (false, true), "none expires");
    call(&mut kv, 6, Op::Expire, &[b"key-1", b"100"]);
    assert_eq!(told(&kv), (true, false));
    assert_eq!(told(&restored(&mut kv)), (true, false));
    make_room(&mut kv, 7);
    assert_eq!((told(&kv), kv.reader().len()), ((false, true), 1));
    config(&mut kv, 8, &[("maxmemory", "0")]);
    assert_eq!(told(&kv), (false, false));
}
