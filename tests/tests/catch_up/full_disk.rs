//! A server without room for snapshots.

use std::fs;

use niagara_tests::filling::fill;
use niagara_tests::tiny_disk::TinyDisk;
use niagara_tests::{Answer, Client, wait};

use crate::plan;

/// Proves that a server which has no room for a snapshot goes on serving, says what is wrong, and makes one as soon as there
/// is room.
#[test]
fn a_full_disk_stops_snapshots_and_nothing_else() {
    let mut cluster = plan(50).prepare();
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
