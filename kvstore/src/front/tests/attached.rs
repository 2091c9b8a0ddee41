//! Reads that are attached to writes of their connection, over HTTP and after READONLY.

use niagara_engine::Refused;

use super::fake::Mood;
use super::golden::{Stage, http, redis};
use crate::front::session::Pumped;
use crate::http::HttpConnection;
use crate::protocol::Protocol;

fn put(key: &str, value: &str) -> String {
    format!("PUT /kv/{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{value}", value.len())
}

fn get(target: &str) -> String {
    format!("GET /kv/{target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// A client of a state whose life has a name, at position 1.
fn stage() -> Stage<HttpConnection> {
    let mut stage = Stage::new(http());
    stage.receive(get("nothing").as_bytes());
    stage.settle();
    stage.output.take();
    stage.engine.trace = Some(Vec::new());
    stage
}

/// The status of each reply, and what it shows.
fn told<P: Protocol>(stage: &mut Stage<P>) -> Vec<String> {
    let text = String::from_utf8(stage.output.take()).unwrap();
    let of_reply = |reply: &str| {
        let header =
            |name: &str| reply.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        let body = if body.starts_with('{') { "" } else { body };
        format!("{} at {}: {body}", &reply[..3], header("Niagara-Position: "))
    };
    text.split("HTTP/1.1 ").skip(1).map(of_reply).collect()
}

/// A read reports the position before that of its command, which others may share.
#[test]
fn a_mixed_http_pipeline_is_in_flight_at_once() {
    let mut stage = stage();
    *stage.mood.lock() = Mood::Hold;
    let first = [put("k", "one"), get("k"), put("k", "two"), get("k?read=weak"), get("none")].concat();
    stage.receive(first.as_bytes());
    stage.settle();
    stage.receive([get("k?read=at-least:1"), put("k", "three"), get("k")].concat().as_bytes());
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsInput, "nothing waits for anything");
    assert_eq!(
        stage.engine.trace.take().unwrap(),
        [
            "lane 1: set k to 'one' Always, look closely at k, set k to 'two' Always, look closely at k, look closely at \
             none",
            "lane 1: nothing, look closely at k, set k to 'three' Always, look closely at k"
        ]
    );
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert_eq!(
        told(&mut stage),
        [
            "201 at 2: ",
            "200 at 1: one",
            "200 at 2: ",
            "200 at 1: two",
            "404 at 1: ",
            "200 at 1: two",
            "200 at 2: ",
            "200 at 1: three"
        ]
    );
}

/// The same headers as those of a read that waits, and conditions are evaluated in its place.
#[test]
fn an_attached_read_is_answered_like_any_other() {
    let described = "PUT /kv/k HTTP/1.1\r\nHost: h\r\nContent-Type: text/css\r\nContent-Length: 1\r\n\r\nx";
    let conditional = |header: &str| format!("GET /kv/k HTTP/1.1\r\nHost: h\r\n{header}\r\n\r\n");
    let gets = [
        get("k"),
        conditional("If-None-Match: \"000000000000feed-2\""),
        conditional("If-Match: \"000000000000feed-1\""),
        conditional("If-Match: *"),
        "HEAD /kv/k HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        get("none"),
    ];
    let without_positions = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        text.split_inclusive("\r\n").filter(|line| !line.starts_with("Niagara")).collect::<String>()
    };
    let mut alone = stage();
    alone.receive(described.as_bytes());
    alone.settle();
    let mut waited = without_positions(alone.output.take());
    for get in &gets {
        alone.receive(get.as_bytes());
        alone.settle();
        waited.push_str(&without_positions(alone.output.take()));
    }
    let mut together = stage();
    together.receive((described.to_owned() + &gets.concat()).as_bytes());
    together.settle();
    assert_eq!(without_positions(together.output.take()), waited);
    assert_eq!(together.engine.trace.take().unwrap().len(), 1, "one turn, and no question");
}

/// Until the state's life has a name, a reply cannot have a tag, so the read waits.
#[test]
fn the_first_read_waits_for_the_name_of_the_life() {
    let mut stage = Stage::new(http());
    *stage.mood.lock() = Mood::Hold;
    stage.receive([get("k"), put("k", "one")].concat().as_bytes());
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsCompletion);
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert_eq!(told(&mut stage), ["404 at 1: ", "201 at 2: "]);
}

/// A key or a list of tags that takes much memory is not kept while the read is in flight.
#[test]
fn a_long_read_waits() {
    let tags = vec!["\"000000000000feed-1\""; 17].join(",");
    for read in [
        get(&"k".repeat(1025)),
        format!("GET /kv/k HTTP/1.1\r\nHost: h\r\nIf-None-Match: {tags}\r\n\r\n"),
        "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
    ] {
        let mut stage = stage();
        *stage.mood.lock() = Mood::Hold;
        stage.receive((put("k", "v") + &read).as_bytes());
        stage.settle();
        assert_eq!(stage.pumped, Pumped::NeedsCompletion, "{}", &read[..20]);
    }
}

/// What this server has not executed yet may come in between.
#[test]
fn a_read_at_a_later_position_waits_for_it() {
    let mut stage = stage();
    *stage.mood.lock() = Mood::Hold;
    stage.receive([put("k", "one"), get("k?read=at-least:4")].concat().as_bytes());
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsCompletion);
    stage.engine.set_elsewhere("k", "other");
    stage.engine.set_elsewhere("k", "last");
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert_eq!(told(&mut stage), ["200 at 4: ", "200 at 4: one"]);
}

#[test]
fn http_reads_behind_refused_writes_are_asked_anew() {
    let mut stage = stage();
    stage.engine.set_elsewhere("k", "old");
    *stage.mood.lock() = Mood::RefuseTurn(Refused::Overloaded);
    stage.receive([put("k", "1"), get("k"), put("k", "2"), get("k?read=weak")].concat().as_bytes());
    stage.turn();
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert_eq!(told(&mut stage), ["429 at : ", "200 at 2: old", "429 at : ", "200 at 2: old"]);
    assert_eq!(stage.engine.trace.take().unwrap().last().unwrap(), "asked: Strong");
}

#[test]
fn http_reads_never_show_what_came_behind_them() {
    let mut stage = stage();
    *stage.mood.lock() = Mood::LoseReplies;
    stage.receive([put("k", "1"), get("k"), get("k?read=weak"), put("k", "2"), get("k")].concat().as_bytes());
    stage.settle();
    let told = told(&mut stage);
    assert_eq!(told, ["504 at : ", "503 at : ", "503 at : ", "504 at : ", "200 at 2: 2"]);
}

/// A weak read needs nobody else: it shows what there is although nobody knows what became of the write.
#[test]
fn a_weak_read_behind_a_write_of_unknown_outcome_is_answered() {
    let mut stage = stage();
    stage.engine.set_elsewhere("k", "old");
    *stage.mood.lock() = Mood::Unknown;
    stage
        .receive([put("k", "1"), get("k"), get("k?read=weak"), get("k?read=at-least:1")].concat().as_bytes());
    stage.settle();
    assert_eq!(told(&mut stage), ["504 at : ", "503 at : ", "200 at 2: old", "200 at 2: old"]);
}

#[test]
fn reads_after_readonly_are_attached_to_writes() {
    let mut stage = Stage::new(redis());
    stage.receive(b"READONLY\r\n");
    stage.settle();
    stage.engine.trace = Some(Vec::new());
    *stage.mood.lock() = Mood::Hold;
    stage.receive(b"GET k\r\nSET k 1\r\nGET k\r\nSET k 2\r\n");
    stage.settle();
    assert_eq!(stage.pumped, Pumped::NeedsInput, "nothing waits for anything");
    assert_eq!(stage.output.take(), b"+OK\r\n$-1\r\n", "alone, a weak read waits for nothing");
    let trace = stage.engine.trace.take().unwrap();
    assert_eq!(trace, ["lane 0: set k to '1' Always, look at k, set k to '2' Always"]);
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert_eq!(stage.output.take(), b"+OK\r\n$1\r\n1\r\n+OK\r\n");
}
