//! Where a server's front ends listen, and their limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use niagara_engine::ServerId;
use niagara_tls::{Mutual, ServerFiles};
use rustix::process::{Resource, getrlimit};
use rustix::system::uname;

use super::budget::MOST_BYTES;
use crate::AccessConfig;
use crate::access::Names;
use crate::machine_memory::usable_bytes;
use crate::resp::Failover;
use crate::tracking::MOST_TABLE_BYTES;

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
    /// The HTTP address.
    pub http: SocketAddr,
    /// The address of the Redis protocol.
    pub redis: SocketAddr,
    /// Further HTTP addresses: the other addresses of the same name.
    pub http_too: Vec<SocketAddr>,
    /// Further addresses of the Redis protocol.
    pub redis_too: Vec<SocketAddr>,
    /// The members' HTTP addresses, `host:port` by server, as far as they are known; /status reports them.
    pub members: Vec<(ServerId, String)>,
    /// How clients of Redis find another server.
    pub failover: Failover,
    /// Those at which clients speak TLS.
    pub members_https: Vec<(ServerId, String)>,
    /// Who may use the server.
    pub access: AccessConfig,
    /// Further ports, at which clients speak TLS.
    pub tls: Option<TlsPorts>,
    /// What this server shows to the others of its cluster. Its files are read again with those of `tls`.
    pub peer_certificates: Option<Arc<Mutual>>,
    /// Number of front-end threads, at least 1. The default is one for every four cores, since the groups,
    /// the sequencer and the application need the others.
    pub threads: usize,
    /// Most clients at a time, of both protocols together. Further ones get an error and are closed. The
    /// default is the process's limit of open files, less some for logs and other servers.
    pub max_connections: usize,
    /// Most of them from one address, or from one network of version 6 with 64 bits. `None`, the default: three quarters
    /// of all from another machine, and all from this one.
    pub max_connections_per_address: Option<usize>,
    /// An HTTP connection is closed after being idle this long. The default exceeds the time that clients and
    /// proxies wait before they close it themselves.
    pub http_idle: Duration,
    /// The same for the Redis protocol. Zero, the default, means never, as in Redis.
    pub redis_idle: Duration,
    /// How long a server that is told to stop waits for its clients to leave: it refuses what they ask for,
    /// without effect, so that they go to another server. Zero ends their connections at once.
    pub shutdown_grace: Duration,
    /// After this long without a byte, the system probes whether the client is still there, and three times
    /// more, ten seconds apart. So the connection ends if the client's machine has gone. Zero means never.
    pub tcp_keepalive: Duration,
    /// Most bytes of replies that wait for one client. Its requests are still read meanwhile (up to 32 MiB
    /// that are not executed yet), so it may write a whole pipeline before it reads. A client that has
    /// reached both limits and takes nothing for half a minute is closed.
    pub client_output: usize,
    /// Most bytes that wait for a client that subscribes to channels. One that takes less is closed.
    pub subscriber_output: usize,
    /// Most bytes that are taken to remember what clients have read that are told when it changes. Beyond that, what was
    /// read first is forgotten, and they are told so.
    pub tracking: usize,
    /// Most bytes of unfinished requests and replies of all clients together. From a half of it on, the server reads
    /// ahead for nobody, and one MiB of replies waits for each client. From three quarters on, requests are refused.
    /// Once all of it is used up, nothing more is read, and the clients that hold the most are closed. The default is
    /// a quarter of the memory of the machine, or of the process's control group.
    pub all_clients: usize,
}

/// Where clients connect that speak TLS.
#[derive(Clone, Debug)]
pub struct TlsPorts {
    /// The server's certificate and key, which are read again when they change.
    pub files: ServerFiles,
    /// The address for HTTP.
    pub http: SocketAddr,
    /// That of the Redis protocol.
    pub redis: SocketAddr,
    /// Further addresses for HTTP.
    pub http_too: Vec<SocketAddr>,
    /// Further addresses of the Redis protocol.
    pub redis_too: Vec<SocketAddr>,
    /// The other ports, at which clients do not speak TLS, are not opened.
    pub only: bool,
}

/// Open files kept for logs, snapshots, other servers' connections and the program itself.
const RESERVED_FILES: u64 = 256;

impl Default for FrontEndConfig {
    fn default() -> FrontEndConfig {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // Even without a limit of the system, tokens have one: per thread, and far above what a server meets.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
        FrontEndConfig {
            http: SocketAddr::from(([127, 0, 0, 1], 7001)),
            redis: SocketAddr::from(([127, 0, 0, 1], 7002)),
            http_too: Vec::new(),
            redis_too: Vec::new(),
            members: Vec::new(),
            failover: Failover::default(),
            members_https: Vec::new(),
            access: AccessConfig::default(),
            tls: None,
            peer_certificates: None,
            threads: (cores / 4).clamp(1, 8),
            max_connections: files.saturating_sub(RESERVED_FILES).clamp(16, 1 << 20) as usize,
            http_idle: Duration::from_secs(75),
            max_connections_per_address: None,
            redis_idle: Duration::ZERO,
            shutdown_grace: Duration::from_secs(3),
            tcp_keepalive: Duration::from_secs(60),
            client_output: 64 << 20,
            subscriber_output: 32 << 20,
            tracking: MOST_TABLE_BYTES,
            all_clients: usize::try_from((usable_bytes() >> 22) << 20)
                .unwrap_or(usize::MAX)
                .clamp(1 << 20, MOST_BYTES),
        }
    }
}

impl FrontEndConfig {
    /// What HTTP clients may call this server: its configured names, the members' hosts, and the machine's name.
    pub(crate) fn names(&self) -> Names {
        let machine = uname();
        let machine = machine.nodename().to_str().unwrap_or_default();
        let members = self.members.iter().chain(&self.members_https);
        let hosts = members.filter_map(|(_, http)| http.rsplit_once(':')).map(|(host, _)| host);
        let configured = self.access.names.iter().map(String::as_str);
        Names::new(hosts.chain(configured).chain([machine]), &self.access.origins)
    }
}
