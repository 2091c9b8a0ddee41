//! A cluster of processes on this machine.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::process::{Finished, Running, run};

/// Files and running servers.
pub struct Cluster {
    /// Where its files are.
    pub dir: tempfile::TempDir,
    /// Its processes.
    pub servers: Vec<Running>,
}

impl Cluster {
    /// Starts a cluster with this many servers and groups.
    pub fn start(servers: u64, groups: u16) -> Cluster {
        Cluster::start_with(servers, groups, &[])
    }

    /// The same, with further options of `new-cluster`.
    pub fn start_with(servers: u64, groups: u16, options: &[&str]) -> Cluster {
        let mut cluster = Cluster::prepare_with(servers, groups, options);
        for server in 1..=servers {
            let mut running = cluster.serve(server);
            running.wait_for(&format!("server {server} serves: HTTP at "));
            cluster.servers.push(running);
        }
        cluster
    }

    /// Writes the files of such a cluster, and starts nothing.
    pub fn prepare(servers: u64, groups: u16) -> Cluster {
        Cluster::prepare_with(servers, groups, &[])
    }

    fn prepare_with(servers: u64, groups: u16, options: &[&str]) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster { dir, servers: Vec::new() };
        let [count, groups, port] = [servers.to_string(), groups.to_string(), free_block().to_string()];
        let path = cluster.dir.path().to_str().unwrap().to_owned();
        let arguments =
            ["new-cluster", "--dir", &path, "--servers", &count, "--groups", &groups, "--base-port", &port];
        let finished = run(arguments.iter().chain(options).copied());
        assert_eq!(finished.status, Some(0), "{finished:?}");
        cluster
    }

    /// A server's configuration file.
    pub fn file(&self, server: u64) -> PathBuf {
        self.dir.path().join(format!("server-{server}.toml"))
    }

    /// Starts a server.
    pub fn serve(&self, server: u64) -> Running {
        Running::start(["serve", "--config", text(&self.file(server))])
    }

    /// Runs a client's command against all servers.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        run(arguments.iter().copied().chain(["--config", text(&self.file(1))]))
    }

    /// Runs a client's command repeatedly until the groups have leaders.
    pub fn run_when_ready(&self, arguments: &[&str]) -> Finished {
        for _ in 0..100 {
            let finished = self.run(arguments);
            if finished.status == Some(0) {
                return finished;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.run(arguments)
    }

    /// A server's HTTP address.
    pub fn url(&self, server: u64) -> String {
        let file = niagara_kvstore::config::ConfigFile::read(self.file(server)).unwrap();
        format!("http://{}", file.server.front.http)
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An address of this machine where nothing listens.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The first of enough consecutive free ports for a small cluster, below those that the system gives to
/// clients. No two tests of a process get the same.
pub fn free_block() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = std::process::id() as u16 % 300;
    let is_free = |base: &u16| (*base..base + 30).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let next = || Some(12_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 300 * 40);
    std::iter::from_fn(next).take(300).find(is_free).expect("somewhere thirty ports are free")
}
