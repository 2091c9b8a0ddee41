//! Notices of changes, as subscribers hear them.

use std::cell::RefCell;
use std::rc::Rc;

use super::digest::restored;
use super::messages::subscriber;
use super::*;
use crate::pubsub::{Audience, Topic};
use crate::{Data, Op};

fn call(kv: &mut Kv, position: u64, op: Op, words: &[&[u8]]) -> Reply {
    run(kv, position, |out| {
        command::encode_time(out, 1_000 + position);
        command::encode_call(out, op, words.iter().copied());
    })
}

fn configure(kv: &mut Kv, position: u64, letters: &[u8]) {
    let reply = call(kv, position, Op::Config, &[b"SET", b"notify-keyspace-events", letters]);
    assert_eq!(reply, Reply::Data(Data::OK));
}

/// What was heard: channels and messages.
fn heard(audience: &Rc<RefCell<Audience>>) -> Vec<String> {
    let messages = audience.borrow().take_messages().expect("none are missing");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    messages.iter().map(|message| format!("{} {}", text(&message.channel), text(&message.payload))).collect()
}

#[test]
fn subscribers_hear_what_happens_to_keys_in_order() {
    let mut kv = Kv::new();
    let (audience, _subscriber) = subscriber(&kv, Topic::Pattern, b"__key*");
    set(&mut kv, 1, b"k", b"unheard");
    assert_eq!(heard(&audience), [""; 0]);
    configure(&mut kv, 2, b"KEA");
    call(&mut kv, 3, Op::SetEx, &[b"k", b"100", b"v"]);
    call(&mut kv, 4, Op::Rename, &[b"k", b"l"]);
    call(&mut kv, 5, Op::Move, &[b"l", b"3"]);
    run(&mut kv, 6, |out| command::encode_advance(out, 1_000_000));
    assert_eq!(
        heard(&audience),
        [
            "__keyspace@0__:k set",
            "__keyevent@0__:set k",
            "__keyspace@0__:k expire",
            "__keyevent@0__:expire k",
            "__keyspace@0__:k rename_from",
            "__keyevent@0__:rename_from k",
            "__keyspace@0__:l rename_to",
            "__keyevent@0__:rename_to l",
            "__keyspace@0__:l move_from",
            "__keyevent@0__:move_from l",
            "__keyspace@3__:l move_to",
            "__keyevent@3__:move_to l",
            "__keyspace@3__:l expired",
            "__keyevent@3__:expired l",
        ]
    );
}

/// A command, its words, and its events.
type Case = (Op, Vec<&'static [u8]>, &'static [&'static str]);

/// Each command with the events that Redis has for it.
#[test]
fn events_have_the_names_of_redis() {
    let mut kv = Kv::new();
    let (audience, _subscriber) = subscriber(&kv, Topic::Pattern, b"__keyevent@0__:*");
    configure(&mut kv, 1, b"EAn");
    let cases: Vec<Case> = vec![
        (Op::Set, vec![b"k", b"v"], &["new k", "set k"]),
        (Op::Set, vec![b"k", b"7", b"EX", b"50"], &["set k", "expire k"]),
        (Op::Persist, vec![b"k"], &["persist k"]),
        (Op::Expire, vec![b"k", b"50"], &["expire k"]),
        (Op::GetEx, vec![b"k", b"PERSIST"], &["persist k"]),
        (Op::IncrByFloat, vec![b"k", b"0.5"], &["incrbyfloat k"]),
        (Op::SetRange, vec![b"k", b"1", b"x"], &["setrange k"]),
        (Op::SetBit, vec![b"k", b"1", b"1"], &["setbit k"]),
        (Op::SetBit, vec![b"k", b"1", b"1"], &[]),
        (Op::BitField, vec![b"k", b"SET", b"u8", b"0", b"1"], &["setbit k"]),
        (Op::BitField, vec![b"k", b"SET", b"u8", b"0", b"1", b"INCRBY", b"u8", b"8", b"0"], &[]),
        (Op::Rename, vec![b"k", b"k"], &[]),
        (Op::BitOp, vec![b"NOT", b"l", b"k"], &["new l", "set l"]),
        (Op::Copy, vec![b"k", b"m"], &["new m", "copy_to m"]),
        (Op::Expire, vec![b"m", b"-1"], &["del m"]),
        (Op::Restore, vec![b"r", b"0", b"\0\xc0\n\n\0n\x9fWE\x0e\xaec\xbb"], &["new r", "restore r"]),
        (Op::GetDel, vec![b"k"], &["del k"]),
        (Op::GetDel, vec![b"k"], &[]),
    ];
    for (position, (op, words, events)) in (2..).zip(cases) {
        assert!(!matches!(call(&mut kv, position, op, &words), Reply::Data(Data::Error(_))), "{op:?}");
        let events: Vec<String> = events.iter().map(|event| format!("__keyevent@0__:{event}")).collect();
        assert_eq!(heard(&audience), events, "{op:?}");
    }
    run(&mut kv, 50, |out| command::encode_incr_by(out, b"n", 1));
    run(&mut kv, 50, |out| command::encode_append(out, b"n", b"1"));
    run(&mut kv, 50, |out| command::encode_mset(out, [(&b"n"[..], &b"1"[..])].into_iter(), false));
    delete(&mut kv, 50, &[b"n", b"nothing"]);
    let events = ["new n", "incrby n", "append n", "set n", "del n"];
    assert_eq!(heard(&audience), events.map(|event| format!("__keyevent@0__:{event}")));
}

/// Whoever takes over from a snapshot sends the same notices, and a server that does not is noticed.
#[test]
fn the_setting_is_part_of_the_state() {
    let mut kv = Kv::new();
    let before = kv.digest();
    configure(&mut kv, 1, b"Kx");
    assert_ne!(kv.digest(), before);
    let mut other = restored(&mut kv);
    assert_eq!(other.digest(), kv.digest());
    let (audience, _subscriber) = subscriber(&other, Topic::Channel, b"__keyspace@0__:k");
    call(&mut other, 2, Op::SetEx, &[b"k", b"1", b"v"]);
    let value = call(&mut other, 2_000, Op::Get, &[b"k"]);
    assert_eq!(value, Reply::Data(Data::Null));
    run(&mut other, 2_001, |out| command::encode_append(out, b"k", b"again"));
    assert_eq!(heard(&audience), ["__keyspace@0__:k expired"]);
    configure(&mut other, 2_002, b"");
    let wrong = call(&mut other, 2_003, Op::Config, &[b"SET", b"notify-keyspace-events", b"q"]);
    assert!(matches!(wrong, Reply::Data(Data::Error(why)) if why.contains("Invalid event class character")));
}
