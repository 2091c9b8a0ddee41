//! What scripts do to the state.

use bytes::Bytes;
use niagara_engine::StateMachine;
use proptest::collection::vec;
use proptest::prelude::*;

use super::run;
use crate::command;
use crate::pubsub::Topic;
use crate::table::Op;
use crate::{Data, Kv, Reply};

fn eval(kv: &mut Kv, position: u64, op: Op, words: &[&[u8]]) -> Data {
    let reply = run(kv, position, |out| {
        command::encode_time(out, 1_000_000 + position);
        command::encode_call(out, op, words.iter().copied());
    });
    match reply {
        Reply::Data(data) | Reply::Administered { data, .. } => data,
        other => panic!("{other:?}"),
    }
}

fn bulk(text: &'static str) -> Data {
    Data::Bulk(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_script_reads_and_writes_whatever_it_names() {
    let mut kv = Kv::new();
    let script =
        b"redis.call('set', 'undeclared', ARGV[1], 'PX', 50) redis.call('mset', KEYS[1], '1', 'b', '2')
        return {redis.call('dbsize'), redis.call('keys', '*')[1] ~= nil, redis.call('pttl', 'undeclared')}";
    let done = eval(&mut kv, 1, Op::Eval, &[script, b"1", b"a", b"x"]);
    assert_eq!(done, Data::Array(vec![Data::Integer(3), Data::Integer(1), Data::Integer(50)]));
    // By the clock of the state, that key is gone.
    let later = eval(&mut kv, 60, Op::Eval, &[b"return redis.call('exists', 'undeclared', 'a', 'b')", b"0"]);
    assert_eq!(later, Data::Integer(2));
    let time = eval(&mut kv, 61, Op::Eval, &[b"return redis.call('time')", b"0"]);
    assert_eq!(time, Data::Array(vec![bulk("1000"), bulk("61000")]));
}

#[test]
fn what_a_script_wrote_before_it_failed_stays() {
    let mut kv = Kv::new();
    let failed = eval(&mut kv, 1, Op::Eval, &[b"redis.call('set', 'k', 'v') while true do end", b"0"]);
    assert!(matches!(&failed, Data::Error(text) if text.contains("instructions")), "{failed:?}");
    assert_eq!(kv.reader().get(b"k").unwrap().0, "v");
}

#[test]
fn a_script_that_must_not_write_is_stopped_before() {
    let mut kv = Kv::new();
    let cases: [(Op, &[u8]); 3] = [
        (Op::EvalRo, b"return redis.call('set', 'k', 'v')"),
        (Op::EvalRo, b"return redis.call('incr', 'k')"),
        (Op::Eval, b"#!lua flags=no-writes\nreturn redis.call('flushall')"),
    ];
    for (op, script) in cases {
        let refused = eval(&mut kv, 1, op, &[script, b"0"]);
        assert!(
            matches!(&refused, Data::Error(text) if text.contains("not allowed from read-only")),
            "{refused:?}"
        );
    }
    assert_eq!(kv.reader().len(), 0);
    assert_eq!(eval(&mut kv, 2, Op::EvalRo, &[b"return redis.call('get', 'k')", b"0"]), Data::Null);
    for line in ["#!python", "#!lua flags=none", "#!lua name=x"] {
        let refused = eval(&mut kv, 3, Op::Eval, &[line.as_bytes(), b"0"]);
        assert!(matches!(refused, Data::Error(_)), "{line}");
    }
}

/// What differs from server to server, a script does not learn: who subscribes there, and which scripts are known.
#[test]
fn a_script_does_not_learn_what_one_server_knows() {
    let scripts: [&[u8]; 3] = [
        b"return redis.call('publish', 'news', 'x') + redis.call('spublish', 'news', 'x')",
        b"return redis.call('set', 'k', redis.call('publish', 'news', 'x'))",
        b"return redis.call('script', 'exists', redis.sha1hex('return 1'))[1]",
    ];
    let (mut one, mut other) = (Kv::new(), Kv::new());
    let (_audience, _subscriber) = super::messages::subscriber(&other, Topic::Channel, b"news");
    other.reader().scripts().add(b"return 1");
    for (position, script) in (1..).zip(scripts) {
        let replies = [&mut one, &mut other].map(|kv| eval(kv, position, Op::Eval, &[script, b"0"]));
        assert_eq!(replies[0], replies[1]);
        assert_eq!(one.digest(), other.digest());
    }
    let refused = eval(&mut one, 9, Op::Eval, &[b"return redis.call('script', 'flush')", b"0"]);
    assert!(matches!(&refused, Data::Error(text) if text.contains("not allowed from script")), "{refused:?}");
}

#[test]
fn the_log_carries_no_names_of_scripts() {
    let mut bytes = Vec::new();
    command::encode_call(
        &mut bytes,
        Op::EvalSha,
        [&b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"[..], b"0"].into_iter(),
    );
    assert!(command::decode(&bytes).is_err());
}

/// A command, as words, and as the log carries it without a script.
fn commands() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
    let key = prop_oneof![Just("a"), Just("b"), Just("c")];
    let value = prop_oneof![Just("7"), Just("x"), Just("-3"), Just("")];
    (0..10u8, key, value, any::<i8>()).prop_map(|(kind, key, value, delta)| {
        let (k, v, mut out) = (key.as_bytes(), value.as_bytes(), Vec::new());
        let delta_text = delta.to_string();
        let words: Vec<&[u8]> = match kind {
            0 => vec![b"append", k, v],
            1 => vec![b"incr", k],
            2 => vec![b"decrby", k, delta_text.as_bytes()],
            3 => vec![b"del", k, b"a", b"a"],
            4 => vec![b"mset", k, v, b"a", v],
            5 => vec![b"msetnx", k, v, b"a", v],
            6 => vec![b"setnx", k, v],
            7 => vec![b"getset", k, v],
            8 => vec![b"flushall"],
            _ => vec![b"incrby", k, delta_text.as_bytes()],
        };
        match kind {
            0 => command::encode_append(&mut out, k, v),
            1 => command::encode_incr_by(&mut out, k, 1),
            2 => command::encode_incr_by(&mut out, k, -i64::from(delta)),
            3 => command::encode_delete(&mut out, [k, b"a", b"a"].into_iter(), &command::Condition::Always),
            4 | 5 => command::encode_mset(&mut out, [(k, v), (&b"a"[..], v)].into_iter(), kind == 5),
            6 | 7 => {
                let condition =
                    if kind == 6 { command::Condition::IfAbsent } else { command::Condition::Always };
                command::encode_set_head(&mut out, k, &condition, kind == 7);
                out.extend_from_slice(v);
            }
            8 => command::encode_flush_all(&mut out),
            _ => command::encode_incr_by(&mut out, k, i64::from(delta)),
        }
        (words.into_iter().map(<[u8]>::to_vec).collect(), out)
    })
}

proptest! {
    /// Commands do the same in a script as alone.
    #[test]
    fn a_script_is_its_commands(steps in vec(commands(), 1..12)) {
        let (mut alone, mut scripted) = (Kv::new(), Kv::new());
        for (position, (words, command)) in (1..).zip(&steps) {
            let reply = run(&mut alone, position, |out| {
                command::encode_time(out, 1_000_000 + position);
                out.extend_from_slice(command);
            });
            let mut call: Vec<&[u8]> = vec![b"return redis.pcall(unpack(ARGV))", b"0"];
            call.extend(words.iter().map(Vec::as_slice));
            let data = eval(&mut scripted, position, Op::Eval, &call);
            let fits = match (&reply, &data) {
                (Reply::Counted { value, .. }, Data::Integer(number)) => value == number,
                (Reply::Appended { length, .. }, Data::Integer(number)) => *length as i64 == *number,
                (Reply::Deleted { removed }, Data::Integer(number)) => *removed as i64 == *number,
                (Reply::Stored { old: Some(old), .. }, Data::Bulk(shown)) => old == shown,
                (Reply::Stored { .. } | Reply::Flushed, Data::Status(_) | Data::Integer(1) | Data::Null)
                | (Reply::ConditionFailed { .. }, Data::Integer(0))
                | (Reply::Failed(_), Data::Error(_)) => true,
                _ => false,
            };
            prop_assert!(fits, "{:?} but {:?}", reply, data);
            prop_assert_eq!(alone.digest(), scripted.digest());
            prop_assert_eq!(alone.reader().len(), scripted.reader().len());
        }
    }
}
