//! Snapshots of real servers: how they bring a server up to date, what a start makes of them, and what they do to the disk.

mod compaction;
mod damage;
mod disks_fill;
mod frozen_disk;
mod full_disk;
mod transfer;

use niagara_engine::{GroupStatus, Status};
use niagara_tests::filling::{fill, key};
use niagara_tests::metrics::Metrics;
use niagara_tests::{Client, Cluster, ClusterPlan, History, wait};

/// A cluster of three servers that make snapshots all the time, and keep short logs.
fn plan(groups: u16, snapshot_entries: u64) -> ClusterPlan {
    ClusterPlan::new(3, groups).engine("snapshot_entries", snapshot_entries).engine("snapshot_mib", 1)
}

/// Sets so many keys through a server, over and over, until each of these has taken three snapshots more and its logs begin
/// above what a log that ended where they did would need next. Snapshots alone do not say so: a leader keeps its log for a
/// while for a follower that it was about to offer one.
fn write_past_compaction(cluster: &Cluster, servers: &[u64], value: &[u8]) {
    let held: Vec<Status> = servers.iter().map(|server| cluster.status(*server)).collect();
    let mut redis = cluster.redis(servers[0]);
    wait::until("the logs to begin above what they held", || {
        // Small batches make many entries.
        fill(&mut redis, 0..KEYS, 8, |_| value.to_vec(), |_| ()).expect("a majority of servers serves");
        let are_beyond = |held: &Status| {
            let now = cluster.status(held.server);
            let begins_later = |(now, held): (&GroupStatus, &GroupStatus)| now.first > held.last + 1;
            now.snapshot.taken >= held.snapshot.taken + 3
                && now.local.iter().zip(&held.local).all(begins_later)
        };
        held.iter().all(are_beyond).then_some(())
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
