//! Third-party servers as processes, each in the namespace of one server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use niagara_load::Failure;
use niagara_measure::{GuardedChild, find_program, last_lines};
use niagara_namespaces::{Host, Namespaces, Subnet};
use tempfile::TempDir;

use crate::leftovers;

/// How many servers each store has.
pub(super) const SERVERS: u16 = 3;

/// Running servers of one program. Killed, and their files removed, when dropped; if this process is killed, the next run does both.
pub(super) struct Programs {
    /// They end before their network and their files go.
    processes: Vec<GuardedChild>,
    pub network: Arc<Namespaces>,
    files: TempDir,
}

impl Programs {
    /// Starts a program on all servers. The arguments of each follow from its id and its own directory for data.
    pub fn start(program: &str, configure: impl Fn(&mut Command, u64, &Path)) -> Result<Programs, Failure> {
        // One link among the servers: these have one address each.
        let network = Arc::new(Namespaces::create(SERVERS, 1)?);
        let mut programs = Programs { network, files: leftovers::directory()?, processes: Vec::new() };
        let path = find_program(program).unwrap_or_else(|| PathBuf::from(program));
        for server in servers() {
            let data = programs.files.path().join(format!("server-{server}"));
            fs::create_dir(&data)?;
            let log = File::create(programs.log(server))?;
            let mut command = Command::new(&path);
            configure(&mut command, server, &data);
            command.current_dir(&data);
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            let spawn = || command.spawn().map_err(Failure::io(format!("cannot start {program}")));
            let child = programs.network.inside(Host::Server(server), spawn)??;
            programs.processes.push(child.into());
        }
        Ok(programs)
    }

    pub fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(|child| child.id()).collect()
    }

    /// The ends of what they have logged, for the one who wants to know why something does not work.
    pub fn last_words(&self) -> String {
        servers().map(|server| format!("\nserver {server}: {}", last_lines(&self.log(server), 3))).collect()
    }

    fn log(&self, server: u64) -> PathBuf {
        self.files.path().join(format!("server-{server}.log"))
    }
}

/// The first line of what each of some programs says of its version; they are named with their packages.
pub(super) fn versions(
    programs: impl Iterator<Item = (&'static str, &'static str)>,
) -> BTreeMap<&'static str, String> {
    programs
        .map(|(program, _)| program)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|program| {
            let path = find_program(program).unwrap_or_else(|| PathBuf::from(program));
            let said =
                Command::new(path).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
            let version =
                String::from_utf8_lossy(&said).lines().next().unwrap_or("of an unknown version").to_owned();
            (program, version)
        })
        .collect()
}

/// The ids of all servers.
pub(super) fn servers() -> impl Iterator<Item = u64> {
    1..=u64::from(SERVERS)
}

/// A server's address and port for clients.
pub(super) fn for_clients(server: u64, port: u16) -> String {
    format!("{}:{port}", Subnet::Clients.address(Host::Server(server)))
}

/// A server's address and port for other servers.
pub(super) fn for_servers(server: u64, port: u16) -> String {
    format!("{}:{port}", Subnet::Link(1).address(Host::Server(server)))
}
