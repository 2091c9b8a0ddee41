//! How much of four links' capacity writes use, where leaders are spread over three servers.
//!
//! A leader sends two copies of each command over its group's link, and each link carries so many bytes a second. So four groups can
//! take four times the commands of one, if each always has some to send: server 1 leads two of them, for a third of the clients.

use super::cluster::{Cluster, Plan, SERVERS};

const GROUPS: usize = 4;
/// 75 Mbit/s.
const LINK: u64 = 75_000_000 / 8;
/// A value of 2 KiB with its key.
const COMMAND: usize = 2048 + 16;
const SECOND: u64 = 1_000_000;

/// Clients with a command in flight each.
struct ClosedLoop {
    clients: u64,
    /// The most time that a client takes for its next command, in microseconds.
    thinks: u64,
    seconds: u64,
}

/// Drives a cluster, and returns how busy the leaders' uplinks were, least busy first, in percent of the time, and the commands
/// per second.
fn drive(plan: Plan, load: &ClosedLoop) -> (Vec<u64>, u64) {
    let mut cluster = Cluster::new(plan, |_| true);
    (0..plan.groups).for_each(|group| assert_eq!(cluster.leaders(group), [group % SERVERS as usize]));
    for server in &mut cluster.servers {
        server.command = vec![7; COMMAND];
    }
    let mut chance = 1_u64;
    let mut think = move || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % load.thinks + 1
    };
    for client in 0..load.clients {
        cluster.request(think(), (client % SERVERS) as usize, client);
    }
    let busy = |cluster: &Cluster| -> Vec<u64> {
        (0..plan.groups).map(|group| cluster.servers[group % SERVERS as usize].uplinks[group].busy).collect()
    };
    let warm = cluster.now + SECOND;
    let end = warm + load.seconds * SECOND;
    let (mut before, mut done, mut next_tick) = (Vec::new(), 0, cluster.now);
    while cluster.now < end {
        cluster.step();
        if before.is_empty() && cluster.now >= warm {
            (before, done) = (busy(&cluster), 0);
        }
        for (client, server, _) in std::mem::take(&mut cluster.done) {
            done += 1;
            cluster.request(think(), server, client);
        }
        if cluster.now >= next_tick {
            next_tick = cluster.now + 50_000;
            cluster.tick_now(&|_| true);
        }
    }
    let mut used: Vec<u64> = busy(&cluster)
        .iter()
        .zip(&before)
        .map(|(now, before)| (now - before) * 100 / (load.seconds * SECOND))
        .collect();
    used.sort_unstable();
    (used, done / load.seconds)
}

/// A cluster with a thread for each group, or with one for all, driven by so many clients.
fn used(threads: u16, clients: u64) -> (Vec<u64>, u64) {
    let plan = Plan { groups: GROUPS, threads, thin: Some(LINK), delay: 100 };
    let (used, done) = drive(plan, &ClosedLoop { clients, thinks: 1000, seconds: 4 });
    println!(
        "{threads} threads, {clients} clients: {used:?} percent of the links, {done} commands per second"
    );
    (used, done)
}

fn one_link() -> u64 {
    let plan = Plan { groups: 1, threads: 1, thin: Some(LINK), delay: 100 };
    let (used, done) = drive(plan, &ClosedLoop { clients: 384, thinks: 1000, seconds: 4 });
    assert!(used[0] >= 98, "one link: {used:?}");
    done
}

#[test]
fn writes_use_four_links_whether_groups_share_threads_or_not() {
    let one = one_link();
    for threads in [4, 1] {
        let (links, done) = used(threads, 768);
        assert!(links.iter().sum::<u64>() >= 4 * 95, "{links:?}");
        assert!(done * 10 >= one * 38, "{done} are less than 3.8 times {one}");
    }
}

#[test]
fn few_commands_in_flight_use_most_of_four_links() {
    let (links, _) = used(4, 384);
    assert!(links.iter().sum::<u64>() >= 4 * 90, "{links:?}");
    let (links, _) = used(1, 384);
    assert!(links.iter().sum::<u64>() >= 4 * 82, "{links:?}");
}

#[test]
fn under_light_load_groups_that_share_a_thread_use_one_of_them() {
    let (links, _) = used(1, 48);
    assert_eq!(links[..3], [0, 0, 0], "{links:?}");
}
