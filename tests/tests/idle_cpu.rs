//! What an idle cluster costs.

use std::thread;
use std::time::{Duration, Instant};

use niagara_tests::ClusterPlan;

/// The aim is 3 % of one core; the rest is room for what else a busy machine charges to a process.
const MOST: f64 = 0.05;

/// Proves that idle servers sleep: three of them, with four groups each, together use next to no processor time. This is
/// time that they were charged for, not time that passed, so a busy machine does not disturb it.
#[test]
fn idle_servers_sleep() {
    let mut cluster = ClusterPlan::new(3, 4).start();
    thread::sleep(Duration::from_secs(3));
    let servers: Vec<u64> = cluster.servers().collect();
    let mut used = || servers.iter().map(|server| cluster.process(*server).cpu_seconds()).sum::<f64>();
    let (began, before) = (Instant::now(), used());
    thread::sleep(Duration::from_secs(10));
    let share = (used() - before) / began.elapsed().as_secs_f64();
    println!("three idle servers with four groups use {:.2} % of one core", share * 100.0);
    assert!(share < MOST, "three idle servers use {:.2} % of one core", share * 100.0);
}
