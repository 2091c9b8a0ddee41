//! Users as a part of the state, and their rights when commands are executed.

use niagara_engine::{Frozen, Restoring};

use super::*;
use crate::Data;
use crate::table::Op;
use crate::users::{Users, prepare};

fn set_user(kv: &mut Kv, position: u64, name: &str, rules: &str) {
    let rules = prepare(rules.split(' ').map(str::as_bytes)).unwrap();
    let reply = run(kv, position, |out| {
        command::encode_set_user(out, name.as_bytes(), rules.iter().map(Vec::as_slice));
    });
    assert_eq!(reply, Reply::Data(Data::OK));
}

fn remove(kv: &mut Kv, position: u64, name: &str) {
    let reply = run(kv, position, |out| {
        command::encode_remove_users(out, std::iter::once(name.as_bytes()));
    });
    assert_eq!(reply, Reply::Data(Data::Integer(1)));
}

fn set_by(kv: &mut Kv, position: u64, user: &str, key: &str) -> Reply {
    run(kv, position, |out| {
        command::encode_by(out, user.as_bytes(), std::iter::once(Op::Set));
        command::encode_set_head(out, key.as_bytes(), &Condition::Always, false);
        out.extend_from_slice(b"v");
    })
}

/// What was refused; empty if nothing was.
fn denied(reply: &Reply) -> String {
    match reply {
        Reply::Denied(denied) => denied.whole_text(),
        _ => String::new(),
    }
}

#[test]
fn what_a_user_has_lost_is_refused_from_that_position_on_without_effect() {
    let mut kv = Kv::new();
    assert!(denied(&set_by(&mut kv, 1, "alice", "a")).contains("does not exist"));
    set_user(&mut kv, 2, "alice", "on +set ~a*");
    assert_eq!(denied(&set_by(&mut kv, 3, "alice", "a")), "");
    assert!(denied(&set_by(&mut kv, 4, "alice", "b")).contains("'b' key"));
    let digest = kv.digest();
    set_user(&mut kv, 5, "alice", "resetkeys");
    assert_ne!(kv.digest(), digest, "the same keys under other rights are another state");
    assert!(denied(&set_by(&mut kv, 6, "alice", "a2")).contains("'a2' key"));
    assert_eq!(kv.reader().len(), 1);
    remove(&mut kv, 7, "alice");
    assert!(denied(&set_by(&mut kv, 8, "alice", "a")).contains("does not exist"));
    // One of that name is another user.
    set_user(&mut kv, 9, "alice", "on");
    assert!(denied(&set_by(&mut kv, 10, "alice", "a")).contains("'set' command"));
}

#[test]
fn a_command_that_names_nobody_is_the_default_users() {
    let mut kv = Kv::new();
    set(&mut kv, 1, b"k", b"v");
    set_user(&mut kv, 2, "default", "-flushall -flushdb -@scripting resetkeys %R~*");
    for encode in [
        command::encode_flush_all as fn(&mut Vec<u8>),
        |out| command::encode_delete(out, std::iter::once(&b"k"[..]), &Condition::Always),
        |out| command::encode_incr_by(out, b"k", 1),
        |out| command::encode_append(out, b"k", b"v"),
        |out| command::encode_mset(out, std::iter::once((&b"k"[..], &b"v"[..])), false),
        |out| command::encode_call(out, Op::GetDel, std::iter::once(&b"k"[..])),
        |out| command::encode_call(out, Op::Eval, [&b"return 1"[..], b"0"].into_iter()),
    ] {
        let reply = run(&mut kv, 3, encode);
        assert_ne!(denied(&reply), "", "{reply:?}");
    }
    assert_eq!(kv.reader().get(b"k").unwrap().0, "v");
    let mut flush = Vec::new();
    command::encode_by(&mut flush, b"niagara.rescue", std::iter::empty());
    command::encode_flush_all(&mut flush);
    assert_eq!(kv.execute(GlobalPosition::new(4), &flush.into()), Reply::Flushed);
    // What servers do by themselves is nobody's.
    let life = crate::Life::new(7).unwrap();
    assert_eq!(run(&mut kv, 5, |out| command::encode_name_life(out, life)), Reply::Named { life });
    assert_eq!(run(&mut kv, 6, |out| command::encode_advance(out, 5)), Reply::Timed);
}

#[test]
fn what_was_called_decides_among_commands_of_one_form() {
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "alice", "on ~* +decr");
    let mut add = |called: Option<Op>| {
        let reply = run(&mut kv, 2, |out| {
            command::encode_by(out, b"alice", called.into_iter());
            command::encode_incr_by(out, b"n", 1);
        });
        denied(&reply)
    };
    assert!(add(Some(Op::Incr)).contains("'incr'"));
    assert_eq!(add(Some(Op::Decr)), "");
    assert_eq!(add(None), "", "one of them is allowed");
    assert_eq!(add(Some(Op::Get)), "", "that says nothing");
}

/// What a choice tests, and what it may do in the other case, tells of a key as much as what it does.
#[test]
fn a_choice_needs_the_rights_of_both_its_branches_and_of_its_tests() {
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "alice", "on +exec +get +set +del %R~r* %W~w*");
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    let look = |key: &str| encoded(&|out| command::encode_look(out, key.as_bytes()));
    let put =
        |key: &str| encoded(&|out| command::encode_set_head(out, key.as_bytes(), &Condition::Always, false));
    let delete = |key: &str| {
        encoded(&|out| command::encode_delete(out, std::iter::once(key.as_bytes()), &Condition::Always))
    };
    let choose = |position: u64,
                  kv: &mut Kv,
                  user: Option<&str>,
                  tested: &str,
                  then: &[Vec<u8>],
                  otherwise: &[Vec<u8>]| {
        run(kv, position, |out| {
            if let Some(user) = user {
                command::encode_by(out, user.as_bytes(), std::iter::empty());
            }
            let test = (tested.as_bytes(), command::Test::Condition(Condition::IfAbsent));
            let [then, otherwise] = [then, otherwise].map(|parts| parts.iter().map(Vec::as_slice));
            command::encode_choice(out, std::iter::once(test), then, otherwise);
        })
    };
    let alice = Some("alice");
    let chosen = choose(2, &mut kv, alice, "r", &[put("w"), look("r"), delete("w2")], &[look("r")]);
    assert!(matches!(chosen, Reply::Chosen { hold: true, .. }), "{chosen:?}");
    assert_eq!(kv.reader().len(), 1);
    let refused = [
        ("w", vec![], vec![], "'w' key"),
        ("x", vec![], vec![], "'x' key"),
        ("r", vec![put("w3"), look("w")], vec![], "'w' key"),
        ("r", vec![put("w3")], vec![look("x")], "'x' key"),
        ("r", vec![put("w3"), put("r")], vec![], "'r' key"),
        ("r", vec![put("w3"), delete("r")], vec![], "'r' key"),
    ];
    for (position, (tested, then, otherwise, missing)) in (3..).zip(refused) {
        let reply = choose(position, &mut kv, alice, tested, &then, &otherwise);
        assert!(denied(&reply).contains(missing), "{reply:?}");
    }
    assert_eq!(kv.reader().len(), 1, "none of them has done a part");
    set_user(&mut kv, 20, "alice", "-exec");
    let without_exec = choose(21, &mut kv, alice, "r", &[], &[]);
    assert!(denied(&without_exec).contains("'exec' command"), "{without_exec:?}");
    assert_eq!(denied(&choose(22, &mut kv, None, "x", &[put("x")], &[])), "");
}

#[test]
fn a_choice_of_nobody_is_the_default_user_s() {
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "default", "resetkeys ~w");
    let reply = run(&mut kv, 2, |out| {
        let test = (&b"r"[..], command::Test::Condition(Condition::IfAbsent));
        command::encode_choice(out, std::iter::once(test), std::iter::empty(), std::iter::empty());
    });
    assert!(denied(&reply).contains("'r' key"), "{reply:?}");
}

#[test]
fn no_user_has_changes_kept() {
    let mut bytes = Vec::new();
    command::encode_by(&mut bytes, b"alice", std::iter::empty());
    command::encode_keep_changes(&mut bytes);
    assert!(command::decode(&bytes).is_err());
}

#[test]
fn each_command_of_a_transaction_needs_its_right() {
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "alice", "on +multi +exec +set +get %W~w %R~r");
    let commands = [("w", Op::Set), ("r", Op::Set), ("r", Op::Get), ("w", Op::Get)].map(|(key, op)| {
        let words = [key.as_bytes(), b"v"];
        let words = words[..if op == Op::Set { 2 } else { 1 }].iter().copied();
        encoded(|out| command::encode_call(out, op, words))
    });
    let reply = run(&mut kv, 2, |out| {
        command::encode_by(out, b"alice", std::iter::empty());
        command::encode_block(out, std::iter::empty(), commands.iter().map(Vec::as_slice));
    });
    let Reply::Block(Some(replies)) = reply else { panic!("{reply:?}") };
    let refused: Vec<bool> = replies.iter().map(|reply| matches!(reply, Reply::Denied(_))).collect();
    assert_eq!(refused, [false, true, false, true], "{replies:?}");
    assert_eq!(kv.reader().entries().len(), 1);
}

#[test]
fn what_a_script_calls_needs_its_right_and_the_refusal_is_remembered() {
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "alice", "on +eval +set ~a");
    let mut eval = |position, script: &str| {
        let words = [script.as_bytes(), b"0"];
        run(&mut kv, position, |out| {
            command::encode_time(out, 1);
            command::encode_by(out, b"alice", std::iter::empty());
            command::encode_call(out, Op::Eval, words.into_iter());
        })
    };
    assert_eq!(eval(2, "return redis.call('set', 'a', '1')"), Reply::Data(Data::Status("OK".into())));
    for script in ["return redis.call('set', 'b', '1')", "return redis.call('get', 'a')"] {
        let reply = eval(3, script);
        let refused = matches!(&reply, Reply::Data(Data::Error(text)) if text.starts_with("NOPERM ACL failure in script"));
        assert!(refused, "{reply:?}");
    }
    assert_eq!(kv.reader().len(), 1);
    let log = kv.reader().directory().refusals.latest(9);
    let objects: Vec<_> = log.iter().map(|refusal| refusal.object.as_slice()).collect();
    assert_eq!(objects, [b"get".as_slice(), b"b"]);
}

#[test]
fn a_query_looks_with_the_rights_of_its_user() {
    let mut kv = Kv::new();
    set(&mut kv, 1, b"k", b"v");
    set_user(&mut kv, 2, "alice", "on +get %R~k");
    let ask = |kv: &Kv, user: Option<&[u8]>, key: &[u8]| {
        let mut query = Vec::new();
        user.iter().for_each(|user| query::encode_by(&mut query, user));
        query::encode_value(&mut query, key);
        assert_eq!(Kv::check_query(&query), Ok(()));
        denied(&kv.answer(&query))
    };
    assert_eq!(ask(&kv, Some(b"alice"), b"k"), "");
    assert_ne!(ask(&kv, Some(b"alice"), b"other"), "");
    assert_eq!(ask(&kv, None, b"other"), "");
    set_user(&mut kv, 3, "default", "-@all");
    assert_ne!(ask(&kv, None, b"other"), "");
}

#[test]
fn a_wrong_rule_in_the_log_changes_nothing() {
    let mut kv = Kv::new();
    let digest = kv.digest();
    for (name, rule) in [("alice", "+nonesuch"), ("a b", "on"), ("niagara.rescue", "on")] {
        let rules = std::iter::once(rule.as_bytes());
        let reply = run(&mut kv, 1, |out| command::encode_set_user(out, name.as_bytes(), rules));
        assert!(matches!(&reply, Reply::Data(Data::Error(text)) if text.starts_with("ERR ")), "{reply:?}");
    }
    let reply = run(&mut kv, 2, |out| command::encode_remove_users(out, std::iter::once(&b"default"[..])));
    assert!(matches!(&reply, Reply::Data(Data::Error(_))), "{reply:?}");
    assert_eq!(kv.digest(), digest);
}

#[test]
fn a_snapshot_holds_the_users() {
    let mut kv = Kv::new();
    assert!(!kv.freeze().next_chunk(&mut Vec::new()), "nobody has changed anything");
    set_user(&mut kv, 1, "alice", "on >secret +get ~k");
    let alone = digest::restored(&mut kv);
    assert_eq!(alone.digest(), kv.digest());
    for key in 0..2000u32 {
        set(&mut kv, 2, &key.to_le_bytes(), &[7; 100]);
    }
    let mut restored = digest::restored(&mut kv);
    assert_eq!(restored.digest(), kv.digest());
    assert_eq!(restored.reader().directory().users(), kv.reader().directory().users());
    assert_ne!(denied(&set_by(&mut restored, 4, "alice", "k")), "");
    let mut chunk = Vec::new();
    kv.freeze().next_chunk(&mut chunk);
    assert!(!chunk.windows(6).any(|window| window == b"secret"));
    assert!(snapshot_entries(&chunk).all(|entry| entry.is_ok()), "exports skip the users");
}

#[test]
fn a_snapshot_of_the_release_before_has_no_users() {
    // Format 3: life 7, clock 9, and one key that does not expire.
    let chunk = b"\x03\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x01\x01\x05\0\0\0\0kv";
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "alice", "on");
    let mut state = Kv::restoring(&kv.reader());
    state.add_chunk(&Bytes::from_static(chunk)).unwrap();
    kv.restore(GlobalPosition::new(9), state).unwrap();
    assert_eq!((kv.reader().get(b"k").unwrap().0, kv.reader().clock()), ("v".into(), 9));
    assert_eq!(*kv.reader().directory().users(), Users::default());
}

#[test]
fn users_that_are_damaged_are_refused() {
    let mut kv = Kv::new();
    set_user(&mut kv, 1, "alice", "on");
    let mut chunk = Vec::new();
    kv.freeze().next_chunk(&mut chunk);
    let mut twice = Kv::restoring(&kv.reader());
    twice.add_chunk(&Bytes::from(chunk.clone())).unwrap();
    assert!(twice.add_chunk(&Bytes::from(chunk.clone())).is_err());
    let at = chunk.windows(5).position(|window| window == b"user ").unwrap();
    chunk[at] = b'U';
    let mut broken = Kv::restoring(&kv.reader());
    broken.add_chunk(&Bytes::from(chunk)).unwrap();
    assert!(kv.restore(GlobalPosition::new(9), broken).is_err());
}
