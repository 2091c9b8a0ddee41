//! One server: the engine that replicates the key-value state, and the front ends that clients talk to.
//!
//! `niagara serve` runs one of them in its process, `niagara demo` several.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::niagara_net::Plain;
use niagara_engine::{Client, Config, Engine, StartError};
use niagara_tls::{Mutual, MutualFiles, TlsFileError};

use crate::command;
use crate::open_files::{self, OpenFilesError};
use crate::peers;
use crate::watch::{ChangeId, KeyWatch, WatchError};
use crate::{FrontEndConfig, FrontEnds, Kv, TlsPorts};

pub use crate::peers::PlainPeers;

/// How often a server that drains looks whether it has finished.
const LOOK: Duration = Duration::from_millis(10);

/// What a server needs to start.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The replication engine: members, data directory, durability, limits.
    pub engine: Config,
    /// Where clients connect, and how many may.
    pub front: FrontEndConfig,
    /// What the servers prove to each other who they are with. `None`: what they send each other passes the network as
    /// it is, which they do beyond their own machine only if they are told so (`insecure`).
    pub peer_tls: Option<MutualFiles>,
}

impl ServerConfig {
    /// The engine's configuration, with what this application adds to it.
    ///
    /// # Errors
    /// If it cannot work, a certificate cannot be read, or other machines could reach servers that speak without TLS.
    pub fn engine_config(&self) -> Result<Config, ServerError> {
        let mut engine = self.engine.clone();
        engine.application = command::application();
        engine.check().map_err(StartError::Config)?;
        engine.tls = self.peer_tls.clone().map(Mutual::open).transpose()?.map(Arc::new);
        let insists = engine.tls.is_some() && engine.plain == Plain::Refused;
        if !insists && !self.front.access.insecure {
            peers::check_plain(&engine)?;
        }
        Ok(engine)
    }
}

/// A running server. [`stop`](Self::stop) ends it cleanly.
///
/// ```no_run
/// use niagara_kvstore::config::ConfigFile;
/// use niagara_kvstore::server::Server;
///
/// let file = ConfigFile::read("cluster/server-1.toml")?;
/// let server = Server::start(file.server)?;
/// println!("HTTP at {}, Redis at {}", server.http_addr(), server.redis_addr());
/// server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    engine: Engine<Kv>,
    fronts: FrontEnds,
    client: Client<Kv>,
}

/// Why a server did not start. Nothing of it keeps running.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The engine did not start: its data directory, its addresses or its configuration.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The process's limit of open files is too low for the server.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The state could not be set up.
    #[error("cannot start a thread for the state: {0}")]
    State(io::Error),
    /// A front end could not listen.
    #[error("cannot listen for {whom} clients at {address}: {source}")]
    Listen {
        /// The protocol of the clients.
        whom: &'static str,
        /// The setting with the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The certificate for other servers cannot be used.
    #[error("the certificate for other servers (`peer_tls`): {0}")]
    PeerTls(#[from] TlsFileError),
    /// Other machines could reach an address for servers, which would speak without TLS.
    #[error(transparent)]
    PlainPeers(#[from] PlainPeers),
    /// The front ends could not start.
    #[error("cannot start the front ends: {0}")]
    FrontEnds(#[source] io::Error),
}

impl Server {
    /// Starts the engine, then the front ends: once clients can connect, the server has recovered its logs.
    pub fn start(config: ServerConfig) -> Result<Server, ServerError> {
        let engine = config.engine_config()?;
        let mut front = config.front;
        front.peer_certificates = engine.tls.clone();
        front.max_connections = open_files::share_out(&engine, &front)?;
        let state = Kv::of_cluster(engine.cluster).map_err(ServerError::State)?;
        let state = if engine.role.is_member() { state } else { state.keeping_changes() };
        let engine = Engine::start(engine, state)?;
        let client = engine.client();
        let http = [front.http].into_iter().chain(front.http_too.iter().copied());
        let redis = [front.redis].into_iter().chain(front.redis_too.iter().copied());
        let http = http.map(|address| ("HTTP", "http", address));
        let mut asked_for: Vec<_> = http.chain(redis.map(|address| ("Redis", "redis", address))).collect();
        if let Some(TlsPorts { http, redis, http_too, redis_too, only, .. }) = &front.tls {
            if *only {
                asked_for.clear();
            }
            let all = |first: &SocketAddr, too: &[SocketAddr]| [&[*first], too].concat();
            asked_for.extend(all(http, http_too).into_iter().map(|address| ("HTTPS", "tls.http", address)));
            asked_for
                .extend(all(redis, redis_too).into_iter().map(|address| ("Redis", "tls.redis", address)));
        }
        match FrontEnds::start(front, client.clone()) {
            Ok(fronts) => Ok(Server { engine, fronts, client }),
            Err(source) => {
                engine.stop();
                Err(unheard(&asked_for, source.kind()).unwrap_or(ServerError::FrontEnds(source)))
            }
        }
    }

    /// The HTTP address, with port 0 if clients must speak TLS.
    pub fn http_addr(&self) -> SocketAddr {
        self.fronts.http_addr()
    }

    /// The address of the Redis protocol, with port 0 if clients must speak TLS.
    pub fn redis_addr(&self) -> SocketAddr {
        self.fronts.redis_addr()
    }

    /// The HTTP address for clients that speak TLS.
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.fronts.https_addr()
    }

    /// The address of the Redis protocol for clients that speak TLS.
    pub fn rediss_addr(&self) -> Option<SocketAddr> {
        self.fronts.rediss_addr()
    }

    /// See [`FrontEnds::reload_certificates`].
    pub fn reload_certificates(&self) {
        self.fronts.reload_certificates();
    }

    /// The engine's own interface, for status and reads in the same process.
    pub fn client(&self) -> &Client<Kv> {
        &self.client
    }

    /// Watches the changes of keys with a prefix, from a change on, or of what is executed from now on. [`KeyWatch`] has an example.
    ///
    /// # Errors
    /// See [`KeyWatch::begin`], which does this with a [client](Self::client) alone, on any thread.
    pub fn watch(&self, prefix: &[u8], from: Option<ChangeId>) -> Result<KeyWatch, WatchError> {
        KeyWatch::begin(&self.client, prefix, from)
    }

    /// Stops so that no client notices: hands over all that this server leads, and refuses new requests, so that
    /// clients go elsewhere. When there are no clients any more, or [`FrontEndConfig::shutdown_grace`] has
    /// passed, it [stops](Self::stop).
    ///
    /// A request that is refused has no effect: HTTP answers 503, and `LOADING` the Redis protocol.
    pub fn drain_and_stop(self) {
        let until = Instant::now() + self.fronts.shutdown_grace();
        self.client.retire();
        self.fronts.notice_retirement();
        while Instant::now() < until && !self.is_drained() {
            thread::sleep(LOOK);
        }
        let (clients, leads) = (self.fronts.clients(), self.client.leaders().led_here().count());
        if clients > 0 || leads > 0 {
            tracing::info!(clients, leads, "stopping with what is left after the grace period");
        }
        self.stop();
    }

    fn is_drained(&self) -> bool {
        self.fronts.clients() == 0 && self.client.leads_nothing_it_could_hand_over()
    }

    /// Stops the front ends, so that no request is accepted that nobody would answer, and then the engine.
    pub fn stop(self) {
        self.fronts.stop();
        self.engine.stop();
    }
}

/// Finds the listener that could not be opened, once the front ends hold none any more.
fn unheard(
    asked_for: &[(&'static str, &'static str, SocketAddr)],
    why: io::ErrorKind,
) -> Option<ServerError> {
    asked_for.iter().find_map(|&(whom, setting, address)| {
        let source = TcpListener::bind(address).err().filter(|source| source.kind() == why)?;
        Some(ServerError::Listen { whom, setting, address, source })
    })
}

impl ServerError {
    /// The setting with the address that the server could not get.
    pub fn setting(&self) -> Option<String> {
        match self {
            ServerError::Listen { setting, .. } => Some((*setting).to_owned()),
            ServerError::Engine(StartError::Link { group, .. } | StartError::Address { group, .. }) => {
                Some(format!("number {group} of this server's `groups` (or of `links`)"))
            }
            ServerError::Engine(StartError::Transfer(_) | StartError::TransferAddress { .. }) => {
                Some("this server's `transfer`".to_owned())
            }
            _ => None,
        }
    }

    /// Whether another process holds one of the addresses.
    pub fn is_address_in_use(&self) -> bool {
        self.system_error().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }

    /// The operating system's error, if there is one.
    pub fn system_error(&self) -> Option<&io::Error> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(system) = error.downcast_ref() {
                return Some(system);
            }
            cause = error.source();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use niagara_engine::{Durability, Member};

    use super::*;

    const ANY: &str = "127.0.0.1:0";

    fn config(group: String, http: SocketAddr) -> ServerConfig {
        let mut engine = Config::new(
            1,
            1,
            vec![Member { server: 1, addresses: vec![group], transfer: "127.0.0.1:0".into() }],
        );
        engine.durability = Durability::Os;
        let redis = ANY.parse().unwrap();
        let front = FrontEndConfig { http, redis, threads: 1, ..Default::default() };
        ServerConfig { engine, front, peer_tls: None }
    }

    fn start(mut config: ServerConfig, dir: &tempfile::TempDir) -> Result<Server, ServerError> {
        config.engine.data_dir = dir.path().join("data");
        Server::start(config)
    }

    #[test]
    fn a_taken_address_is_recognised_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let holder = TcpListener::bind(ANY).unwrap();
        let taken = holder.local_addr().unwrap();
        let group =
            start(config(taken.to_string(), ANY.parse().unwrap()), &dir).expect_err("the group's is taken");
        assert!(matches!(group, ServerError::Engine(_)) && group.is_address_in_use(), "{group}");
        let http = start(config(ANY.into(), taken), &dir).expect_err("that of HTTP is taken");
        assert!(
            matches!(http, ServerError::Listen { setting: "http", .. }) && http.is_address_in_use(),
            "{http}"
        );

        // The failed server has released the directory.
        let server = start(config(ANY.into(), ANY.parse().unwrap()), &dir).unwrap();
        let refused =
            start(config(ANY.into(), ANY.parse().unwrap()), &dir).expect_err("the directory is in use");
        assert!(!refused.is_address_in_use(), "{refused}");
        server.stop();
    }

    #[test]
    fn a_server_answers_in_process_and_through_its_front_ends() {
        let dir = tempfile::tempdir().unwrap();
        let server = start(config(ANY.into(), ANY.parse().unwrap()), &dir).unwrap();
        assert!(server.http_addr().port() != 0 && server.redis_addr().port() != 0);
        std::net::TcpStream::connect(server.http_addr()).unwrap();
        std::net::TcpStream::connect(server.redis_addr()).unwrap();
        assert_eq!(server.client().status().server, 1);
        server.stop();
    }
}
