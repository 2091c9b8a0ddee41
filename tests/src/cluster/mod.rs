//! A cluster of real processes on this machine: what it is to be ([`ClusterPlan`], `plan.rs`), and what can be done to it.

mod certificates;
mod newcomer;
mod plan;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;

use niagara_engine::Status;
use tempfile::TempDir;

use crate::network::Namespaces;
use crate::ports::PortBlock;
use crate::process::{ServerProcess, read_log};
use crate::status::{common_prefix, status};
use crate::{Endpoint, Http, Resp, wait};

pub use plan::ClusterPlan;

/// A running cluster. Dropping it kills the servers and removes their files; if a test fails, it prints their logs.
///
/// ```no_run
/// use niagara_tests::ClusterPlan;
///
/// let mut cluster = ClusterPlan::new(3, 4).start();
/// cluster.kill(1);
/// cluster.http(2).put("key", b"value").unwrap();
/// cluster.restart(1);
/// assert!(cluster.await_agreement() >= 1);
/// ```
pub struct Cluster {
    endpoints: Vec<Endpoint>,
    /// By server; `None` while it does not run.
    processes: Vec<Option<ServerProcess>>,
    dir: TempDir,
    network: Option<Arc<Namespaces>>,
    plan: ClusterPlan,
    ports: Vec<PortBlock>,
}

/// Ends of the logs that a failed test prints.
const LOG_LINES_SHOWN: usize = 60;

impl Cluster {
    /// The ids of all servers, those that have left included.
    pub fn servers(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.endpoints.len() as u64
    }

    /// Where all servers are.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Where a server is.
    pub fn endpoint(&self, server: u64) -> &Endpoint {
        &self.endpoints[index(server)]
    }

    /// A client of a server over HTTP.
    pub fn http(&self, server: u64) -> Http {
        self.endpoint(server).http()
    }

    /// A client of a server over the Redis protocol.
    pub fn redis(&self, server: u64) -> Resp {
        self.endpoint(server).redis()
    }

    /// A running server's process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn process(&mut self, server: u64) -> &mut ServerProcess {
        self.processes[index(server)].as_mut().unwrap_or_else(|| panic!("server {server} does not run"))
    }

    /// Whether a server was started, and neither killed nor stopped since.
    pub fn runs(&self, server: u64) -> bool {
        self.processes[index(server)].is_some()
    }

    /// How a server's process has ended by itself, which none does that was not asked to.
    pub fn ended_by_itself(&mut self, server: u64) -> Option<ExitStatus> {
        self.processes[index(server)].as_mut()?.exit_status()
    }

    /// The directory of all files: configuration, data and logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the files where they are when this is dropped.
    pub fn keep_files(&mut self) {
        self.dir.disable_cleanup(true);
    }

    /// A server's configuration file.
    pub fn config(&self, server: u64) -> PathBuf {
        self.dir.path().join(format!("server-{server}.toml"))
    }

    /// A server's data directory.
    pub fn data_dir(&self, server: u64) -> PathBuf {
        self.dir.path().join(format!("data-{server}"))
    }

    /// All that a server has logged, in all of its lives.
    pub fn log(&self, server: u64) -> String {
        read_log(&self.log_path(server))
    }

    /// Starts a server that does not run, and does not wait for it.
    pub fn launch(&mut self, server: u64) {
        let (config, log) = (self.config(server), self.log_path(server));
        let process = match &self.network {
            Some(network) => ServerProcess::start_in(network, server, &config, &log),
            None => ServerProcess::start_with(&config, &log, &self.options_of(server)),
        };
        let before = self.processes[index(server)].replace(process);
        assert!(before.is_none(), "server {server} runs already");
    }

    /// Starts a server that does not run, and waits until it is ready.
    pub fn restart(&mut self, server: u64) {
        self.launch(server);
        self.await_ready(server);
    }

    /// Waits until a server answers /readyz with 200.
    ///
    /// # Panics
    /// When it does not, or when its process ends.
    pub fn await_ready(&mut self, server: u64) {
        assert!(self.becomes_ready(server), "server {server}: some of its addresses are in use");
    }

    /// SIGKILL.
    pub fn kill(&mut self, server: u64) {
        self.take(server).kill();
    }

    /// SIGKILL to all that run, one right after the other.
    pub fn kill_all(&mut self) {
        self.processes.iter_mut().filter_map(Option::take).for_each(ServerProcess::kill);
    }

    /// SIGTERM, and status 0 asserted.
    pub fn stop(&mut self, server: u64) {
        self.take(server).stop();
    }

    /// The processes of all servers, stopped cleanly at the same time.
    pub fn stop_all(&mut self) {
        let running: Vec<_> = self.processes.iter_mut().filter_map(Option::take).collect();
        let stopping = running.into_iter().map(|process| thread::spawn(|| process.stop()));
        for stopped in stopping.collect::<Vec<_>>() {
            stopped.join().expect("a server stops cleanly; why it did not stands above");
        }
    }

    /// SIGSTOP.
    pub fn pause(&mut self, server: u64) {
        self.process(server).pause();
    }

    /// SIGCONT.
    pub fn resume(&mut self, server: u64) {
        self.process(server).resume();
    }

    /// What a running server says about itself.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn status(&self, server: u64) -> Status {
        status(&mut self.http(server))
            .unwrap_or_else(|error| panic!("server {server} gives no status: {error}"))
    }

    /// Waits until all running servers have executed the same, while nobody writes; compares their digests at every
    /// position that any two of them share, and gives the last one that all of them share.
    ///
    /// # Panics
    /// When they do not come to the same position, or have executed different things (`global_prefix`).
    pub fn await_agreement(&self) -> u64 {
        let running: Vec<u64> = self.servers().filter(|server| self.runs(*server)).collect();
        let statuses = wait::until("all servers to have executed the same position", || {
            let statuses: Vec<Status> = running.iter().map(|server| self.status(*server)).collect();
            // Compared even while they differ in position: agreement must hold at any time.
            common_prefix(&statuses);
            statuses.iter().all(|status| status.applied == statuses[0].applied).then_some(statuses)
        });
        common_prefix(&statuses)
    }

    /// Compares the digests of all running servers at every position that any two of them share, while they go on.
    ///
    /// # Panics
    /// When two servers have executed different things (`global_prefix`).
    pub fn compare_digests(&self) {
        let running = self.servers().filter(|server| self.runs(*server));
        common_prefix(&running.map(|server| self.status(server)).collect::<Vec<_>>());
    }

    fn take(&mut self, server: u64) -> ServerProcess {
        let process = self.processes[index(server)].take();
        process.unwrap_or_else(|| panic!("server {server} does not run"))
    }

    /// `false` if it cannot start since its ports are in use.
    fn becomes_ready(&mut self, server: u64) -> bool {
        let mut http = self.http(server);
        wait::until(&format!("server {server} to be ready"), || {
            let process = self.process(server);
            if let Some(status) = process.exit_status() {
                let log = process.log();
                assert!(log.contains("in use"), "server {server} ended with {status}; its log:\n{log}");
                return Some(false);
            }
            http.request("GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200).then_some(true)
        })
    }

    fn log_path(&self, server: u64) -> PathBuf {
        self.dir.path().join(format!("server-{server}.log"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill_all();
        if thread::panicking() {
            for server in self.servers() {
                let log = self.log(server);
                let lines: Vec<&str> = log.lines().collect();
                let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
                let text = shown.join("\n");
                eprintln!(
                    "--- server {server}, the last {} of {} lines of its log:\n{text}",
                    shown.len(),
                    lines.len()
                );
            }
        }
    }
}

fn index(server: u64) -> usize {
    usize::try_from(server - 1).expect("a server of this cluster")
}
