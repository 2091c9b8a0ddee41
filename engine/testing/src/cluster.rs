//! Real engines with threads and sockets, on loopback.

use std::time::{Duration, Instant};
use std::{fmt, io};

use niagara_engine::{Client, Config, Durability, Engine, StartError, StateMachine};
use tempfile::TempDir;

/// How long [`Cluster::wait_ready`] waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// Groups of a local cluster.
const GROUPS: u16 = 2;

/// Engines in this process that form a cluster, with files in a directory that goes with it. Dropping it stops
/// them.
///
/// Here `Counter` is a state machine of yours, which counts commands:
///
/// ```
/// # use niagara_engine::internals::example::Counter;
/// use niagara_testing::local_cluster;
///
/// let mut cluster = local_cluster(3, |_server| Counter::default())?;
/// cluster.wait_ready()?;
/// assert_eq!(cluster.client(1).propose("count".into())?.wait()?.reply, 1);
///
/// cluster.kill(1);
/// cluster.wait_ready()?;
/// assert_eq!(cluster.client(2).propose("count".into())?.wait()?.reply, 2);
/// cluster.restart(1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster<S: StateMachine> {
    make: Box<dyn Fn(u64) -> S>,
    /// By server. Their ports are bound before the first start.
    configs: Vec<Config>,
    /// By server; `None` for one that is down.
    engines: Vec<Option<Engine<S>>>,
    /// Removed when the cluster is dropped, after the engines.
    _directory: TempDir,
}

/// Why a local cluster does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// This machine gives no free ports or no temporary directory.
    #[error("cannot get ports on 127.0.0.1 or a temporary directory: {0}")]
    Machine(#[from] io::Error),
    /// A server does not start.
    #[error("server {server} does not start: {source}")]
    Start {
        /// The server.
        server: u64,
        /// Why.
        source: StartError,
    },
    /// No quorum of servers is ready in time.
    #[error("server {server} knows no leaders after {} s: are enough servers running?", PATIENCE.as_secs())]
    NotReady {
        /// A server that is not ready.
        server: u64,
    },
}

/// Starts a cluster of `servers` engines with two groups, numbered from 1, each with a state machine from
/// `make`. A killed server finds its files again when it is [restarted](Cluster::restart).
///
/// # Errors
/// If the machine gives no ports or directory, or an engine does not start.
pub fn local_cluster<S: StateMachine>(
    servers: u16,
    make: impl Fn(u64) -> S + 'static,
) -> Result<Cluster<S>, ClusterError> {
    let directory = tempfile::tempdir()?;
    let mut configs = Config::local(servers, GROUPS)?;
    for config in &mut configs {
        config.data_dir = directory.path().join(format!("server-{}", config.server));
        // A test outlives no loss of power, so it need not wait for the disk.
        config.durability = Durability::Os;
    }
    let engines = configs.iter().map(|_| None).collect();
    let mut cluster = Cluster { make: Box::new(make), configs, engines, _directory: directory };
    for server in cluster.servers() {
        cluster.restart(server)?;
    }
    Ok(cluster)
}

impl<S: StateMachine> Cluster<S> {
    /// A client of a server.
    ///
    /// # Panics
    /// If the server was killed and not restarted, or there is no such server.
    pub fn client(&self, server: u64) -> Client<S> {
        let engine = self.engines[self.at(server)].as_ref();
        engine.unwrap_or_else(|| panic!("server {server} was killed: restart it first")).client()
    }

    /// Waits until every running server knows a leader of each group.
    ///
    /// # Errors
    /// After 30 seconds.
    pub fn wait_ready(&self) -> Result<(), ClusterError> {
        let end = Instant::now() + PATIENCE;
        for (engine, server) in self.engines.iter().zip(1..) {
            while engine.as_ref().is_some_and(|engine| !engine.client().has_quorum()) {
                if Instant::now() > end {
                    return Err(ClusterError::NotReady { server });
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Stops a server at once; does nothing if it is down. Its clients' commands end as
    /// [`Unknown`](niagara_engine::Unknown). Threads cannot be killed, so what it has accepted reaches its
    /// files first: to test what a real crash leaves, use a [`Simulation`](crate::Simulation).
    pub fn kill(&mut self, server: u64) {
        let at = self.at(server);
        self.engines[at] = None;
    }

    /// Starts a server with the files that it left; does nothing if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self, server: u64) -> Result<(), ClusterError> {
        let at = self.at(server);
        if self.engines[at].is_none() {
            let started = Engine::start(self.configs[at].clone(), (self.make)(server));
            self.engines[at] = Some(started.map_err(|source| ClusterError::Start { server, source })?);
        }
        Ok(())
    }

    /// Ids of all servers, up or down.
    pub fn servers(&self) -> impl Iterator<Item = u64> + use<S> {
        1..=self.engines.len() as u64
    }

    fn at(&self, server: u64) -> usize {
        let count = self.engines.len() as u64;
        assert!((1..=count).contains(&server), "there is no server {server}: they are 1 to {count}");
        server as usize - 1
    }
}

impl<S: StateMachine> fmt::Debug for Cluster<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up: Vec<u64> = self.servers().filter(|server| self.engines[self.at(*server)].is_some()).collect();
        f.debug_struct("Cluster").field("up", &up).finish_non_exhaustive()
    }
}
