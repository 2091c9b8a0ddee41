//! Servers that were away for longer than the logs of the others reach back.

use std::ops::Range;
use std::sync::Arc;

use niagara_engine::SnapshotStatus;
use niagara_tests::filling::fill;
use niagara_tests::{Cluster, History, Load, LoadPlan, wait};

use crate::{assert_all_read, assert_nothing_lost, plan, received, write_past_compaction};

/// Proves that a server which was away past the compaction of all logs gets a snapshot, serves the newest values to strong
/// and weak reads, has executed the same as the others, and goes on.
#[test]
fn a_server_that_was_away_past_compaction_catches_up_by_a_snapshot() {
    let mut cluster = plan(2, 50).start();
    write_past_compaction(&cluster, &[1, 2, 3], b"old");
    let applied = cluster.status(3).applied;
    cluster.kill(3);
    write_past_compaction(&cluster, &[1, 2], b"new");

    cluster.restart(3);
    assert!(cluster.await_agreement() > applied, "it has come up to the others");
    assert!(received(&cluster, 3) >= 1, "it has got there by a snapshot");
    assert_all_read(&cluster, b"new");

    write_past_compaction(&cluster, &[3, 1, 2], b"newest");
    assert_all_read(&cluster, b"newest");
    assert!(cluster.await_agreement() > applied);
    cluster.stop_all();
}

/// Large values, so that a transfer takes seconds at the lowest rate that there is.
const LARGE_KEYS: Range<u64> = 1000..1128;
const LARGE_VALUE: usize = 64 << 10;
/// So much has to come between two failures: a piece, so that ten failures end before the transfer does.
const STEP_BYTES: u64 = 256 << 10;

/// Proves that a receiver which is killed again and again resumes the file where it stood. Nobody else fails or writes, so
/// the sender and its newest snapshot stay the same.
#[test]
fn a_receiver_that_is_back_resumes_where_it_stood() {
    let mut cluster = start_slow_transfer(1, 20_000);
    for _ in 0..4 {
        let before = await_step(&cluster);
        cluster.kill(3);
        cluster.launch(3);
        let after = wait::until("the transfer to resume", || receiving(&cluster));
        let file = |status: &SnapshotStatus| (status.receiving_from, status.expected_bytes);
        assert_eq!(file(&after), file(&before), "the file is the same");
        assert!(after.received_bytes >= before.received_bytes, "{after:?} after {before:?}");
    }
    cluster.await_ready(3);
    assert!(received(&cluster, 3) >= 1, "it has got there by a snapshot");
    cluster.stop_all();
}

/// Proves that a transfer outlives the failures of both sides, ten times by turns, while clients continue: it ends in the
/// end, and nothing that was acknowledged is lost.
#[test]
fn a_transfer_outlives_failures_of_both_sides() {
    // Clients make few snapshots meanwhile, since a receiver that is back is sent the newest.
    let mut cluster = start_slow_transfer(2, 20_000);
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, FEW_CLIENTS);
    load.await_progress(20);
    for _ in 0..5 {
        await_step(&cluster);
        cluster.kill(3);
        cluster.launch(3);
        let sender = await_step(&cluster).receiving_from;
        cluster.kill(sender);
        cluster.launch(sender);
        load.await_progress(20);
    }

    cluster.servers().for_each(|server| cluster.await_ready(server));
    load.await_progress(100);
    load.stop();
    assert!(received(&cluster, 3) >= 1, "it has got there by a snapshot");
    assert_nothing_lost(&mut cluster, &history);
}

/// Proves that a server comes up to the others although they make many snapshots while it gets one, and compact their logs
/// whenever they may: what it needs behind the first that it was told of is kept until it has it.
#[test]
fn a_server_catches_up_while_the_others_go_on_compacting() {
    let mut cluster = start_slow_transfer(2, 200);
    let history = Arc::new(History::default());
    let mut load = Load::start(cluster.endpoints(), &history, FEW_CLIENTS);
    load.await_progress(100);
    cluster.await_ready(3);
    load.await_progress(100);
    load.stop();
    assert_nothing_lost(&mut cluster, &history);
}

const FEW_CLIENTS: LoadPlan = LoadPlan { writers: 1, counters: 1, readers: 0 };

/// A cluster whose server 3 has come back after the logs of the others were compacted, and gets a snapshot slowly.
fn start_slow_transfer(groups: u16, snapshot_entries: u64) -> Cluster {
    let mut cluster = plan(groups, snapshot_entries).engine("snapshot_transfer_mib_per_second", 1).start();
    let large = |n: u64| vec![n as u8; LARGE_VALUE];
    fill(&mut cluster.redis(1), LARGE_KEYS, 8, large, |_| ()).expect("all servers serve");
    cluster.kill(3);
    write_past_compaction(&cluster, &[1, 2], &[7; 4096]);
    cluster.launch(3);
    cluster
}

/// What server 3 says of a transfer to it of which some is there.
fn receiving(cluster: &Cluster) -> Option<SnapshotStatus> {
    let status = niagara_tests::status::status(&mut cluster.http(3)).ok()?.snapshot;
    (status.expected_bytes > 0).then_some(status)
}

/// Waits until some more has come, and gives how it stands.
fn await_step(cluster: &Cluster) -> SnapshotStatus {
    let before = wait::until("the transfer to go on", || receiving(cluster)).received_bytes;
    wait::until("some more to come", || {
        let now = receiving(cluster)?;
        // Less than before is another file's.
        (now.received_bytes < before || now.received_bytes >= before + STEP_BYTES).then_some(now)
    })
}
