//! All front-end threads of one server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::Poll;
use niagara_engine::{Client, ServerId, Wake};
use rustix::process::{Resource, getrlimit};

use super::gauges::GaugeCollector;
use super::listener::Listener;
use super::metrics::{FrontCollector, FrontMetrics};
use super::worker::{Common, Mailbox, Worker};
use crate::Kv;
use crate::protocol::{Engine, Wire};

/// Where clients connect, and how many may.
///
/// ```
/// use niagara_kvstore::FrontEndConfig;
///
/// // Port 0: any free one.
/// let config = FrontEndConfig { http: "127.0.0.1:0".parse().unwrap(), threads: 2, ..FrontEndConfig::default() };
/// assert!(config.max_connections > 0);
/// ```
#[derive(Clone, Debug)]
pub struct FrontEndConfig {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where the Redis protocol is served.
    pub redis: SocketAddr,
    /// Where else HTTP is served: the other addresses of the same name.
    pub http_too: Vec<SocketAddr>,
    /// Where else the Redis protocol is served.
    pub redis_too: Vec<SocketAddr>,
    /// Where the members of the cluster answer HTTP, `host:port` by server, as far as it is known: /status tells it.
    pub members: Vec<(ServerId, String)>,
    /// Number of front-end threads, at least 1. The default is one for every four cores, since the groups, the sequencer
    /// and the application need the others.
    pub threads: usize,
    /// Most clients at a time, of both protocols together; further ones are told so and closed. The default is what the
    /// process may have of open files, less some for logs and other servers.
    pub max_connections: usize,
    /// An HTTP connection on which nothing has happened for so long is closed. The default is above what clients and proxies
    /// wait before they close it themselves.
    pub http_idle: Duration,
    /// The same for the Redis protocol; zero, the default, for never, as Redis has it.
    pub redis_idle: Duration,
    /// After so long without a word the system asks whether the client is still there, and three times more, ten seconds
    /// apart: the connection of one whose machine has gone ends then. Zero for never.
    pub tcp_keepalive: Duration,
    /// Most bytes of replies that wait for one client to take them. Its requests are read on meanwhile (those that are not
    /// executed yet, up to 32 MiB), so that it may write all of a pipeline before it reads; a client that is at both
    /// limits and takes nothing for half a minute is closed.
    pub client_output: usize,
    /// Most bytes of requests and replies that wait for all clients together. Above it nobody is read ahead, and one
    /// megabyte of replies waits for each.
    pub all_clients: usize,
}

/// Open files that are left for logs, snapshots, other servers' connections and the program's own.
const RESERVED_FILES: u64 = 256;

impl Default for FrontEndConfig {
    fn default() -> FrontEndConfig {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // Without a limit there is still one of the tokens, per thread and far above what a server meets.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
        FrontEndConfig {
            http: SocketAddr::from(([127, 0, 0, 1], 7001)),
            redis: SocketAddr::from(([127, 0, 0, 1], 7002)),
            http_too: Vec::new(),
            redis_too: Vec::new(),
            members: Vec::new(),
            threads: (cores / 4).clamp(1, 8),
            max_connections: files.saturating_sub(RESERVED_FILES).clamp(16, 1 << 20) as usize,
            http_idle: Duration::from_secs(75),
            redis_idle: Duration::ZERO,
            tcp_keepalive: Duration::from_secs(60),
            client_output: 64 << 20,
            all_clients: 1 << 30,
        }
    }
}

/// The running front ends of one server. They stop when this is dropped.
///
/// ```no_run
/// # fn f(engine: &niagara_engine::Engine<niagara_kvstore::Kv>) -> std::io::Result<()> {
/// use niagara_kvstore::{FrontEndConfig, FrontEnds};
///
/// let front_ends = FrontEnds::start(FrontEndConfig::default(), engine.client())?;
/// println!("redis-cli -p {}", front_ends.redis_addr().port());
/// front_ends.stop();
/// # Ok(())
/// # }
/// ```
pub struct FrontEnds {
    pub(super) common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

impl FrontEnds {
    /// Listens at both addresses and starts the threads.
    ///
    /// # Errors
    /// When an address cannot be listened at (in use, or not of this machine), or a limit of the system is reached.
    /// Nothing runs then.
    pub fn start(config: FrontEndConfig, client: Client<Kv>) -> io::Result<FrontEnds> {
        let metrics = Arc::new(FrontMetrics::default());
        let collector = FrontCollector(Arc::clone(&metrics));
        let registry = client.clone();
        let client_reader = client.reader();
        let front_ends = FrontEnds::start_with(config, metrics, move |mailbox| {
            let client = client.clone();
            move || client.port(mailbox)
        })?;
        let gauges = GaugeCollector::new(client_reader);
        registry.register_metrics(|registry| {
            registry.register_collector(Box::new(collector));
            registry.register_collector(Box::new(gauges));
        });
        Ok(front_ends)
    }

    /// Starts with any engine: `engine_for` gives what makes a thread's engine, in that thread.
    pub(super) fn start_with<E: Engine, M: FnOnce() -> E + Send + 'static>(
        mut config: FrontEndConfig,
        metrics: Arc<FrontMetrics>,
        engine_for: impl Fn(Arc<dyn Wake>) -> M,
    ) -> io::Result<FrontEnds> {
        let all = |first: SocketAddr, too: &[SocketAddr]| [&[first], too].concat();
        let http = Listener::bind_all(&all(config.http, &config.http_too), Wire::Http)?;
        let redis = Listener::bind_all(&all(config.redis, &config.redis_too), Wire::Redis)?;
        config.http = http[0].address()?;
        config.redis = redis[0].address()?;
        let mut listeners: Vec<Listener> = http.into_iter().chain(redis).collect();
        if listeners.len() > Worker::<E>::MAX_LISTENERS {
            return Err(io::Error::other(format!("{} addresses are too many to listen at", listeners.len())));
        }
        let polls: Vec<Poll> = (0..config.threads.max(1)).map(|_| Poll::new()).collect::<io::Result<_>>()?;
        let mailboxes =
            polls.iter().map(|poll| Mailbox::new(poll).map(Arc::new)).collect::<io::Result<Vec<_>>>()?;
        for (number, listener) in listeners.iter_mut().enumerate() {
            listener.register(polls[0].registry(), Worker::<E>::listener_token(number))?;
        }
        let common = Arc::new(Common {
            config,
            mailboxes: mailboxes.clone(),
            metrics,
            stopping: false.into(),
            open: 0.into(),
            next_id: 1.into(),
        });
        let mut front_ends = FrontEnds { common: Arc::clone(&common), threads: Vec::new() };
        for (number, (poll, mailbox)) in polls.into_iter().zip(mailboxes).enumerate() {
            let common = Arc::clone(&common);
            let listeners = std::mem::take(&mut listeners);
            let make_engine = engine_for(mailbox);
            let run = move || Worker::new(number, common, poll, make_engine(), listeners).run();
            front_ends.threads.push(thread::Builder::new().name(format!("front-{number}")).spawn(run)?);
        }
        Ok(front_ends)
    }

    /// Where HTTP clients connect.
    pub fn http_addr(&self) -> SocketAddr {
        self.common.config.http
    }

    /// Where Redis clients connect.
    pub fn redis_addr(&self) -> SocketAddr {
        self.common.config.redis
    }

    /// Stops: takes no further request, waits at most a second for the outcomes of what is in flight, sends them, and
    /// closes all connections. To be called before the engine is stopped, which gives the outcomes.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.common.stopping.store(true, Ordering::Release);
        for mailbox in &self.common.mailboxes {
            mailbox.wake();
        }
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Drop for FrontEnds {
    fn drop(&mut self) {
        self.join();
    }
}
