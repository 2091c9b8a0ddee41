//! A server that stands still for a while, and does not know it.

use std::sync::Arc;

use niagara_engine::{Reads, Role};
use niagara_tests::metrics::Metrics;
use niagara_tests::{
    Answer, Client, Cluster, ClusterPlan, Endpoint, History, Http, Load, LoadPlan, Register, Resp, Value,
    rounds, wait,
};

/// Registers that the others write while the server stands still.
const REGISTERS: usize = 20;
/// Acknowledged writes before, during and after a pause.
const PROGRESS: u64 = 100;
const LOAD: LoadPlan = LoadPlan { writers: 1, counters: 1, readers: 1 };

/// Proves that a leader which is paused is replaced, and that when it goes on, still thinking that it leads, it answers no
/// strong read from its old state: not even reads that have waited in its sockets, before any message from the others.
/// ReadIndex asks a quorum (Ongaro's thesis on Raft, section 6.4).
#[test]
fn a_paused_leader_gives_no_stale_read() {
    pause_leaders(ClusterPlan::new(3, 4).start());
}

/// Proves the same for a leader that has answered reads by its lease until it was paused: it looks at the clock.
#[test]
fn a_paused_leader_gives_no_stale_read_by_its_lease() {
    let cluster = ClusterPlan::new(3, 1).reads(Reads::Lease).start();
    wait::until("reads to be answered by a lease", || {
        let read = |server| {
            let mut http = cluster.http(server);
            http.get("nothing", "lease").expect("a running server answers");
            Metrics::read(&mut http).sum("niagara_lease_reads_total") > 0.0
        };
        cluster.servers().any(read).then_some(())
    });
    pause_leaders(cluster);
}

fn pause_leaders(mut cluster: Cluster) {
    let history = Arc::new(History::default());
    for _ in 0..rounds(3) {
        let mut load = Load::start(cluster.endpoints(), &history, LOAD);
        load.await_progress(PROGRESS);
        load.stop();
        pause_a_leader(&mut cluster, &history);
    }
    cluster.stop_all();
}

fn pause_a_leader(cluster: &mut Cluster, history: &Arc<History>) {
    let leads = |server: u64| cluster.status(server).local.iter().any(|group| group.role == Role::Leader);
    let paused = wait::until("a server that leads", || cluster.servers().find(|server| leads(*server)));
    let others: Vec<Endpoint> =
        cluster.endpoints().iter().filter(|endpoint| endpoint.server != paused).cloned().collect();
    let mut reads = WaitingReads::of(cluster.endpoint(paused), history);

    cluster.pause(paused);
    let mut load = Load::start(&others, history, LOAD);
    load.await_progress(PROGRESS);
    reads.write_through(&others[0]);
    let began = reads.send();
    cluster.resume(paused);
    reads.check(&began);

    load.await_progress(PROGRESS);
    load.stop();
    cluster.await_ready(paused);
    for endpoint in cluster.endpoints() {
        Client::both(endpoint).iter_mut().for_each(|client| history.verify(client));
    }
    assert!(cluster.await_agreement() > 0, "the servers' logs can be compared");
}

/// Reads on connections from before the pause, whose clients have not been told that anything happened.
struct WaitingReads {
    http: Http,
    redis: Resp,
    registers: Vec<Arc<Register>>,
}

impl WaitingReads {
    /// Connects to a server, and writes registers through it.
    fn of(endpoint: &Endpoint, history: &History) -> WaitingReads {
        let (mut http, mut redis) = (endpoint.http(), endpoint.redis());
        http.get("nothing", "strong").expect("nothing has failed yet");
        redis.command(&["GET", "nothing"]).expect("nothing has failed yet");
        let registers: Vec<Arc<Register>> = (0..REGISTERS).map(|_| history.register()).collect();
        let [mut client, _] = Client::both(endpoint);
        for register in &registers {
            assert_eq!(register.write(&mut client), Answer::Done(()), "nothing has failed yet");
        }
        WaitingReads { http, redis, registers }
    }

    /// Writes all registers again through another server.
    fn write_through(&self, endpoint: &Endpoint) {
        let [mut client, _] = Client::both(endpoint);
        for register in &self.registers {
            // Of a write whose outcome is unknown nothing more is known than before: it need not be seen.
            wait::until("a write through another server", || {
                (register.write(&mut client) != Answer::Refused).then_some(())
            });
        }
        let written = self.registers.iter().filter(|register| register.begin_read() >= 2).count();
        assert!(written > 0, "the others have written something that a stale read would miss");
    }

    /// Puts reads into the server's sockets; the least value that each must return.
    fn send(&mut self) -> Vec<u64> {
        let began = self.registers.iter().map(|register| register.begin_read()).collect();
        for register in &self.registers {
            let get = format!("GET /kv/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", register.key());
            self.http.send(get.as_bytes()).expect("the system takes what the server does not read");
            let get = format!("GET {}\r\n", register.key());
            self.redis.send(get.as_bytes()).expect("the system takes what the server does not read");
        }
        began
    }

    /// Every answer is fresh, or says that the server does not know.
    fn check(&mut self, began: &[u64]) {
        for (register, began) in self.registers.iter().zip(began) {
            let answer = self.http.receive(false).expect("an answer to each request");
            match answer.status {
                200 => assert_eq!(register.end_read(*began, Some(&answer.body)), Ok(()), "over HTTP"),
                503 => {}
                other => panic!("a strong read was answered {other}: {}", answer.text()),
            }
            match self.redis.receive().expect("a reply to each command") {
                Value::Bulk(bytes) => {
                    assert_eq!(register.end_read(*began, Some(&bytes)), Ok(()), "over Redis");
                }
                Value::Error(text) if text.starts_with("NOQUORUM ") => {}
                other => panic!("a strong read was answered {other:?}"),
            }
        }
    }
}
