//! What compaction leaves on disk, and snapshots on request.

use std::fs;

use niagara_tests::disk_use::{DiskUse, snapshots};
use niagara_tests::filling::fill;
use niagara_tests::{Cluster, ClusterPlan, wait};

use crate::plan;

/// Proves that what is on disk does not grow with what was written: three times the writes to the same keys leave about as
/// much, two snapshots, and logs whose first segments are gone.
#[test]
fn logs_and_snapshots_stay_bounded() {
    let mut cluster = plan(2, 200).start();
    write(&cluster, 1);
    let before = settled(&cluster);
    write(&cluster, 2);
    let after = settled(&cluster);
    println!("bytes on disk, all servers: after N writes {before:?}, after 3 N {after:?}");
    // What is compacted goes in whole segments, so one more or less for each log says nothing.
    let slack = 3 * 2 * SEGMENT;
    assert!(after.log_bytes <= before.log_bytes + slack, "logs grow: {before:?}, {after:?}");
    assert!(after.snapshot_bytes <= before.snapshot_bytes * 2, "snapshots grow: {before:?}, {after:?}");
    for server in cluster.servers() {
        for group in 1..=2 {
            let first = cluster.data_dir(server).join(format!("group-{group}/0000000000000001.log"));
            assert!(!fs::exists(&first).unwrap(), "{} is not needed any more", first.display());
        }
    }
    cluster.stop_all();
}

const SEGMENT: u64 = 1 << 20;
const VALUE: usize = 1 << 10;
/// N, in writes.
const WRITES: u64 = 6000;
const KEYS: u64 = 300;

/// Writes so many times N, in parts, through all servers, and counts the snapshots on disk after each.
fn write(cluster: &Cluster, times: u64) {
    let mut redis: Vec<_> = cluster.servers().map(|server| cluster.redis(server)).collect();
    for turn in 0..times * WRITES / KEYS {
        let redis = &mut redis[turn as usize % 3];
        fill(redis, 0..KEYS, 50, |_| vec![turn as u8; VALUE], |_| ()).expect("all servers serve");
        for server in cluster.servers() {
            // The old one goes right after the new one has got its name.
            let kept = wait::until("old snapshots to go", || {
                let kept = snapshots(&cluster.data_dir(server)).len();
                (kept <= 2).then_some(kept)
            });
            assert!(kept <= 2);
        }
    }
}

/// What is on disk, of all servers, when none of them writes a snapshot.
fn settled(cluster: &Cluster) -> DiskUse {
    cluster.await_agreement();
    let quiet = |server| !cluster.status(server).snapshot.writing;
    wait::until("all snapshots to be written", || cluster.servers().all(quiet).then_some(()));
    let all = cluster.servers().map(|server| DiskUse::of(&cluster.data_dir(server)));
    all.reduce(|one, other| one + other).expect("there are servers")
}

/// Proves that an idle server makes a snapshot when it is asked to, by itself, and none when there is nothing new.
#[test]
fn an_idle_server_makes_a_snapshot_on_request() {
    let mut cluster = ClusterPlan::new(3, 2).start();
    let written = cluster.http(1).put("key", b"value").unwrap();
    assert!(written.status < 300, "{}", written.text());
    cluster.await_agreement();
    for _ in 0..2 {
        let asked = cluster.http(2).request("POST", "/snapshot", &[], b"").unwrap();
        assert_eq!(asked.status, 202, "it is made beside everything else: {}", asked.text());
        let made = wait::until("a snapshot", || {
            let status = cluster.status(2).snapshot;
            (status.position > 0 && !status.wanted && !status.writing).then_some(status)
        });
        assert_eq!((made.taken, made.failures), (1, 0), "{made:?}");
        assert_eq!(snapshots(&cluster.data_dir(2)).len(), 1);
    }
    for other in [1, 3] {
        assert_eq!(cluster.status(other).snapshot.taken, 0, "nobody has asked server {other}");
    }
    cluster.stop_all();
}
