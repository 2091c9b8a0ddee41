//! A server whose disk does not finish a write, while the others go on.

use std::fs;

use niagara_tests::filling::fill;
use niagara_tests::loop_disk::LoopDisk;
use niagara_tests::{ClusterPlan, wait};

/// What one group may have waiting for the disk.
const UNSYNCED_MIB: u64 = 8;
const GROUPS: u16 = 2;
/// Written while the disk is frozen.
const WRITTEN_MIB: u64 = 160;
/// Caches, buffers of connections, and what the allocator keeps, beside what waits for the disk.
const SLACK_MIB: u64 = 64;
const VALUE: usize = 64 << 10;

/// Proves that a disk which hangs under a server that leads costs neither its memory nor the cluster: it keeps what it may,
/// takes no more, hands its leaderships over and says so; and when the disk goes on, it catches up.
#[test]
fn a_frozen_disk_fills_no_memory_and_holds_up_nobody() {
    let plan = ClusterPlan::new(3, GROUPS).engine("unsynced_mib", UNSYNCED_MIB).engine("deadline_ms", 30_000);
    let mut cluster = plan.prepare();
    let data = cluster.data_dir(1);
    fs::create_dir_all(&data).expect("a directory can be created");
    let disk = match LoopDisk::mount(&data, &cluster.dir().join("disk.img"), 1024) {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: {reason}"),
    };
    cluster.servers().for_each(|server| cluster.launch(server));
    cluster.servers().for_each(|server| cluster.await_ready(server));
    let leads = |cluster: &niagara_tests::Cluster, server| {
        cluster.status(server).local.iter().filter(|group| group.leader == 1).count()
    };
    wait::until("server 1 to lead a group", || (leads(&cluster, 2) > 0).then_some(()));
    // The same few keys over and over: what the servers hold besides stays as it is.
    let write = |cluster: &niagara_tests::Cluster, mib: u64| {
        let values = mib * ((1 << 20) / VALUE as u64);
        let mut redis = cluster.redis(2);
        for from in (0..values).step_by(16) {
            fill(&mut redis, 0..16, 16, |n| vec![(n + from) as u8; VALUE], |_| ()).expect("a quorum goes on");
        }
    };
    write(&cluster, 32);
    wait::until("nothing to wait for the disk", || {
        (cluster.status(1).waiting.unsynced_bytes == 0).then_some(())
    });
    let before = cluster.process(1).resident_bytes();

    disk.freeze();
    write(&cluster, WRITTEN_MIB);
    wait::until("server 1 to lead no more", || (leads(&cluster, 2) == 0).then_some(()));
    let status = wait::until("an alarm", || {
        let status = cluster.status(1);
        status.alarms.iter().any(|alarm| alarm.contains("has not finished a write")).then_some(status)
    });
    let grown = cluster.process(1).resident_bytes().saturating_sub(before);
    println!("{} MiB more memory for {WRITTEN_MIB} MiB written, {:?}", grown >> 20, status.waiting);
    // A message may come on top of what is just within.
    assert!(
        status.waiting.unsynced_bytes <= u64::from(GROUPS) * ((UNSYNCED_MIB + 1) << 20),
        "{:?}",
        status.waiting
    );
    assert!(grown <= (u64::from(GROUPS) * UNSYNCED_MIB + SLACK_MIB) << 20, "{} MiB more memory", grown >> 20);

    disk.thaw();
    assert!(cluster.await_agreement() > 0);
    wait::until("no alarm", || cluster.status(1).alarms.is_empty().then_some(()));
    cluster.stop_all();
}
