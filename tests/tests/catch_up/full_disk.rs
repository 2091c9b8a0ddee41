//! Servers without room on their disks.

use std::fs;
use std::path::Path;

use niagara_tests::filling::{fill, key};
use niagara_tests::tiny_disk::TinyDisk;
use niagara_tests::{Answer, Client, Value, wait};

use crate::plan;

/// Proves that a server which has no room for a snapshot goes on serving, says what is wrong, and makes one as soon as there
/// is room.
#[test]
fn a_full_disk_stops_snapshots_and_nothing_else() {
    let mut cluster = plan(2, 50).prepare();
    let snapshots = cluster.data_dir(3).join("snapshots");
    fs::create_dir_all(&snapshots).expect("a directory can be created");
    let disk = match TinyDisk::mount(&snapshots, 256) {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: {reason}"),
    };
    cluster.servers().for_each(|server| cluster.launch(server));
    cluster.servers().for_each(|server| cluster.await_ready(server));

    // More than the disk holds.
    fill(&mut cluster.redis(1), 0..64, 8, |n| vec![n as u8; 32 << 10], |_| ()).expect("all servers serve");
    let failed = wait::until("a snapshot to fail", || {
        let status = cluster.status(3).snapshot;
        (status.failures > 0).then_some(status)
    });
    println!("{failed:?}");
    let error = failed.last_error.expect("a failure has a reason");
    assert!(error.contains("check the disk's space"), "{error}");
    for mut client in Client::both(cluster.endpoint(3)) {
        assert_eq!(client.set("key", b"value"), Answer::Done(()));
        assert_eq!(client.get("key"), Answer::Done(Some(b"value".to_vec())));
    }
    let taken = |server| cluster.status(server).snapshot.taken > 0;
    wait::until("the others, which have room, to make snapshots", || (taken(1) && taken(2)).then_some(()));

    disk.resize(64 << 10);
    let made = wait::until("a snapshot to be made", || {
        let status = cluster.status(3).snapshot;
        (status.taken > 0 && status.last_error.is_none()).then_some(status)
    });
    assert!(made.position > 0 && made.failures >= failed.failures, "{made:?}");
    assert!(cluster.await_agreement() > 0);
    cluster.stop_all();
}

/// What is to be left of the disk.
const LEFT_KIB: u64 = 1 << 10;

/// Proves that a server whose disk is nearly full serves reads, refuses writes in words that say what to do, raises an alarm,
/// and goes on by itself when there is room; and that the same holds where nothing is kept in reserve, so that a log
/// runs out of room in the midst of its work.
#[test]
fn a_full_disk_makes_a_server_read_only() {
    for reserve_mib in [16, 0] {
        let mut cluster =
            plan(2, 1 << 20).engine("segment_mib", 1).engine("disk_reserve_mib", reserve_mib).prepare();
        let data = cluster.data_dir(3);
        fs::create_dir_all(&data).expect("a directory can be created");
        let disk = match TinyDisk::mount(&data, 64 << 10) {
            Ok(disk) => disk,
            Err(reason) => return println!("skipped: {reason}"),
        };
        cluster.servers().for_each(|server| cluster.launch(server));
        cluster.servers().for_each(|server| cluster.await_ready(server));
        fill(&mut cluster.redis(3), 0..8, 8, |n| vec![n as u8; 1 << 10], |_| ()).expect("all servers serve");

        let filler = data.join("filler");
        fill_disk(&filler);
        // More than fits behind what the logs have begun.
        let mut round = 0;
        let status = wait::until("the server to be read-only", || {
            round += 1;
            fill(&mut cluster.redis(1), 0..64, 8, |n| vec![(n + round) as u8; 32 << 10], |_| ())
                .expect("a quorum goes on");
            Some(cluster.status(3)).filter(|status| status.waiting.read_only)
        });
        assert!(status.alarms.iter().any(|alarm| alarm.contains("nearly full")), "{:?}", status.alarms);
        match cluster.redis(3).command(&["SET", "key", "value"]).expect("the server serves") {
            Value::Error(text) => {
                assert!(text.starts_with("READONLY ") && text.contains("make room"), "{text}");
            }
            answer => panic!("{answer:?}"),
        }
        let refused = cluster.http(3).put("key", b"value").expect("the server serves");
        assert_eq!(refused.status, 507, "{}", refused.text());
        assert_eq!(cluster.http(3).get(&key(1), "weak").expect("the server serves").status, 200);
        assert_eq!(cluster.process(3).exit_status(), None);

        fs::remove_file(&filler).expect("the file is there");
        wait::until("the server to take writes again", || {
            let answer = cluster.redis(3).command(&["SET", "key", "value"]).expect("the server serves");
            (answer == Value::Simple("OK".into())).then_some(())
        });
        assert!(cluster.await_agreement() > 0);
        assert!(cluster.status(3).alarms.is_empty());
        cluster.stop_all();
        drop(disk);
    }
}

/// Fills a file system with one file, but for a little.
fn fill_disk(path: &Path) {
    let free = {
        let found =
            rustix::fs::statvfs(path.parent().expect("a file in a directory")).expect("it is mounted");
        found.f_bavail * found.f_frsize
    };
    let bytes = vec![1; (free - (LEFT_KIB << 10)) as usize];
    fs::write(path, bytes).expect("there is so much room");
}
