//! Snapshots of real servers: how they bring a server up to date, what a start makes of them, and what they do to the disk.

mod compaction;
mod damage;
mod disks_fill;
mod frozen_disk;
mod full_disk;
mod transfer;

use niagara_tests::filling::{fill, key};
use niagara_tests::metrics::Metrics;
use niagara_tests::{Client, Cluster, ClusterPlan, History, wait};

/// A cluster of three servers that make snapshots all the time, and keep short logs.
fn plan(groups: u16, snapshot_entries: u64) -> ClusterPlan {
    ClusterPlan::new(3, groups).engine("snapshot_entries", snapshot_entries).engine("snapshot_mib", 1)
}

/// Sets so many keys through a server, over and over, until the first server's logs begin above what another one has
/// executed: it has made three snapshots since, so that even the older of those that it keeps is beyond.
fn write_past_compaction(cluster: &Cluster, servers: &[u64], value: &[u8]) {
    let before: Vec<u64> = servers.iter().map(|server| cluster.status(*server).snapshot.taken).collect();
    let mut redis = cluster.redis(servers[0]);
    wait::until("three more snapshots on each server", || {
        // Small batches make many entries.
        fill(&mut redis, 0..KEYS, 8, |_| value.to_vec(), |_| ()).expect("a majority of servers serves");
        let taken = |(server, before): (&u64, &u64)| cluster.status(*server).snapshot.taken >= before + 3;
        servers.iter().zip(&before).all(taken).then_some(())
    });
}

/// Keys that [`write_past_compaction`] sets.
const KEYS: u64 = 100;

/// Every server shows the newest values, to strong and to weak reads.
fn assert_all_read(cluster: &Cluster, value: &[u8]) {
    for server in cluster.servers() {
        let mut http = cluster.http(server);
        for n in (0..KEYS).step_by(7) {
            for read in ["strong", "weak"] {
                let found = http.get(&key(n), read).expect("a server that is ready answers");
                assert_eq!((found.status, &*found.body), (200, value), "a {read} read through {server}");
            }
        }
    }
}

/// Every server shows what was acknowledged, and has executed the same as the others.
fn assert_nothing_lost(cluster: &mut Cluster, history: &History) {
    for endpoint in cluster.endpoints() {
        Client::both(endpoint).iter_mut().for_each(|client| history.verify(client));
    }
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
    cluster.stop_all();
}

/// How many snapshots a server has received since its start.
fn received(cluster: &Cluster, server: u64) -> u64 {
    Metrics::read(&mut cluster.http(server)).sum("niagara_snapshots_received_total") as u64
}
