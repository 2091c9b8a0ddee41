//! A state machine that keeps its state on disk, killed and started again.

#[expect(dead_code, reason = "the test calls the parts of the example")]
#[path = "../examples/on_disk.rs"]
mod example;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use example::{Counts, config, state_file, write};
use niagara_engine::{Client, Consistency, Engine, GlobalPosition, StartError, StateMachine};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

const DIR: &str = "NIAGARA_TEST_ON_DISK";
const FROM: &str = "NIAGARA_TEST_ON_DISK_FROM";
const SNAPSHOT: &str = "NIAGARA_TEST_ON_DISK_SNAPSHOT";

/// Not a test: the process that `kill` ends.
#[test]
#[ignore = "runs in a process of its own, which is killed"]
fn child() {
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    let from: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    let state = Counts::open(&state_file(&dir)).unwrap();
    let engine = Engine::start(config(&dir), state).unwrap();
    write(&engine.client(), from..from + 20).unwrap();
    if std::env::var(SNAPSHOT).is_ok() {
        engine.client().snapshot().wait().unwrap();
    }
    write(&engine.client(), from + 20..).unwrap();
}

/// Runs a server until it has acknowledged 60 commands, and kills it. Returns the last number acknowledged.
fn kill(dir: &Path, from: u64, snapshot: bool) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(DIR, dir).env(FROM, from.to_string());
    if snapshot {
        command.env(SNAPSHOT, "1");
    }
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let acknowledged = lines.filter_map(|line| {
        let number = line.split_once("acknowledged ")?.1.split(' ').next()?.parse::<u64>().ok()?;
        assert!(line.ends_with("executed 1 times"), "{line}");
        Some(number)
    });
    let last = acknowledged.take(60).last();
    process.kill().unwrap();
    process.wait().unwrap();
    let last = last.expect("the child acknowledges commands");
    assert_eq!(last, from + 59, "the child acknowledges 60 commands");
    last
}

fn counts(client: &Client<Counts>) -> BTreeMap<String, u64> {
    let database = client.read(Consistency::Strong).wait().unwrap();
    let table =
        database.begin_read().unwrap().open_table(TableDefinition::<&[u8], u64>::new("counts")).unwrap();
    let counts = table.iter().unwrap().map(|entry| {
        let (command, count) = entry.unwrap();
        (String::from_utf8(command.value().to_vec()).unwrap(), count.value())
    });
    counts.collect()
}

fn check(counts: &BTreeMap<String, u64>, lives: u64) {
    assert!(counts.values().all(|count| *count == 1), "applied_once: {counts:?}");
    for number in (0..lives).flat_map(|life| life * 1000..life * 1000 + 60) {
        assert!(counts.contains_key(&format!("command {number}")), "acked_is_applied: command {number}");
    }
}

#[test]
fn a_killed_server_resumes_where_its_state_is_and_executes_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let lives = [false, true, false, true];
    for (life, snapshot) in (0..).zip(lives) {
        kill(dir.path(), life * 1000, snapshot);
        let held = Counts::open(&state_file(dir.path())).unwrap().applied();
        assert!(held > GlobalPosition::ZERO, "the state is on disk");
    }
    let state = Counts::open(&state_file(dir.path())).unwrap();
    let held = state.applied();
    let engine = Engine::start(config(dir.path()), state).unwrap();
    let with_state = counts(&engine.client());
    check(&with_state, 4);
    assert!(engine.client().applied() >= held);
    assert_eq!(engine.client().status().commands, with_state.len() as u64, "the log says the same");
    assert!(engine.client().snapshot().wait().unwrap().position >= held);
    engine.stop();

    // Without the state, the newest snapshot and the log give the same.
    std::fs::remove_file(state_file(dir.path())).unwrap();
    let engine = Engine::start(config(dir.path()), Counts::open(&state_file(dir.path())).unwrap()).unwrap();
    assert_eq!(counts(&engine.client()), with_state);
    engine.stop();
}

#[test]
fn a_state_that_is_behind_the_snapshot_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    kill(dir.path(), 0, false);
    let (state, old) = (state_file(dir.path()), dir.path().join("old"));
    std::fs::copy(&state, &old).unwrap();
    kill(dir.path(), 1000, true);
    kill(dir.path(), 2000, true);
    std::fs::rename(&old, &state).unwrap();
    let engine = Engine::start(config(dir.path()), Counts::open(&state).unwrap()).unwrap();
    check(&counts(&engine.client()), 3);
    engine.stop();
}

#[test]
fn a_state_of_another_server_or_without_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Counts::open(&state_file(dir.path())).unwrap();
    let engine = Engine::start(config(dir.path()), open()).unwrap();
    engine.client().propose("command".into()).unwrap().wait().unwrap();
    engine.stop();

    let mut foreign = config(dir.path());
    foreign.cluster = 2;
    foreign.data_dir = dir.path().join("foreign");
    let refused = Engine::start(foreign, open()).expect_err("it belongs to another cluster");
    assert!(matches!(refused, StartError::ForeignState(_)), "{refused}");

    let mut fresh = config(dir.path());
    fresh.data_dir = dir.path().join("fresh");
    let refused = Engine::start(fresh, open()).expect_err("its log is missing");
    assert!(matches!(refused, StartError::StateWithoutLog { .. }), "{refused}");
}
