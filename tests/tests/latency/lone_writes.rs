//! How many one-way delays a lone write takes.
//!
//! A command that is proposed where its group's leader is needs a round trip to a quorum, whatever R: idle groups have skipped
//! ahead, so that the merge waits for none of them. Where leaders are spread and another group's slot is missing, its leader hears
//! of the level with the entry itself (one delay), commits a skip (two), and says so (one).

use std::collections::BTreeMap;

use super::cluster::{Cluster, DELAY, Plan, WRITE};

/// How long a lone write takes that is proposed at this server, in microseconds.
fn lone_write(cluster: &mut Cluster, origin: usize) -> u64 {
    let begun = cluster.now;
    cluster.propose(origin, begun);
    cluster.run(origin);
    while cluster.done.is_empty() {
        cluster.step();
    }
    let (token, _, at) = cluster.done.pop().expect("it has been looked for");
    assert_eq!((token, cluster.done.len()), (begun, 0));
    at - begun
}

#[test]
fn where_all_leaders_are_a_lone_write_takes_two_delays_whatever_r() {
    for groups in [1, 2, 4, 8] {
        let mut cluster = Cluster::new(Plan::new(groups), |server| server == 0);
        (0..groups).for_each(|group| assert_eq!(cluster.leaders(group), [0], "R = {groups}"));
        for write in 0..3000 {
            assert_eq!(lone_write(&mut cluster, 0), 2 * DELAY + WRITE, "R = {groups}, write {write}");
            // A lone write stands alone: what it sets off has ended when the next begins.
            cluster.run_until(cluster.now + 10 * DELAY);
            if write % 10 == 0 {
                cluster.tick(&|server| server == 0);
            }
        }
    }
}

#[test]
fn where_leaders_are_spread_a_lone_write_takes_at_most_four_delays() {
    for groups in [2, 4, 8] {
        let mut cluster = Cluster::new(Plan::new(groups), |_| true);
        (0..groups).for_each(|group| assert_eq!(cluster.leaders(group), [group % 3], "R = {groups}"));
        let mut taken = BTreeMap::<u64, usize>::new();
        for write in 0..3000 {
            let took = lone_write(&mut cluster, 0);
            assert!(took <= 4 * DELAY + 2 * WRITE, "R = {groups}, write {write}: {took} us");
            *taken.entry(took).or_default() += 1;
            cluster.run_until(cluster.now + 10 * DELAY);
            if write % 10 == 0 {
                cluster.tick(&|_| true);
            }
        }
        // Idle groups are ahead most of the time, so that hardly any write waits for them.
        let alone = taken.get(&(2 * DELAY + WRITE)).copied().unwrap_or(0);
        assert!(alone >= 2900, "R = {groups}: {taken:?}");
    }
}
