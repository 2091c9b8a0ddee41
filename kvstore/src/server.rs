//! One server, assembled: the engine that replicates the key-value state, and the front ends that clients talk to.
//!
//! `niagara serve` runs one of them in its process, `niagara demo` several.

use std::io;
use std::net::SocketAddr;

use niagara_engine::{Client, Config, Engine, StartError};

use crate::logs::LogCollector;
use crate::open_files::{self, OpenFilesError};
use crate::{FrontEndConfig, FrontEnds, Kv};

/// What a server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The replication engine: members, data directory, durability, limits.
    pub engine: Config,
    /// Where clients connect, and how many may.
    pub front: FrontEndConfig,
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
pub struct Server {
    engine: Engine<Kv>,
    fronts: FrontEnds,
    client: Client<Kv>,
}

/// Why a server did not start. Nothing of it goes on running.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The engine did not start: its data directory, its addresses or its configuration.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// The process may not have as many open files as the server needs.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The front ends could not listen.
    #[error("cannot listen for clients at {http} (HTTP) and {redis} (Redis): {source}")]
    FrontEnds {
        /// Where HTTP was to listen.
        http: SocketAddr,
        /// Where the Redis protocol was to listen.
        redis: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
}

impl Server {
    /// Starts the engine, then the front ends: a server that clients can connect to has recovered its logs.
    pub fn start(config: ServerConfig) -> Result<Server, ServerError> {
        let ServerConfig { engine, mut front } = config;
        engine.check().map_err(StartError::Config)?;
        front.max_connections = open_files::share_out(&engine, &front)?;
        let engine = Engine::start(engine, Kv::new())?;
        let client = engine.client();
        client.register_metrics(|registry| registry.register_collector(Box::new(LogCollector)));
        let (http, redis) = (front.http, front.redis);
        match FrontEnds::start(front, client.clone()) {
            Ok(fronts) => Ok(Server { engine, fronts, client }),
            Err(source) => {
                engine.stop();
                Err(ServerError::FrontEnds { http, redis, source })
            }
        }
    }

    /// Where HTTP clients connect.
    pub fn http_addr(&self) -> SocketAddr {
        self.fronts.http_addr()
    }

    /// Where Redis clients connect.
    pub fn redis_addr(&self) -> SocketAddr {
        self.fronts.redis_addr()
    }

    /// The engine's own interface, past the front ends: for status and reads in the same process.
    pub fn client(&self) -> &Client<Kv> {
        &self.client
    }

    /// Stops the front ends, so that no request is taken that nobody would answer, and then the engine.
    pub fn stop(self) {
        self.fronts.stop();
        self.engine.stop();
    }
}

impl ServerError {
    /// Whether another process holds one of the addresses.
    pub fn is_address_in_use(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>()
                && io.kind() == io::ErrorKind::AddrInUse
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

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
        ServerConfig { engine, front: FrontEndConfig { http, redis, threads: 1, ..Default::default() } }
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
            start(config(taken.to_string(), ANY.parse().unwrap()), &dir).err().expect("the group's is taken");
        assert!(matches!(group, ServerError::Engine(_)) && group.is_address_in_use(), "{group}");
        let http = start(config(ANY.into(), taken), &dir).err().expect("that of HTTP is taken");
        assert!(matches!(http, ServerError::FrontEnds { .. }) && http.is_address_in_use(), "{http}");

        // What failed has let go of the directory.
        let server = start(config(ANY.into(), ANY.parse().unwrap()), &dir).unwrap();
        let refused =
            start(config(ANY.into(), ANY.parse().unwrap()), &dir).err().expect("the directory is in use");
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
