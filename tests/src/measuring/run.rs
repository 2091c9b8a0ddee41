//! The measurement from start to end: load, then one phase after the other.

use std::time::{Duration, Instant};

use niagara_engine::Durability;

use super::report::{Made, Restart, SnapshotReport};
use super::{OpenLoop, Phase, SetCommand, loading};
use crate::metrics::Metrics;
use crate::status::status;
use crate::{Cluster, ClusterPlan, wait};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct SnapshotRun {
    /// Keys to load.
    pub keys: u64,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// Commands per second afterwards, in all.
    pub rate: f64,
    /// How long to measure without a snapshot.
    pub time: Duration,
    /// Raft groups of the cluster.
    pub groups: u16,
    /// What acknowledged writes survive.
    pub durability: Durability,
}

const SERVERS: u16 = 3;
/// The server that is killed. No client talks to it, and with up to two groups it leads none, so that what the load shows is
/// what snapshots and transfers cost, not an election.
const KILLED: u64 = SERVERS as u64;
/// What each log file takes in production.
const SEGMENT_MIB: u64 = 16;

impl SnapshotRun {
    /// Measures.
    ///
    /// # Panics
    /// When the cluster does not do what it must.
    pub fn run(&self) -> SnapshotReport {
        let plan = ClusterPlan::new(SERVERS, self.groups).durability(self.durability);
        let mut cluster = plan.engine("segment_mib", SEGMENT_MIB).start();
        let began = Instant::now();
        loading::load(cluster.endpoints(), self.keys, self.value_bytes);
        let load_seconds = began.elapsed().as_secs_f64();
        settle(&cluster);

        let takers: Vec<_> = cluster.endpoints().iter().filter(|at| at.server != KILLED).cloned().collect();
        let writers = OpenLoop::start(&takers, self.rate, self.keys, &SetCommand::new(self.value_bytes));
        let mut report = SnapshotReport { load_seconds, ..SnapshotReport::default() };
        // The first seconds fill caches and queues.
        Phase::begin("warm-up", &mut cluster, &writers).pass(&mut cluster, Duration::from_secs(3));

        let mut phase = Phase::begin("no snapshot", &mut cluster, &writers);
        phase.pass(&mut cluster, self.time);
        report.phases.push(phase.end(&mut cluster, &writers));

        let mut phase = Phase::begin("one after the other", &mut cluster, &writers);
        for server in cluster.servers() {
            report.made.extend(make(&mut phase, &mut cluster, &[server]));
        }
        report.phases.push(phase.end(&mut cluster, &writers));

        let mut phase = Phase::begin("all at once", &mut cluster, &writers);
        let all: Vec<u64> = cluster.servers().collect();
        report.made.extend(make(&mut phase, &mut cluster, &all));
        report.phases.push(phase.end(&mut cluster, &writers));

        let mut phase = Phase::begin("killed and restarted", &mut cluster, &writers);
        cluster.kill(KILLED);
        report.restart = start_again(&mut phase, &mut cluster);
        report.phases.push(phase.end(&mut cluster, &writers));

        cluster.kill(KILLED);
        let mut phase = Phase::begin("others compact", &mut cluster, &writers);
        // The logs are kept since the older of two snapshots.
        for _ in 0..2 {
            make(&mut phase, &mut cluster, &[1, 2]);
        }
        report.phases.push(phase.end(&mut cluster, &writers));
        let mut phase = Phase::begin("transfer", &mut cluster, &writers);
        report.transfer = start_again(&mut phase, &mut cluster);
        report.phases.push(phase.end(&mut cluster, &writers));

        writers.stop();
        cluster.await_agreement();
        cluster.stop_all();
        report
    }
}

/// Waits until nothing but idleness is left of the load, with a snapshot that holds all of it.
fn settle(cluster: &Cluster) {
    cluster.await_agreement();
    for server in cluster.servers() {
        ask(cluster, server);
    }
    let quiet = |server| {
        let snapshot = cluster.status(server).snapshot;
        snapshot.position > 0 && !snapshot.writing && !snapshot.wanted
    };
    let end = Instant::now() + Duration::from_secs(600);
    while !cluster.servers().all(quiet) {
        assert!(Instant::now() < end, "snapshots of what was loaded are never done");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn ask(cluster: &Cluster, server: u64) {
    let answer = cluster.http(server).request("POST", "/snapshot", &[], b"").expect("the server runs");
    assert_eq!(answer.status, 202, "POST /snapshot: {}", answer.text());
}

/// Has these servers make a snapshot at the same time, and waits for all.
fn make(phase: &mut Phase, cluster: &mut Cluster, servers: &[u64]) -> Vec<Made> {
    let taken = |cluster: &Cluster, server| cluster.status(server).snapshot.taken;
    let before: Vec<u64> = servers.iter().map(|server| taken(cluster, *server)).collect();
    let began = Instant::now();
    servers.iter().for_each(|server| ask(cluster, *server));
    let mut made: Vec<Made> = Vec::new();
    phase.watch(cluster, "snapshots", |cluster| {
        for (server, before) in servers.iter().zip(&before) {
            let done = made.iter().any(|made| made.server == *server);
            if !done && taken(cluster, *server) > *before {
                let bytes = cluster.status(*server).snapshot.bytes;
                made.push(Made { server: *server, bytes, seconds: began.elapsed().as_secs_f64() });
            }
        }
        (made.len() == servers.len()).then_some(())
    });
    made
}

/// Starts the killed server, and waits until it has executed what the others have.
fn start_again(phase: &mut Phase, cluster: &mut Cluster) -> Restart {
    let began = Instant::now();
    cluster.launch(KILLED);
    let mut restart = Restart::default();
    phase.watch(cluster, "a server to catch up", |cluster| {
        let mut http = cluster.http(KILLED);
        let there = cluster.status(1).applied;
        let here = status(&mut http).ok()?;
        if restart.answers_seconds == 0.0 {
            restart.answers_seconds = began.elapsed().as_secs_f64();
            restart.behind = there.saturating_sub(here.applied);
        }
        restart.transfer_bytes = restart.transfer_bytes.max(here.snapshot.received_bytes);
        (here.applied >= there).then_some(())
    });
    restart.caught_up_seconds = began.elapsed().as_secs_f64();
    wait::until("a strong read", || {
        let ready = cluster.http(KILLED).request("GET", "/readyz", &[], b"");
        ready.is_ok_and(|answer| answer.status == 200).then_some(())
    });
    restart.ready_seconds = began.elapsed().as_secs_f64();
    restart.received =
        Metrics::read(&mut cluster.http(KILLED)).sum("niagara_snapshots_received_total") as u64;
    restart.resident = cluster.process(KILLED).resident_bytes();
    restart
}
