//! What a start makes of snapshots, whole ones and damaged ones.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use niagara_tests::disk_use::snapshots;
use niagara_tests::{Client, Cluster, History, Load, LoadPlan};

use crate::{assert_all_read, assert_nothing_lost, plan, write_past_compaction};

/// Proves that a cluster whose logs are compacted comes back with everything that was acknowledged, after a failure of all
/// servers at once, again and again.
#[test]
fn the_whole_cluster_starts_from_snapshots_and_logs() {
    let mut cluster = plan(2, 50).start();
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, LoadPlan::default());
    for _ in 0..3 {
        load.await_progress(200);
        write_past_compaction(&cluster, &[1, 2, 3], b"value");
        cluster.kill_all();
        cluster.servers().for_each(|server| cluster.launch(server));
        cluster.servers().for_each(|server| cluster.await_ready(server));
        for server in cluster.servers() {
            assert!(cluster.log(server).contains("restored the state from a snapshot"));
        }
    }
    load.await_progress(100);
    load.stop();
    assert_all_read(&cluster, b"value");
    assert_nothing_lost(&mut cluster, &history);
}

/// Proves that a server whose newest snapshot is damaged starts from the one before it, and catches up; and that one whose
/// snapshots are both damaged does not start, since its logs no longer hold what they stood for, and says so.
#[test]
fn a_damaged_snapshot_is_passed_over_and_two_are_an_error() {
    let mut cluster = plan(2, 50).start();
    write_past_compaction(&cluster, &[1, 2, 3], b"value");
    cluster.kill(3);
    let kept = snapshots(&cluster.data_dir(3));
    assert_eq!(kept.len(), 2, "two are kept: {kept:?}");
    flip_a_byte(&kept[1]);
    let history = History::default();
    let register = history.register();
    let [mut client, _] = Client::both(cluster.endpoint(1));
    for _ in 0..20 {
        register.write(&mut client);
    }

    cluster.restart(3);
    assert!(cluster.log(3).contains("skipping a damaged snapshot"), "it has noticed");
    let [mut client, _] = Client::both(cluster.endpoint(3));
    history.verify(&mut client);
    assert_all_read(&cluster, b"value");
    assert!(cluster.await_agreement() > 0);

    write_past_compaction(&cluster, &[1, 2, 3], b"value");
    cluster.kill(3);
    snapshots(&cluster.data_dir(3)).iter().for_each(|path| flip_a_byte(path));
    assert_refused(&mut cluster);
}

/// Server 3 ends by itself, with a message that says what is lost and what to do.
fn assert_refused(cluster: &mut Cluster) {
    let before = cluster.log(3).len();
    cluster.launch(3);
    let status = cluster.process(3).await_exit();
    let log = cluster.log(3);
    let said = &log[before..];
    assert!(!status.success() && status.code().is_some(), "it ended with {status}, not by a signal");
    assert!(said.contains("is damaged at offset"), "which files are damaged:\n{said}");
    assert!(said.contains("the newest whole snapshot reaches entry 0 only"), "what is missing:\n{said}");
    assert!(said.contains("Restore the directory"), "what to do:\n{said}");
}

fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).expect("a snapshot can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("a snapshot can be written");
}
