//! A pipeline behaves as if its commands were executed one by one, however it is cut into pieces and whenever
//! the engine answers.

use niagara_engine::Refused;
use proptest::collection::vec;
use proptest::prelude::*;

use super::fake::Mood;
use super::golden::{OUTPUT_LIMIT, Stage, http, redis};
use crate::front::allowance::READ_AHEAD_BYTES;
use crate::front::session::{MAX_IN_FLIGHT, Pumped};
use crate::protocol::{Engine, Protocol};

fn command() -> impl Strategy<Value = String> {
    let key = || prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![
        3 => key().prop_map(|key| format!("GET {key}")),
        2 => (key(), 0..99u8).prop_map(|(key, value)| format!("SET {key} {value} GET")),
        1 => (key(), 0..99u8).prop_map(|(key, value)| format!("SET {key} {value} NX")),
        2 => key().prop_map(|key| format!("INCR {key}")),
        1 => key().prop_map(|key| format!("APPEND {key} x")),
        1 => (key(), key()).prop_map(|(a, b)| format!("MSET {a} 1 {b} 2")),
        1 => Just("MGET a b c".to_string()),
        1 => (key(), key()).prop_map(|(a, b)| format!("DEL {a} {b}")),
        1 => Just("FLUSHALL".to_string()),
        1 => Just("DBSIZE".to_string()),
        1 => Just("PING".to_string()),
        1 => Just("NONSENSE".to_string()),
        1 => Just("READONLY".to_string()),
        1 => Just("READWRITE".to_string()),
        3 => prop_oneof![Just("MULTI"), Just("EXEC"), Just("EXEC"), Just("DISCARD"), Just("WATCH a"), Just("UNWATCH")].prop_map(String::from),
        2 => (key(), 1..9u8).prop_map(|(key, lasts)| format!("SETEX {key} {lasts}000 7")),
        1 => key().prop_map(|key| format!("PERSIST {key}")),
        1 => key().prop_map(|key| format!("EXPIRETIME {key}")),
        1 => key().prop_map(|key| format!("GETRANGE {key} 0 1")),
        1 => prop_oneof![Just("SELECT 1"), Just("SELECT 0"), Just("RESET")].prop_map(String::from),
        1 => Just("CLIENT REPLY SKIP".to_string()),
    ]
}

fn request() -> impl Strategy<Value = String> {
    let key = || prop_oneof![Just("a"), Just("b")];
    let read = || prop_oneof![Just(""), Just("?read=weak"), Just("?read=at-least:3"), Just("?read=strong")];
    prop_oneof![
        3 => (key(), read()).prop_map(|(key, read)| format!("GET /kv/{key}{read} HTTP/1.1\r\nHost: h\r\n\r\n")),
        3 => (key(), "[a-z]{0,9}").prop_map(|(key, value)| {
            format!("PUT /kv/{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{value}", value.len())
        }),
        1 => (key(), "[a-z]{1,9}").prop_map(|(key, value)| {
            format!("PUT /kv/{key} HTTP/1.1\r\nHost: h\r\nIf-None-Match: *\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{value}\r\n0\r\n\r\n", value.len())
        }),
        1 => key().prop_map(|key| format!("DELETE /kv/{key} HTTP/1.1\r\nHost: h\r\n\r\n")),
        1 => Just("HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n".to_string()),
    ]
}

/// The replies if each request is sent alone and answered at once.
fn one_by_one<P: Protocol>(protocol: P, requests: &[String]) -> String {
    let mut stage = Stage::new(protocol);
    for request in requests {
        stage.receive(request.as_bytes());
        stage.settle();
    }
    comparable(&stage.output.take())
}

/// The replies if the requests come in these pieces, and the engine answers between pieces or not.
fn in_pieces<P: Protocol>(protocol: P, requests: &[String], pieces: &[(usize, bool)]) -> String {
    let mut stage = Stage::new(protocol);
    let stream = requests.concat();
    let mut rest = stream.as_bytes();
    for (length, answers) in pieces.iter().cycle() {
        let (piece, tail) = rest.split_at(rest.len().min(*length));
        stage.receive(piece);
        stage.turn();
        if *answers {
            stage.engine.step();
            stage.turn();
        }
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsInput);
    comparable(&stage.output.take())
}

/// Positions depend on which commands share one; nothing else may.
fn comparable(replies: &[u8]) -> String {
    let text = String::from_utf8_lossy(replies);
    text.lines()
        .filter(|line| !line.starts_with("ETag") && !line.starts_with("Niagara"))
        .collect::<Vec<_>>()
        .join("\n")
}

proptest! {
    #[test]
    fn redis_pipelines_are_executed_one_by_one(
        commands in vec(command(), 1..30),
        pieces in vec((1usize..60, any::<bool>()), 1..20),
    ) {
        let lines: Vec<String> = commands.iter().map(|command| format!("{command}\r\n")).collect();
        prop_assert_eq!(in_pieces(redis(), &lines, &pieces), one_by_one(redis(), &lines));
    }

    #[test]
    fn http_pipelines_are_executed_one_by_one(
        requests in vec(request(), 1..15),
        pieces in vec((1usize..200, any::<bool>()), 1..20),
    ) {
        prop_assert_eq!(in_pieces(http(), &requests, &pieces), one_by_one(http(), &requests));
    }

    /// Whatever bytes come, a session neither panics nor stops answering with something in flight.
    #[test]
    fn strangers_do_no_harm(bytes in vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300), step in 1usize..40) {
        let mut stage = Stage::new(redis());
        for piece in bytes.chunks(step) {
            stage.receive(piece);
            stage.settle();
        }
        let mut stage = Stage::new(http());
        for piece in bytes.chunks(step) {
            stage.receive(piece);
            stage.settle();
        }
    }
}

/// However a transaction with an invalid command is cut into pieces, nothing of it is executed.
#[test]
fn nothing_of_an_invalid_transaction_is_executed() {
    let lines = ["MULTI\r\n", "SET a 1\r\n", "INCR\r\n", "FLUSHALL\r\n", "EXEC\r\n"].concat();
    for step in 1..=lines.len() {
        let mut stage = Stage::new(redis());
        stage.receive(b"SET kept yes\r\n");
        stage.settle();
        for piece in lines.as_bytes().chunks(step) {
            stage.receive(piece);
            stage.settle();
        }
        assert!(
            stage
                .output
                .take()
                .ends_with(b"-EXECABORT Transaction discarded because of previous errors.\r\n")
        );
        let keys: Vec<_> = stage.engine.reader().entries().into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, [b"kept".to_vec()]);
    }
}

/// An answer about freshness serves the reads that had arrived when the question was asked. A later one must
/// see what another client was told in between.
#[test]
fn a_later_read_asks_again() {
    let mut stage = Stage::new(redis());
    *stage.mood.lock() = Mood::Hold;
    stage.receive(b"GET k\r\n");
    stage.settle();
    stage.receive(b"GET k\r\n");
    *stage.mood.lock() = Mood::Serve;
    stage.engine.step();
    *stage.mood.lock() = Mood::Hold;
    stage.turn();
    assert_eq!(stage.output.take(), b"$-1\r\n", "only the first read was covered");
    stage.engine.set_elsewhere("k", "new");
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert_eq!(stage.output.take(), b"$3\r\nnew\r\n");
}

/// A command with an unknown outcome may still be executed: only in the same lane can a later command not
/// overtake it.
#[test]
fn a_connection_stays_with_the_lane_of_an_unknown_command() {
    let mut stage = Stage::new(redis());
    stage.engine.trace = Some(Vec::new());
    for (mood, key) in
        [(Mood::Serve, "a"), (Mood::Serve, "b"), (Mood::Unknown, "c"), (Mood::Serve, "d"), (Mood::Serve, "e")]
    {
        *stage.mood.lock() = mood;
        stage.receive(format!("INCR {key}\r\n").as_bytes());
        stage.settle();
    }
    let trace = stage.engine.trace.take().unwrap();
    assert_eq!(
        trace,
        [
            "lane 0: add 1 to a",
            "lane 1: add 1 to b",
            "lane 2: add 1 to c",
            "lane 2: add 1 to d",
            "lane 2: add 1 to e"
        ]
    );
}

/// Writes and point reads of a pipeline are in flight together. A read behind writes that have left follows a
/// command without effect, one for all reads of the turn.
#[test]
fn a_mixed_pipeline_is_in_flight_at_once() {
    let mut stage = Stage::new(redis());
    stage.engine.trace = Some(Vec::new());
    *stage.mood.lock() = Mood::Hold;
    stage.receive(b"SET k 1\r\nGET k\r\nSET k 2\r\nSTRLEN k\r\n");
    stage.settle();
    stage.receive(b"GET k\r\nMGET k j\r\nSET k three\r\nTYPE k\r\n");
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsInput, "nothing waits for anything");
    let trace = stage.engine.trace.take().unwrap();
    assert_eq!(trace.len(), 2, "no question about freshness: {trace:?}");
    assert_eq!(trace[1], "lane 0: nothing, look at k, MGet k j, set k to 'three' Always, Type k");
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    let replies = String::from_utf8(stage.output.take()).unwrap();
    assert_eq!(
        replies,
        "+OK\r\n$1\r\n1\r\n+OK\r\n:1\r\n$1\r\n2\r\n*2\r\n$1\r\n2\r\n$-1\r\n+OK\r\n+string\r\n"
    );
}

/// A client that waits for each reply gets its reads without a command in the log.
#[test]
fn a_lone_read_takes_nothing_of_the_log() {
    let mut stage = Stage::new(redis());
    stage.receive(b"SET k 1\r\n");
    stage.settle();
    stage.engine.trace = Some(Vec::new());
    stage.receive(b"GET k\r\n");
    stage.settle();
    assert_eq!(stage.engine.trace.take().unwrap(), ["asked: Strong"]);
}

/// Reads whose writes are refused are ordinary strong ones, and what comes next does not overtake them.
#[test]
fn a_read_behind_a_refused_write_is_asked_anew() {
    let mut stage = Stage::new(redis());
    stage.engine.set_elsewhere("k", "old");
    *stage.mood.lock() = Mood::RefuseTurn(Refused::Overloaded);
    stage.receive(b"SET k 1\r\nGET k\r\nSET k 2\r\nSTRLEN k\r\n");
    stage.turn();
    *stage.mood.lock() = Mood::Hold;
    stage.receive(b"SET k new\r\nGET k\r\n");
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsCompletion, "the next write would be seen too early");
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    let replies = String::from_utf8(stage.output.take()).unwrap();
    let lines: Vec<&str> = replies.lines().filter(|line| !line.starts_with("-OVERLOADED")).collect();
    assert_eq!(lines, ["$3", "old", ":3", "+OK", "$3", "new"]);
    assert_eq!(replies.matches("-OVERLOADED").count(), 2);
}

/// A restored snapshot may hold later writes of the connection, so only a read behind the last one can be asked
/// anew.
#[test]
fn a_read_behind_a_lost_write_never_shows_what_came_behind_it() {
    let mut stage = Stage::new(redis());
    *stage.mood.lock() = Mood::LoseReplies;
    stage.receive(b"SET k 1\r\nGET k\r\nSET k 2\r\nGET k\r\n");
    stage.settle();
    let replies = String::from_utf8(stage.output.take()).unwrap();
    let words: Vec<&str> = replies.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["-UNKNOWN", "-NOQUORUM", "-UNKNOWN", "$1", "2"]);
}

#[test]
fn a_read_behind_a_write_of_unknown_outcome_fails_with_it() {
    let mut stage = Stage::new(redis());
    *stage.mood.lock() = Mood::Unknown;
    stage.receive(b"SET k 1\r\nGET k\r\n");
    stage.settle();
    let replies = String::from_utf8(stage.output.take()).unwrap();
    assert!(replies.starts_with("-UNKNOWN") && replies.contains("\r\n-NOQUORUM"), "{replies}");
}

/// A connection keeps its lane while it has anything in flight there.
#[test]
fn commands_in_flight_share_a_lane() {
    let mut stage = Stage::new(redis());
    stage.engine.trace = Some(Vec::new());
    *stage.mood.lock() = Mood::Hold;
    for key in ["a", "b"] {
        stage.receive(format!("INCR {key}\r\n").as_bytes());
        stage.settle();
    }
    assert_eq!(stage.engine.trace.take().unwrap(), ["lane 0: add 1 to a", "lane 0: add 1 to b"]);
}

#[test]
fn no_more_writes_are_in_flight_than_may_be() {
    let mut stage = Stage::new(redis());
    *stage.mood.lock() = Mood::Hold;
    stage.receive("INCR k\r\n".repeat(MAX_IN_FLIGHT + 5).as_bytes());
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsCompletion);
    *stage.mood.lock() = Mood::Serve;
    stage.engine.step();
    *stage.mood.lock() = Mood::Hold;
    stage.turn();
    assert_eq!(stage.output.take().iter().filter(|byte| **byte == b'\n').count(), MAX_IN_FLIGHT);
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert!(stage.output.take().ends_with(format!(":{}\r\n", MAX_IN_FLIGHT + 5).as_bytes()));
}

/// While a client does not take its replies, no further ones are produced.
#[test]
fn replies_that_are_not_taken_stop_the_requests() {
    let mut stage = Stage::new(redis());
    let value = "v".repeat(300_000);
    stage.receive(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\n{value}\r\n").as_bytes());
    stage.receive("GET k\r\n".repeat(10).as_bytes());
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsOutput);
    let mut taken = 0;
    while stage.pumped == Pumped::NeedsOutput {
        let some = stage.output.take().len();
        assert!(some < 2 << 20);
        taken += some;
        stage.settle();
    }
    taken += stage.output.take().len();
    assert_eq!(taken, "+OK\r\n".len() + 10 * "$300000\r\n\r\n".len() + 10 * value.len());
}

/// Once as many requests wait as are read ahead, they are executed until the limit of waiting replies is
/// reached.
#[test]
fn requests_that_fill_their_room_are_executed_up_to_the_limit() {
    let mut stage = Stage::new(redis());
    let text = "x".repeat(40_000);
    let request = format!("ECHO {text}\r\n");
    stage.receive(request.repeat(READ_AHEAD_BYTES / request.len() + 1).as_bytes());
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsOutput);
    assert!(stage.input.len() < READ_AHEAD_BYTES, "there is room for more");
    let before = stage.output.len();
    stage.receive(request.repeat(2_000).as_bytes());
    stage.settle();
    assert!(stage.output.len() > before + 2_000 * 40_000 - OUTPUT_LIMIT, "more replies may wait");
    stage.receive(request.repeat(2_000).as_bytes());
    stage.settle();
    assert!((OUTPUT_LIMIT..OUTPUT_LIMIT + 50_000).contains(&stage.output.len()));
}

/// A large body is received behind the opcode and the key, in the buffer that the engine gets.
#[test]
fn a_large_body_is_received_straight_into_its_command() {
    let mut stage = Stage::new(http());
    stage.receive(b"PUT /kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nfirst");
    stage.settle();
    let (command, missing) = stage.session.sink().expect("the rest of the body is awaited");
    assert_eq!(missing, 1_000_000 - 5);
    assert!(command.ends_with(b"kfirst"));
    stage.receive(&[b'v'; 1_000_000 - 5]);
    assert!(stage.input.is_empty());
    stage.settle();
    assert!(stage.output.take().starts_with(b"HTTP/1.1 201"));
    let (value, _) = stage.engine.reader().get(b"k").unwrap();
    assert_eq!(value.len(), 1_000_000);
}
