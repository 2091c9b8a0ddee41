//! Who has done what, as the log tells it, over both protocols.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use niagara_engine::Refused;

use super::fake::Mood;
use super::golden::{Stage, command_of, http_through, redis_through};
use crate::AccessConfig;
use crate::access::{Entrance, Guard};
use crate::audit::tests::audited;
use crate::protocol::Protocol;
use crate::users::Directory;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An entrance of a server whose rescuer has the password `help me`.
fn entrance(directory: &Arc<Directory>) -> Entrance {
    let rescue_password = Some("help me".parse().unwrap());
    let config = AccessConfig { rescue_password, ..AccessConfig::default() };
    Entrance::new(Arc::new(Guard::new(&config)), Arc::clone(directory), Some(HERE), false)
}

fn redis() -> Stage<impl Protocol> {
    Stage::of(|directory| redis_through(entrance(directory)))
}

/// What a request leaves in the audit, and the reply.
fn ask<P: Protocol>(stage: &mut Stage<P>, request: &[u8]) -> (Vec<String>, String) {
    let lines = audited(|| {
        stage.receive(request);
        stage.settle();
    });
    (lines, String::from_utf8(stage.output.take()).unwrap())
}

fn command<P: Protocol>(stage: &mut Stage<P>, words: &str) -> (Vec<String>, String) {
    ask(stage, &command_of(words))
}

#[test]
fn acts_over_the_redis_protocol_are_told_with_their_positions() {
    let mut stage = redis();
    for (words, act) in [
        ("ACL SETUSER alice on >hunter2 +@all ~*", "ACL SETUSER alice on #(password) +@all ~*"),
        ("ACL SETUSER alice <hunter2", "ACL SETUSER alice !(password)"),
        ("ACL DELUSER alice", "ACL DELUSER alice"),
        ("CONFIG SET notify-keyspace-events KEA", "CONFIG SET notify-keyspace-events KEA"),
        ("FLUSHALL", "FLUSHALL"),
        ("FLUSHDB", "FLUSHDB 0"),
        ("SWAPDB 0 1", "SWAPDB 0 1"),
        ("SCRIPT FLUSH", "SCRIPT FLUSH"),
    ] {
        let (lines, _) = command(&mut stage, words);
        let [line] = &lines[..] else { panic!("{words}: {lines:#?}") };
        for part in [&format!(" act={act} position="), " user=default ", " from=127.0.0.1 "] {
            assert!(line.contains(part), "{words}: {part:?} is not in {line}");
        }
        assert!(line.ends_with("outcome=done"), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
    for words in ["SET k v", "GET k", "ACL LIST", "ACL WHOAMI", "CONFIG GET *", "SCRIPT EXISTS x", "PING"] {
        assert_eq!(command(&mut stage, words).0, Vec::<String>::new(), "{words}");
    }
}

#[test]
fn acts_of_a_server_alone_within_transactions_and_without_effect_are_told_too() {
    let mut stage = redis();
    let (lines, _) = command(&mut stage, "ACL LOG RESET");
    assert!(lines[0].ends_with("act=ACL LOG RESET outcome=done"), "{lines:#?}");
    // A value may be a password in the wrong place.
    let (lines, reply) = command(&mut stage, "CONFIG SET requirepass hunter2");
    assert!(reply.starts_with("-ERR") && !lines[0].contains("hunter2"), "{lines:#?}");
    assert!(lines[0].contains("act=CONFIG SET requirepass outcome=refused: "), "{lines:#?}");
    // The client wants no replies; that hides nothing.
    for words in ["CLIENT REPLY OFF", "MULTI", "SET k v", "FLUSHALL"] {
        assert_eq!(command(&mut stage, words).0, Vec::<String>::new(), "{words}");
    }
    let (lines, _) = command(&mut stage, "EXEC");
    assert!(lines[0].contains("act=in a transaction: FLUSHALL position="), "{lines:#?}");
    for (mood, outcome) in [
        (Mood::Refuse(Refused::ReadOnly), "outcome=refused: "),
        (Mood::Unknown, "outcome=unknown: its deadline has passed"),
    ] {
        *stage.mood.lock() = mood;
        let (lines, _) = command(&mut stage, "FLUSHALL");
        assert!(lines.len() == 1 && lines[0].contains(outcome), "{lines:#?}");
    }
    // Its client leaves before its end is known.
    *stage.mood.lock() = Mood::Hold;
    assert_eq!(command(&mut stage, "FLUSHALL").0, Vec::<String>::new());
    let lines = audited(|| drop(stage));
    assert!(lines.len() == 1 && lines[0].contains("its client has left"), "{lines:#?}");
}

#[test]
fn failed_logins_and_the_rescuer_s_are_told_and_no_password_is() {
    let mut stage = redis();
    command(&mut stage, "ACL SETUSER alice on >secret +get ~*");
    for (words, user) in [
        ("AUTH alice hunter2", "alice"),
        // The wrong way round: the name is the password.
        ("AUTH hunter2 alice", "(unknown)"),
        ("HELLO 3 AUTH alice hunter2", "alice"),
    ] {
        let (lines, _) = command(&mut stage, words);
        let [line] = &lines[..] else { panic!("{words}: {lines:#?}") };
        assert!(line.starts_with("failed login:") && line.contains(&format!(" user={user} ")), "{line}");
        assert!(line.contains(" address=127.0.0.1 ") && !line.contains("hunter2"), "{line}");
    }
    let (lines, _) = ask(&mut stage, b"*3\r\n$4\r\nAUTH\r\n$14\r\nniagara.rescue\r\n$7\r\nhelp me\r\n");
    assert!(lines[0].contains("user=niagara.rescue") && lines[0].contains("outcome=done"), "{lines:#?}");
    let (lines, _) = command(&mut stage, "ACL DELUSER alice");
    assert!(lines[0].contains(" user=niagara.rescue "), "{lines:#?}");
}

#[test]
fn who_may_not_administer_is_told_about() {
    let mut stage = redis();
    command(&mut stage, "ACL SETUSER alice on >secret +get ~a");
    assert_eq!(command(&mut stage, "AUTH alice secret").1, "+OK\r\n");
    for words in ["FLUSHALL", "ACL SETUSER alice +@all", "CONFIG SET save x"] {
        let (lines, reply) = command(&mut stage, words);
        assert!(reply.starts_with("-NOPERM"), "{reply}");
        let [line] = &lines[..] else { panic!("{words}: {lines:#?}") };
        assert!(line.contains(" user=alice ") && line.contains("outcome=denied: "), "{line}");
    }
    // Keys are everyday business.
    assert_eq!(command(&mut stage, "GET b").0, Vec::<String>::new());
}

#[test]
fn acts_over_http_are_told() {
    let mut stage = Stage::of(|directory| http_through(entrance(directory)));
    let mut post = |target: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nHost: golden\r\nContent-Type: application/json\r\n");
        ask(&mut stage, format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
    };
    let (lines, _) = post("/snapshot", "");
    assert!(lines[0].contains("act=ask for a snapshot outcome=done"), "{lines:#?}");
    let (lines, _) = post("/leaders", "{\"drain\":{}}");
    assert!(lines[0].contains("act=drain: ") && lines[0].ends_with("outcome=done"), "{lines:#?}");
    let (lines, _) = post("/leaders", "{\"move\":{\"group\":9,\"to\":2}}");
    assert!(lines[0].contains("group 9 over to server 2 outcome=refused: "), "{lines:#?}");
    let (lines, _) = post("/groups", "{\"groups\":4}");
    assert!(lines[0].contains("act=ask for 4 groups outcome=done"), "{lines:#?}");
    let (lines, _) = post("/level", "{\"level\":2}");
    assert!(lines[0].contains("act=ask for level 2 outcome=done"), "{lines:#?}");
    let (lines, _) = post("/members", "{\"leave\":[3]}");
    assert!(lines[0].contains("act=ask for other members: [3] leave, [] come outcome=done"), "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("user=default from=127.0.0.1")), "{lines:#?}");
    assert_eq!(post("/groups", "nonsense").0, Vec::<String>::new(), "nothing was asked for");
}
