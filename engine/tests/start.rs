//! What a failed start leaves behind, and how a start handles directories of earlier releases.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use niagara_engine::internals::example;
use niagara_engine::{
    Config, Durability, Engine, EngineBuilder, IdentityError, Member, MemoryFiles, StartError,
};
use niagara_log::LogError;

const ANY: &str = "127.0.0.1:0";

/// A single server with one group at that address. Its data directory and the parent directory do not exist
/// yet.
fn config(dir: &Path, address: String) -> Config {
    let mut config =
        Config::new(1, 1, vec![Member { server: 1, addresses: vec![address], transfer: ANY.into() }]);
    config.data_dir = dir.join("above").join("data");
    config.durability = Durability::Os;
    config.segment_bytes = 64 << 10;
    config
}

fn start(config: &Config) -> Result<Engine<example::Counter>, StartError> {
    Engine::start(config.clone(), example::Counter::default())
}

/// Runs a server once, with a command.
fn run(config: &Config) {
    let engine = start(config).unwrap();
    engine.client().propose("a command".into()).unwrap().wait().unwrap();
    engine.stop();
}

fn identity(config: &Config) -> String {
    fs::read_to_string(config.data_dir.join("identity")).unwrap()
}

/// Rewrites the identity as a release without marks wrote it.
fn without_marks(config: &Config) {
    let text = identity(config);
    let (body, _) = text.rsplit_once("checksum").unwrap();
    let marks = ["lives", "members", "met", "log", "received"];
    let is_mark = |line: &&str| marks.iter().any(|mark| line.split(' ').next() == Some(mark));
    let lines: Vec<&str> = body.lines().filter(|line| !is_mark(line)).collect();
    let body = lines.join("\n") + "\n";
    let text = format!("{body}checksum = {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(config.data_dir.join("identity"), text).unwrap();
}

fn assert_log_is_missed(config: &Config) {
    let refused = start(config).err();
    assert!(
        matches!(refused, Some(StartError::Log { group: 1, source: LogError::Vanished { .. } })),
        "{refused:?}"
    );
}

#[test]
fn a_start_that_fails_leaves_a_clean_stop_clean() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), ANY.into());
    run(&config);
    let before = identity(&config);
    assert!(before.contains("\nclean = true\n") && before.contains("\nincarnation = 1\n"), "{before}");

    let holder = TcpListener::bind(ANY).unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    config.members[0].addresses[0] = taken.clone();
    assert!(matches!(start(&config).err(), Some(StartError::Link { .. })));
    config.members[0].addresses[0] = ANY.into();
    config.members[0].transfer = taken;
    assert!(matches!(start(&config).err(), Some(StartError::Transfer(_))));
    let after = identity(&config);
    assert!(after.contains("\nclean = true\n") && after.contains("\nincarnation = 1\n"), "{after}");

    config.members[0].transfer = ANY.into();
    let running = start(&config).unwrap();
    assert!(identity(&config).contains("\nclean = false\n"), "it can lose writes now");
    running.stop();
    assert!(identity(&config).contains("\nclean = true\n"));
}

#[test]
fn a_directory_without_marks_is_taken_as_it_is_and_kept_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), ANY.into());
    run(&config);
    run(&config);
    without_marks(&config);
    run(&config);
    let text = identity(&config);
    assert!(text.contains("\nmembers = 1\n") && text.contains("\nlog 1 = "), "{text}");
    fs::remove_dir_all(config.data_dir.join("group-1")).unwrap();
    assert_log_is_missed(&config);
}

#[test]
fn a_log_that_vanished_before_the_first_start_with_marks_is_missed_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), ANY.into());
    run(&config);
    run(&config);
    without_marks(&config);
    fs::remove_dir_all(config.data_dir.join("group-1")).unwrap();
    assert_log_is_missed(&config);
}

/// The first start with marks may find a log of a single segment whose entries are gone: the marks of the
/// last stop reveal it.
#[test]
fn a_log_that_is_put_back_from_an_old_copy_is_told_by_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), ANY.into());
    run(&config);
    let (log, copy) = (config.data_dir.join("group-1"), dir.path().join("copy"));
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&log).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    run(&config);
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&copy, &log).unwrap();
    assert_log_is_missed(&config);
}

#[test]
fn another_list_of_members_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), ANY.into());
    run(&config);
    config.members.push(Member { server: 2, ..config.members[0].clone() });
    let refused = start(&config).err();
    assert!(matches!(refused, Some(StartError::Identity(IdentityError::Members { .. }))), "{refused:?}");
    config.members.pop();
    run(&config);
}

/// Names of everything below a directory.
fn everything_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<String> = entries
        .flat_map(|path| {
            let below = if path.is_dir() { everything_in(&path) } else { Vec::new() };
            below.into_iter().chain([path.display().to_string()])
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_start_that_fails_leaves_nothing_that_it_has_made() {
    let taken = TcpListener::bind(ANY).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let failing = config(dir.path(), address);
    assert!(matches!(start(&failing), Err(StartError::Link { .. })));
    assert!(everything_in(dir.path()).is_empty(), "{:?}", everything_in(dir.path()));

    // A directory that was there stays, empty as it was.
    fs::create_dir_all(&failing.data_dir).unwrap();
    assert!(start(&failing).is_err());
    assert!(failing.data_dir.is_dir());
    assert!(everything_in(&failing.data_dir).is_empty());

    // Once the cause is gone, the same directory serves a server with another id.
    drop(taken);
    let mut other = config(dir.path(), ANY.into());
    (other.server, other.members[0].server) = (7, 7);
    run(&other);
}

#[test]
fn a_start_that_fails_removes_nothing_that_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let good = config(dir.path(), ANY.into());
    run(&good);
    let before = everything_in(dir.path());
    let taken = TcpListener::bind(ANY).unwrap();
    assert!(start(&config(dir.path(), taken.local_addr().unwrap().to_string())).is_err());
    assert_eq!(everything_in(dir.path()), before);

    // Somebody else's file: whatever else the start makes, it stays, and so does all that is beside it.
    let strange = tempfile::tempdir().unwrap();
    let config = config(strange.path(), taken.local_addr().unwrap().to_string());
    fs::create_dir_all(&config.data_dir).unwrap();
    fs::write(config.data_dir.join("notes.txt"), "mine").unwrap();
    assert!(start(&config).is_err());
    assert_eq!(fs::read_to_string(config.data_dir.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_directory_in_use_stays_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), ANY.into());
    let engine = start(&config).unwrap();
    assert!(matches!(start(&config), Err(StartError::Identity(IdentityError::InUse(_)))));
    engine.client().propose("still served".into()).unwrap().wait().unwrap();
}

#[test]
fn files_of_the_programs_own_are_used_instead_of_the_systems() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), ANY.into());
    let files = Arc::new(MemoryFiles::default());
    for life in 1..=3 {
        let builder = EngineBuilder::new(config.clone()).files(Arc::<MemoryFiles>::clone(&files));
        let engine = builder.start(example::Counter::default()).unwrap();
        let done = engine.client().propose("count".into()).unwrap().wait().unwrap();
        assert_eq!(done.reply, life, "the state goes on where it was");
        engine.stop();
    }
    assert!(everything_in(dir.path()).is_empty(), "nothing is written elsewhere");
    let engine = start(&config).unwrap();
    assert_eq!(engine.client().propose("count".into()).unwrap().wait().unwrap().reply, 1);
}
