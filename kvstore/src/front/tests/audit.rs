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

pub(super) fn redis() -> Stage<impl Protocol> {
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

pub(super) fn command<P: Protocol>(stage: &mut Stage<P>, words: &str) -> (Vec<String>, String) {
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
    for words in
        ["MULTI", "SELECT 3", "FLUSHDB", "SWAPDB 0 1", "CONFIG SET notify-keyspace-events KEA", "INCR k"]
    {
        command(&mut stage, words);
    }
    let (lines, _) = command(&mut stage, "EXEC");
    let expected =
        "act=in a transaction: FLUSHDB 3; SWAPDB 0 1; CONFIG SET notify-keyspace-events KEA position=";
    assert!(lines.len() == 1 && lines[0].contains(expected), "{lines:#?}");
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

/// EVAL of a script without keys.
fn eval<P: Protocol>(stage: &mut Stage<P>, script: &str) -> (Vec<String>, String) {
    let length = script.len();
    ask(stage, format!("*3\r\n$4\r\nEVAL\r\n${length}\r\n{script}\r\n$1\r\n0\r\n").as_bytes())
}

#[test]
fn what_scripts_call_is_told_like_what_clients_send() {
    let mut stage = redis();
    let (lines, reply) = eval(
        &mut stage,
        "redis.call('set', 'k', 'v'); redis.call('select', 3); redis.call('flushdb'); redis.call('swapdb', 0, 1); \
         for _ = 1, 5 do redis.call('FLUSH' .. 'ALL') end; return 'x'",
    );
    assert_eq!(reply, "$1\r\nx\r\n");
    let acts = ["FLUSHDB 3", "SWAPDB 0 1", "FLUSHALL, 5 times"];
    assert_eq!(lines.len(), acts.len(), "{lines:#?}");
    for (line, act) in lines.iter().zip(acts) {
        let expected = format!(" user=default from=127.0.0.1 act=in a script: {act} position=");
        assert!(line.contains(&expected) && line.ends_with("outcome=done"), "{line}");
    }
    // What a script has done before it fails stays done, and is told.
    let (lines, reply) = eval(&mut stage, "redis.call('flushall'); error('too late')");
    assert!(reply.starts_with("-ERR") && lines.len() == 1, "{reply} {lines:#?}");
    assert!(lines[0].contains("act=in a script: FLUSHALL position="), "{lines:#?}");
    // A script may not change settings, users and scripts. That somebody has tried to is told, without what he has tried.
    for (call, act) in [
        ("'config', 'set', 'requirepass', 'hunter2'", "CONFIG SET requirepass"),
        ("'acl', 'setuser', 'alice', '>hunter2'", "ACL SETUSER alice >(password)"),
        ("'script', 'flush'", "SCRIPT FLUSH"),
    ] {
        let (lines, _) = eval(&mut stage, &format!("return redis.pcall({call})"));
        let [line] = &lines[..] else { panic!("{call}: {lines:#?}") };
        assert!(line.contains(&format!(" act=in a script: {act} position=")), "{line}");
        assert!(line.ends_with("outcome=ERR This Redis command is not allowed from script"), "{line}");
    }
    assert_eq!(eval(&mut stage, "return redis.call('get', 'k')").0, Vec::<String>::new());
}

#[test]
fn scripts_in_transactions_by_name_and_of_limited_users_are_told_of() {
    let mut stage = redis();
    command(&mut stage, "MULTI");
    eval(&mut stage, "return redis.call('flushall')");
    command(&mut stage, "FLUSHDB");
    let (lines, _) = command(&mut stage, "EXEC");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("act=in a script: FLUSHALL position="), "{lines:#?}");
    assert!(lines[1].contains("act=in a transaction: FLUSHDB 0 position="), "{lines:#?}");

    let script = "return redis.call('flushall')";
    let load = format!("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n${}\r\n{script}\r\n", script.len());
    let (_, reply) = ask(&mut stage, load.as_bytes());
    let digest = reply.lines().nth(1).unwrap();
    let (lines, _) = command(&mut stage, &format!("EVALSHA {digest} 0"));
    assert!(lines.len() == 1 && lines[0].contains("act=in a script: FLUSHALL position="), "{lines:#?}");
    // A read-only script is refused the command.
    let (lines, _) = command(&mut stage, &format!("EVALSHA_RO {digest} 0"));
    assert!(
        lines.len() == 1 && lines[0].contains("outcome=ERR Write commands are not allowed"),
        "{lines:#?}"
    );

    command(&mut stage, "ACL SETUSER bob on >secret +eval ~*");
    assert_eq!(command(&mut stage, "AUTH bob secret").1, "+OK\r\n");
    let (lines, _) = eval(&mut stage, script);
    assert!(lines.len() == 1 && lines[0].contains(" user=bob "), "{lines:#?}");
    assert!(lines[0].contains("act=in a script: FLUSHALL position="), "{lines:#?}");
    assert!(lines[0].contains("outcome=NOPERM"), "{lines:#?}");
}

#[test]
fn a_script_whose_end_is_not_known_is_told_of() {
    let mut stage = redis();
    let script = "return redis.call('get', 'k')";
    *stage.mood.lock() = Mood::Refuse(Refused::ReadOnly);
    assert_eq!(eval(&mut stage, script).0, Vec::<String>::new(), "it has had no effect");
    *stage.mood.lock() = Mood::Unknown;
    let (lines, _) = eval(&mut stage, script);
    assert!(lines.len() == 1 && lines[0].contains("act=run a script, which may have called"), "{lines:#?}");
    assert!(lines[0].ends_with("outcome=unknown: its deadline has passed"), "{lines:#?}");
    *stage.mood.lock() = Mood::Hold;
    assert_eq!(eval(&mut stage, script).0, Vec::<String>::new());
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
    // A transaction over HTTP has no words for what administers.
    let (lines, reply) = post("/txn", "{\"then\":[{\"flushall\":{}}]}");
    assert!(reply.starts_with("HTTP/1.1 400") && lines.is_empty(), "{reply} {lines:#?}");
    assert_eq!(post("/groups", "nonsense").0, Vec::<String>::new(), "nothing was asked for");
}
