//! A state machine whose snapshots are files of its own.

mod eventually;
#[expect(dead_code, reason = "the tests have configurations of their own")]
#[path = "../examples/journal.rs"]
mod example;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use eventually::eventually;
use example::Journal;
use niagara_engine::{Client, Config, Consistency, Durability, Engine, Member, TakenSnapshot};

const COMMAND: usize = 10_000;

fn members(servers: u16) -> Vec<Member> {
    Config::local(servers, 1).unwrap()[0].members.clone()
}

fn state_dir(dir: &Path, server: u64) -> PathBuf {
    dir.join(format!("state-{server}"))
}

fn start(members: &[Member], server: u64, dir: &Path) -> Engine<Journal> {
    let mut config = Config::new(0xf5, server, members.to_vec());
    (config.data_dir, config.durability) = (dir.join(format!("log-{server}")), Durability::Os);
    config.segment_bytes = 256 << 10;
    Engine::start(config, Journal::open(&state_dir(dir, server)).unwrap()).unwrap()
}

/// Proposes commands that are together as long as a hundred times this number of KB.
fn write(client: &Client<Journal>, hundreds: u64) {
    let propose = |_| client.propose(vec![7; COMMAND].into()).unwrap();
    let tickets: Vec<_> = (0..10 * hundreds).map(propose).collect();
    tickets.into_iter().for_each(|ticket| {
        ticket.wait().unwrap();
    });
}

fn snapshot(client: &Client<Journal>) -> TakenSnapshot {
    client.snapshot().wait().unwrap()
}

fn count(client: &Client<Journal>) -> u64 {
    client.read(Consistency::Strong).wait().unwrap().0.load(Ordering::Acquire)
}

fn directories(taken: &TakenSnapshot) -> Vec<PathBuf> {
    let names = fs::read_dir(taken.path.as_ref().unwrap().parent().unwrap()).unwrap();
    let paths = names.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

#[test]
fn a_snapshot_is_a_link_and_a_start_without_the_state_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(1);
    let engine = start(&members, 1, dir.path());
    let mut taken = Vec::new();
    for _ in 0..3 {
        write(&engine.client(), 3);
        taken.push(snapshot(&engine.client()));
    }
    let newest = taken.last().unwrap();
    let files = newest.own_files.as_ref().unwrap();
    assert!(newest.bytes < COMMAND as u64, "the snapshot's file holds the engine's part alone");
    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    assert_eq!(
        inode(files.join("journal")),
        inode(state_dir(dir.path(), 1).join("journal")),
        "nothing was copied"
    );
    let kept: Vec<_> = taken[1..].iter().map(|taken| taken.own_files.clone().unwrap()).collect();
    assert_eq!(directories(newest), kept, "two are kept");
    write(&engine.client(), 1);
    engine.stop();

    // The state is lost, and somebody left files that belong to no snapshot.
    fs::remove_dir_all(state_dir(dir.path(), 1)).unwrap();
    let stray = newest.path.as_ref().unwrap().with_file_name("00000000000000ff.files");
    fs::create_dir(&stray).unwrap();
    let engine = start(&members, 1, dir.path());
    assert_eq!(count(&engine.client()), 100);
    assert!(!stray.exists());
    assert_eq!(directories(newest), kept);
    engine.stop();

    // The state is lost again, and the newest files are damaged.
    fs::remove_dir_all(state_dir(dir.path(), 1)).unwrap();
    fs::remove_file(files.join("length")).unwrap();
    let engine = start(&members, 1, dir.path());
    assert_eq!(count(&engine.client()), 100, "the snapshot before and the log");
    write(&engine.client(), 1);
    let after = snapshot(&engine.client());
    assert_eq!(
        directories(&after),
        [kept[0].clone(), after.own_files.clone().unwrap()],
        "the damaged one is gone"
    );
    assert_eq!(count(&engine.client()), 110);
    engine.stop();
}

#[test]
fn a_server_that_was_away_for_too_long_gets_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let members = members(3);
    let start = |server| start(&members, server, dir.path());
    let mut engines: Vec<_> = [1, 2, 3].map(start).into();
    write(&engines[0].client(), 1);
    engines.pop().unwrap().stop();
    let mut taken = Vec::new();
    for _ in 0..3 {
        write(&engines[0].client(), 10);
        taken = engines.iter().map(|engine| snapshot(&engine.client())).collect();
    }
    assert!(taken.iter().all(|taken| taken.own_files.is_some()));
    engines.push(start(3));
    let client = engines[2].client();
    eventually("catching up", || {
        client.read(Consistency::Weak).wait().unwrap().0.load(Ordering::Acquire) == 310
    });
    write(&client, 1);
    assert_eq!(engines.iter().map(|engine| count(&engine.client())).collect::<Vec<_>>(), [320; 3]);
    let is_copied = |taken: &TakenSnapshot| !taken.own_files.as_ref().unwrap().exists();
    assert!(taken.iter().any(is_copied), "the sender's snapshot has the content in its file now");

    // What was received is like what was written: a start without the state reads it.
    engines.pop().unwrap().stop();
    fs::remove_dir_all(state_dir(dir.path(), 3)).unwrap();
    engines.push(start(3));
    assert_eq!(count(&engines[2].client()), 320);
    engines.into_iter().for_each(Engine::stop);
}
