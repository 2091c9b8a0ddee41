//! Strong reads of a cluster that nobody writes to: the invariant `idle_read_is_answered`.
//!
//! In the paper's rule (Deyerl and Distler, PaPoC 2019) a read waits for slots that an idle cluster never fills, at any group
//! but the first. Here every server answers, whatever the number of groups, and the reads fill no log.

use std::thread;

use niagara_tests::disk_use::DiskUse;
use niagara_tests::metrics::Metrics;
use niagara_tests::{Answer, Client, Cluster, ClusterPlan, Endpoint, rounds, wait};

/// Proves it for a single group, where rounds are single slots.
#[test]
fn with_one_group() {
    idle_reads(1);
}

/// Proves it for two groups, fewer than servers, so that one server leads nothing.
#[test]
fn with_two_groups() {
    idle_reads(2);
}

/// Proves it for four groups.
#[test]
fn with_four_groups() {
    idle_reads(4);
}

/// Proves it for eight groups, several led by each server.
#[test]
fn with_eight_groups() {
    idle_reads(8);
}

fn idle_reads(groups: u16) {
    let cluster = ClusterPlan::new(3, groups).start();
    read_through_all(&cluster, None);
    // A few writes leave the groups' logs at different lengths.
    for server in cluster.servers() {
        let [_, mut redis] = Client::both(cluster.endpoint(server));
        for n in 0..server {
            assert_eq!(redis.set("key", format!("{server}.{n}").as_bytes()), Answer::Done(()));
        }
    }
    read_through_all(&cluster, Some(b"3.2"));
}

/// A thousand reads through each server, all of which are answered; the log does not grow by them.
fn read_through_all(cluster: &Cluster, value: Option<&[u8]>) {
    let before = wait::until("the cluster to be idle", || {
        let before = positions(cluster);
        thread::sleep(std::time::Duration::from_millis(300));
        (before == positions(cluster)).then_some(before)
    });
    thread::scope(|scope| {
        for endpoint in cluster.endpoints() {
            scope.spawn(move || read_through(endpoint, value));
        }
    });
    assert_eq!(positions(cluster), before, "reads write nothing");
    for server in cluster.servers() {
        assert_eq!(Metrics::read(&mut cluster.http(server)).sum("niagara_reads_failed_total"), 0.0);
    }
}

fn read_through(endpoint: &Endpoint, value: Option<&[u8]>) {
    let mut clients = Client::both(endpoint);
    for n in 0..rounds(1000) {
        let found = clients[n % 2].get("key");
        assert_eq!(
            found,
            Answer::Done(value.map(<[u8]>::to_vec)),
            "read {n} through server {}",
            endpoint.server
        );
    }
}

/// How far each server has executed the global log, and how long its local logs are.
fn positions(cluster: &Cluster) -> Vec<(u64, Vec<u64>)> {
    let position = |server| {
        let status = cluster.status(server);
        (status.applied, status.local.iter().map(|group| group.last).collect())
    };
    cluster.servers().map(position).collect()
}

/// An empty log is as small as what it holds: a first segment of 256 KiB for each group, and the next one, ready for use.
#[test]
fn an_idle_server_takes_little_disk() {
    let (groups, segment_mib) = (4, 16);
    let cluster = ClusterPlan::new(3, groups).engine("segment_mib", segment_mib).start();
    for server in cluster.servers() {
        assert_eq!(Client::both(cluster.endpoint(server))[1].get("key"), Answer::Done(None));
        let used = DiskUse::of(&cluster.data_dir(server)).bytes();
        assert!(used <= u64::from(groups) * (520 << 10), "server {server} takes {used} bytes");
    }
}
