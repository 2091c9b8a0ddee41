//! What an idle cluster costs.

use std::thread;
use std::time::{Duration, Instant};

use niagara_tests::ClusterPlan;

/// Times a second that a thread of an idle server may go to sleep: four groups, the sequencer and their clocks step 20 times a second each,
/// and heartbeats come and go. One that is woken for nothing, or looks again and again, sleeps thousands of times.
const MOST_SLEEPS: f64 = 400.0;
/// A thread that does not sleep at all uses a whole core. What three servers are charged for is 1.4 % of one on a good day, and was
/// seen to be six times as much where a virtual machine's neighbours are busy.
const MOST_CPU: f64 = 0.3;

/// Proves that idle servers sleep: three of them, with four groups each, together use next to no processor time, and are woken by
/// their clocks and by heartbeats only.
#[test]
fn idle_servers_sleep() {
    let mut cluster = ClusterPlan::new(3, 4).start();
    thread::sleep(Duration::from_secs(3));
    let servers: Vec<u64> = cluster.servers().collect();
    let mut used = || {
        let mut processes = servers.iter().map(|server| {
            let process = cluster.process(*server);
            (process.cpu_seconds(), process.sleeps() as f64)
        });
        processes.by_ref().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    };
    let (began, before) = (Instant::now(), used());
    thread::sleep(Duration::from_secs(10));
    let (after, seconds) = (used(), began.elapsed().as_secs_f64());
    let (share, sleeps) = ((after.0 - before.0) / seconds, (after.1 - before.1) / seconds / 3.0);
    println!(
        "three idle servers with four groups use {:.2} % of one core, and each goes to sleep {sleeps:.0} times a second",
        share * 100.0
    );
    assert!(share < MOST_CPU, "three idle servers use {:.2} % of one core", share * 100.0);
    assert!(sleeps < MOST_SLEEPS, "an idle server goes to sleep {sleeps:.0} times a second");
}
