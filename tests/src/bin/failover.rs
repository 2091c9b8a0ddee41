//! `failover`: how long writes pause when a server is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use niagara_tests::{Cluster, ClusterPlan, Value, say, wait};

/// Starts three real servers, kills one with SIGKILL, and measures for how long the clients of the two others get no write
/// acknowledged; again and again, with a leader as the victim each time.
///
/// Two clients write through each survivor, one write after the other. A pause is the longest time between two acknowledged
/// writes, of whichever client, around the kill.
#[derive(Parser)]
#[command(name = "failover", max_term_width = 100)]
struct Arguments {
    /// Raft groups of the cluster; several, separated by commas, are measured one after the other.
    #[arg(long, default_value = "1,4,8", value_name = "R,...", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=8))]
    groups: Vec<u16>,
    /// Kills for each number of groups.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Give each group a thread, as on a machine with cores for them, instead of what the servers choose.
    #[arg(long)]
    threads: bool,
}

/// Writes before and after a kill, in which a pause would show.
const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_millis(2500);
const WRITERS: usize = 2;

fn main() {
    let Arguments { groups, kills, threads } = Arguments::parse();
    say!("  R  kills  pause of writes, ms: median   worst   least");
    for groups in groups {
        let mut cluster = ClusterPlan::new(3, groups);
        if !threads {
            cluster = cluster.engine("threads", 1);
        }
        let mut cluster = cluster.start();
        let mut pauses: Vec<f64> = (0..kills).map(|_| pause_of(&mut cluster)).collect();
        cluster.await_agreement();
        pauses.sort_by(f64::total_cmp);
        let (least, worst) = (pauses[0], pauses[pauses.len() - 1]);
        say!("{groups:>3}  {kills:>5}  {:>28.0}  {worst:>6.0}  {least:>6.0}", pauses[pauses.len() / 2]);
    }
}

/// Kills the server that should lead the first group when it leads all that it should, and returns the pause in milliseconds.
fn pause_of(cluster: &mut Cluster) -> f64 {
    let victim = 1;
    wait::until("server 1 to lead group 1, and every group to have a leader", || {
        let local = cluster.status(victim).local;
        (local[0].leader == victim && local.iter().all(|group| group.leader != 0)).then_some(())
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<JoinHandle<Vec<Instant>>> = cluster
        .servers()
        .filter(|server| *server != victim)
        .flat_map(|server| (0..WRITERS).map(move |writer| (server, writer)))
        .map(|(server, writer)| {
            let (mut redis, stop) = (cluster.redis(server), Arc::clone(&stop));
            thread::spawn(move || {
                let key = format!("failover-{server}-{writer}");
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
    let killed = Instant::now();
    cluster.kill(victim);
    thread::sleep(AFTER);
    stop.store(true, SeqCst);
    let mut acknowledged: Vec<Instant> = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.join().expect("why a writer failed stands above"));
    }
    cluster.restart(victim);
    longest_gap(acknowledged, killed).as_secs_f64() * 1000.0
}

/// The longest time between two moments in a row, of which the second is after the kill.
fn longest_gap(mut moments: Vec<Instant>, killed: Instant) -> Duration {
    moments.sort_unstable();
    let gaps = moments.windows(2).filter(|pair| pair[1] > killed).map(|pair| pair[1] - pair[0]);
    gaps.max().expect("writes go on after a kill")
}
