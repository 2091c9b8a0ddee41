//! Watches on a server in this process.

use std::thread;

use niagara_engine::{Config, Durability, Member};

use super::*;
use crate::FrontEndConfig;
use crate::changes::Recorder;
use crate::command::{self, Condition};
use crate::server::{Server, ServerConfig};

fn server() -> Server {
    let any = "127.0.0.1:0".to_owned();
    let member = Member { server: 1, addresses: vec![any.clone()], transfer: any.clone() };
    let mut engine = Config::new(0x3a, 1, vec![member]);
    engine.durability = Durability::Memory;
    let any = any.parse().unwrap();
    let front = FrontEndConfig { http: any, redis: any, threads: 1, ..Default::default() };
    Server::start(ServerConfig { engine, front, peer_tls: None }).unwrap()
}

/// Executes a command, and returns its position.
fn execute(server: &Server, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
    let mut command = Vec::new();
    encode(&mut command);
    server.client().propose(command.into()).unwrap().wait().unwrap().position.get()
}

fn set(server: &Server, key: &str, value: &[u8]) -> u64 {
    execute(server, |out| {
        command::encode_set_head(out, key.as_bytes(), &Condition::Always, false);
        out.extend_from_slice(value);
    })
}

/// Position, kind, key and value.
type Told<'c> = (u64, Kind, &'c [u8], Option<&'c [u8]>);

fn told(change: &Change) -> Told<'_> {
    let value = change.now.as_ref().and_then(|now| now.value.as_deref());
    (change.id.position, change.kind, &change.key, value)
}

#[test]
fn changes_of_keys_come_in_order_and_a_watch_resumes_behind_each() {
    let server = server();
    let mut watch = server.watch(b"a", None).unwrap();
    let positions = [
        set(&server, "a1", b"1"),
        set(&server, "b", b"2"),
        set(&server, "a2", b"3"),
        execute(&server, |out| {
            command::encode_delete(out, [&b"a1"[..], b"b"].into_iter(), &Condition::Always);
        }),
        execute(&server, command::encode_flush_all),
    ];
    let changes: Vec<Change> = watch.by_ref().take(4).map(Result::unwrap).collect();
    let expected: [Told<'_>; 4] = [
        (positions[0], Kind::Set, b"a1", Some(b"1")),
        (positions[2], Kind::Set, b"a2", Some(b"3")),
        (positions[3], Kind::Delete, b"a1", None),
        (positions[4], Kind::Flush, b"", None),
    ];
    assert_eq!(changes.iter().map(told).collect::<Vec<_>>(), expected);
    assert!(changes.is_sorted_by(|one, other| one.id < other.id), "{changes:?}");
    assert_eq!(watch.try_next(), Ok(None));
    for (seen, change) in changes.iter().enumerate() {
        let mut resumed = server.watch(b"a", Some(change.id.next())).unwrap();
        let mut rest = Vec::new();
        while let Some(change) = resumed.try_next().unwrap() {
            rest.push(change);
        }
        assert_eq!(rest, changes[seen + 1..]);
    }
    server.stop();
}

#[test]
fn a_watch_knows_how_far_it_has_come() {
    let server = server();
    let mut watch = server.watch(b"a", None).unwrap();
    let begun = watch.awaited();
    let (first, second) = (set(&server, "a", b"1"), set(&server, "a", b"2"));
    assert!(begun <= ChangeId::first_at(first));
    assert_eq!(watch.wait().unwrap().id, ChangeId::first_at(first));
    assert!(watch.awaited() > ChangeId::first_at(first) && watch.awaited() <= ChangeId::first_at(second));
    assert_eq!(watch.wait().unwrap().id, ChangeId::first_at(second));
    let other = set(&server, "b", b"3");
    assert_eq!(watch.wait_timeout(Duration::ZERO), Ok(None));
    assert!(watch.awaited() >= ChangeId::first_at(other).next(), "it has passed what is of another key");
    server.stop();
}

#[test]
fn what_was_not_kept_is_gone() {
    let server = server();
    let early = set(&server, "a", b"1");
    let gone = server.watch(b"", Some(ChangeId::first_at(early))).expect_err("nobody has watched then");
    let WatchError::Gone(Gone { least: Some(least) }) = gone else { panic!("{gone:?}") };
    assert!(gone.to_string().contains(&format!("from position {least}")), "{gone}");
    assert!(least > early);
    let mut watch = server.watch(b"", Some(ChangeId::first_at(least))).unwrap();
    let late = set(&server, "a", b"2");
    assert_eq!(watch.wait().unwrap().id, ChangeId::first_at(late));
    server.stop();
}

#[test]
fn a_watch_that_is_too_slow_ends_and_a_prompt_one_goes_on() {
    let server = server();
    let mut slow = server.watch(b"k", None).unwrap();
    let mut prompt = server.watch(b"k", None).unwrap();
    let value = vec![b'v'; 1 << 20];
    // More than is kept, and than the credit that one word of a watcher gives.
    for _ in 0..150 {
        let position = set(&server, "k", &value);
        assert_eq!(prompt.wait().unwrap().id, ChangeId::first_at(position));
    }
    let first = slow.awaited();
    let end = slow.wait().expect_err("it has taken nothing of 150 MiB");
    assert!(
        matches!(end, WatchError::Gone(Gone { least: Some(least) }) if least > first.position),
        "{end:?}"
    );
    assert_eq!(slow.try_next(), Err(end), "it stays over");
    server.stop();
}

#[test]
fn a_watch_that_waits_is_told_that_its_server_continues_from_a_snapshot() {
    let server = server();
    let mut watch = server.watch(b"", None).unwrap();
    let waiting = thread::spawn(move || (watch.next(), watch.next()));
    let reader = server.client().reader();
    let mut restored = Recorder::default();
    restored.keep(reader.changes());
    restored.restored(1000);
    drop(restored.deliver(reader.changes()));
    let gone = WatchError::Gone(Gone { least: Some(1001) });
    assert_eq!(waiting.join().unwrap(), (Some(Err(gone)), None));
    server.stop();
}

#[test]
fn a_watch_ends_with_its_server() {
    let server = server();
    let client = server.client().clone();
    let mut watch = server.watch(b"", None).unwrap();
    let written = set(&server, "k", b"v");
    let waiting = thread::spawn(move || watch.by_ref().collect::<Vec<_>>());
    server.stop();
    let ended = waiting.join().unwrap();
    let (end, told) = ended.split_last().expect("it says why it ends");
    assert_eq!(*end, Err(WatchError::Refused(Refused::Stopping)));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].as_ref().unwrap().id, ChangeId::first_at(written));
    let late = KeyWatch::begin(&client, b"", None).expect_err("the server has stopped");
    assert_eq!(late, WatchError::Refused(Refused::Stopping));
}
