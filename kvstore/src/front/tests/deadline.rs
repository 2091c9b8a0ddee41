//! A request waits for one deadline, whatever is executed for it before.

use super::fake::Mood;
use super::golden::{Stage, http};
use crate::http::HttpConnection;

/// The first GET that a server answers has the life of the state named before. While this one waits for that, the server learns
/// the life from elsewhere, as from a received snapshot.
fn waits_for_a_name_that_is_known() -> Stage<HttpConnection> {
    let mut stage = Stage::new(http());
    stage.engine.trace = Some(Vec::new());
    *stage.mood.lock() = Mood::Hold;
    stage.receive(b"GET /kv/k HTTP/1.1\r\nHost: h\r\n\r\n");
    stage.settle();
    assert_eq!(
        stage.engine.trace.replace(Vec::new()),
        Some(vec!["lane 0: name the life 000000000000feed".to_owned()])
    );
    stage.engine.name_life_elsewhere();
    stage.settle();
    // A command that it is attached to now would have a deadline of its own.
    assert_eq!(stage.engine.trace.replace(Vec::new()), Some(Vec::new()), "it still waits");
    stage
}

#[test]
fn a_read_fails_with_the_command_that_it_waits_for() {
    let mut stage = waits_for_a_name_that_is_known();
    *stage.mood.lock() = Mood::Unknown;
    assert!(stage.engine.step(), "the life is being named");
    stage.turn();
    assert!(stage.output.take().starts_with(b"HTTP/1.1 503"));
}

#[test]
fn a_read_is_answered_by_the_command_that_it_waits_for() {
    let mut stage = waits_for_a_name_that_is_known();
    *stage.mood.lock() = Mood::Serve;
    stage.settle();
    assert!(stage.output.take().starts_with(b"HTTP/1.1 404"));
}
