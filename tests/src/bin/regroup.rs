//! `regroup`: how long writes pause when the number of groups changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use niagara_tests::{Cluster, ClusterPlan, Value, say, wait};

/// Starts three real servers, changes their number of groups again and again, and measures for how long no write is
/// acknowledged at each change.
///
/// One client writes through each server, one small write after the other. A pause is the longest time between two acknowledged
/// writes of a client around the change, of the client that waits longest.
#[derive(Parser)]
#[command(name = "regroup", max_term_width = 100)]
struct Arguments {
    /// Numbers of groups, separated by commas: the first one to begin with, the others in turn.
    #[arg(long, default_value = "1,8,3", value_name = "R,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=8))]
    groups: Vec<u16>,
    /// Changes to measure.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// Give each group a thread, as on a machine with cores for them, instead of one for all.
    #[arg(long)]
    threads: bool,
}

/// Writes before and after a change, in which a pause would show.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_millis(1500);

fn main() {
    let Arguments { groups, changes, threads } = Arguments::parse();
    let most = groups.iter().copied().max().expect("there is a default");
    let plan = ClusterPlan::new(3, groups[0]).engine("threads", if threads { most.into() } else { 1 });
    let mut cluster = plan.start();
    let mut pauses = Vec::new();
    let mut ordinary = Vec::new();
    for wanted in groups.iter().cycle().skip(1).take(changes as usize) {
        let (pause, before) = pause_of(&mut cluster, *wanted);
        say!("to {wanted} groups: {:.1} ms; an ordinary write takes {:.2} ms", ms(pause), ms(before));
        pauses.push(pause);
        ordinary.push(before);
    }
    cluster.await_agreement();
    pauses.sort_unstable();
    ordinary.sort_unstable();
    let (median, worst) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
    say!("{changes} changes: pause of writes {:.1} ms in the median, {:.1} at worst", ms(median), ms(worst));
    say!("an ordinary write: {:.2} ms in the median", ms(ordinary[ordinary.len() / 2]));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Changes the number of groups; returns the pause, and how long an ordinary write took before.
fn pause_of(cluster: &mut Cluster, groups: u16) -> (Duration, Duration) {
    wait::until("every group to have a leader", || {
        let led = |server| cluster.status(server).local.iter().all(|group| group.leader != 0);
        cluster.servers().all(led).then_some(())
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<JoinHandle<Vec<Instant>>> = cluster
        .servers()
        .map(|server| {
            let (mut redis, stop) = (cluster.redis(server), Arc::clone(&stop));
            thread::spawn(move || {
                let key = format!("regroup-{server}");
                let mut acknowledged = Vec::new();
                while !stop.load(SeqCst) {
                    if let Ok(Value::Simple(_)) = redis.command(&["SET", &key, "value"]) {
                        acknowledged.push(Instant::now());
                    }
                }
                acknowledged
            })
        })
        .collect();
    thread::sleep(BEFORE);
    let asked = Instant::now();
    ask(cluster, groups);
    thread::sleep(AFTER);
    stop.store(true, SeqCst);
    let mut pause = Duration::ZERO;
    let mut before = Vec::new();
    for writer in writers {
        let acknowledged = writer.join().expect("why a writer failed stands above");
        let gaps = acknowledged.windows(2).map(|pair| (pair[1], pair[1] - pair[0]));
        let (earlier, later): (Vec<_>, Vec<_>) = gaps.partition(|(at, _)| *at < asked);
        before.extend(earlier.into_iter().map(|(_, gap)| gap));
        pause = pause.max(later.into_iter().map(|(_, gap)| gap).max().expect("writes go on after a change"));
    }
    before.sort_unstable();
    (pause, before[before.len() / 2])
}

fn ask(cluster: &Cluster, groups: u16) {
    let wish = format!("{{\"groups\":{groups}}}");
    wait::until("a server to take the request", || {
        let taken = |server| {
            let answer = cluster.http(server).request("POST", "/groups", &[], wish.as_bytes());
            answer.is_ok_and(|answer| answer.status == 202)
        };
        cluster.servers().any(taken).then_some(())
    });
}
