//! Everything that strangers can do to a cluster's ports at once, beside a customer who behaves.
//!
//! An [`AttackPlan`] starts three real servers, measures a customer for a while, lets strangers loose for as long again, and
//! measures the same customer meanwhile. Strangers have addresses of their own on the loopback (127.0.0.2 and so on), so the
//! servers can tell them from the customer, who is at 127.0.0.1. What was seen is a [`Report`], which says whether it is as it
//! has to be. `cargo run --release -p niagara-tests --bin attack` runs it.

mod customer;
mod elsewhere;
mod processors;
mod report;
mod strangers;
mod watch;

use std::thread;
use std::time::{Duration, Instant};

use crate::{Answer, Client, Cluster, ClusterPlan};

use customer::Customer;
use elsewhere::Elsewhere;
use strangers::{Attacked, Strangers};
use watch::Watch;

pub use customer::Seen;
pub use processors::{Processors, Used};
pub use report::Report;
pub use strangers::Done;

/// What is to be done, and for how long. Numbers are for all servers together.
#[derive(Clone, Copy, Debug)]
pub struct AttackPlan {
    /// How long the customer is measured alone, and then again among strangers.
    pub time: Duration,
    /// Connections that say nothing.
    pub idle: usize,
    /// Connections that send a long request, a byte a second, after a first part that takes memory.
    pub slow_writers: usize,
    /// Connections that ask for more than fits, and read none of it.
    pub deaf_readers: usize,
    /// New connections a second that send rubbish.
    pub rubbish_per_second: u32,
    /// The servers' `all_clients_mib`.
    pub budget_mib: u64,
    /// The customer's requests a second at each server.
    pub rate: f64,
    /// The strangers attack ports that are no server's: what the customer sees then is not the servers' part.
    pub elsewhere: bool,
}

/// Strangers may take this many more connections than are planned as idle.
const MORE_CONNECTIONS: usize = 1024;

/// The value that deaf readers ask for.
const LARGE: &str = "large";
const LARGE_BYTES: usize = 1 << 20;

/// What this program opens besides the connections of strangers, at most.
const OTHER_FILES: usize = 512;

impl AttackPlan {
    /// How many files this program will have open.
    pub fn open_files(&self) -> u64 {
        let passing = self.rubbish_per_second as usize;
        let connections = self.idle + self.slow_writers + self.deaf_readers + passing;
        // Elsewhere is here: both ends of each connection.
        (OTHER_FILES + if self.elsewhere { 2 * connections } else { connections }) as u64
    }

    /// Does it.
    ///
    /// # Panics
    /// When the cluster does not start, or a server answers what it must not answer.
    pub fn run(&self, mut progress: impl FnMut(&str)) -> Report {
        let mut cluster = self.start();
        progress("the customer alone");
        let alone = self.measure(&mut cluster, |_| {});
        progress("the customer among strangers");
        let elsewhere = self.elsewhere.then(|| Elsewhere::of(cluster.endpoints()));
        let attacked = elsewhere
            .as_ref()
            .map_or_else(|| Attacked::of(cluster.endpoints()), |other| other.attacked.clone());
        let strangers = Strangers::start(self, attacked);
        // The first moments, in which thousands connect, are an attack like the rest.
        let mut done = Done::default();
        let among = self.measure(&mut cluster, |at_work| {
            if at_work {
                done = strangers.done();
            }
        });
        strangers.stop();
        if let Some(elsewhere) = elsewhere {
            elsewhere.stop();
        }
        progress("after the strangers have gone");
        let answers = cluster.endpoints().iter().all(|endpoint| serves(endpoint.server, &cluster));
        let panicked: Vec<u64> = cluster.servers().filter(|at| cluster.log(*at).contains("panic")).collect();
        let report = Report {
            plan: *self,
            calm: alone.seen,
            attacked: among.seen,
            memory_before: alone.memory,
            memory: among.memory,
            processors_before: alone.processors,
            processors: among.processors,
            done,
            answers,
            panicked,
        };
        cluster.stop_all();
        report
    }

    fn start(&self) -> Cluster {
        let servers = 3;
        let per_server = self.idle / servers + MORE_CONNECTIONS;
        let leak = |number: u64| -> &'static str { Box::leak(number.to_string().into_boxed_str()) };
        let cluster = ClusterPlan::new(servers as u16, 2)
            .front("all_clients_mib", leak(self.budget_mib))
            .front("max_connections", leak(2 * per_server as u64))
            .front("max_connections_per_address", leak(per_server as u64))
            .start();
        for endpoint in cluster.endpoints() {
            let [_, mut redis] = Client::both(endpoint);
            assert_eq!(redis.set(LARGE, &vec![b'x'; LARGE_BYTES]), Answer::Done(()));
        }
        cluster
    }

    /// What the customer sees, and what the servers hold, for the plan's time.
    fn measure(&self, cluster: &mut Cluster, mut look: impl FnMut(bool)) -> Measured {
        let customers: Vec<Customer> =
            cluster.endpoints().iter().map(|endpoint| Customer::start(endpoint, self.rate)).collect();
        let begin = Processors::now(cluster);
        let end = Instant::now() + self.time;
        let mut watch = Watch::default();
        while Instant::now() < end {
            watch.look(cluster);
            look(true);
            thread::sleep(Duration::from_millis(500));
        }
        look(false);
        let processors = Processors::now(cluster) - begin;
        let mut seen = Seen::default();
        customers.into_iter().for_each(|customer| seen.add(&customer.stop()));
        Measured { seen, memory: watch, processors }
    }
}

/// What was seen in the plan's time.
struct Measured {
    seen: Seen,
    memory: Watch,
    processors: Processors,
}

/// Whether a server takes a write and shows it, over both protocols, to somebody who comes anew.
fn serves(server: u64, cluster: &Cluster) -> bool {
    Client::both(cluster.endpoint(server)).into_iter().all(|mut client| {
        let value = format!("by {server}").into_bytes();
        client.set("afterwards", &value) == Answer::Done(())
            && client.get("afterwards") == Answer::Done(Some(value))
    })
}
