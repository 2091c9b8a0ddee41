//! Where a server's front ends listen, and their limits.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use niagara_engine::ServerId;
use rustix::process::{Resource, getrlimit};

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
