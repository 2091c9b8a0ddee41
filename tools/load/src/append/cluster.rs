//! Three servers as their parent sees them together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::agreement::compare_all;

use super::assignment::{Assignment, Request};
use super::certificates;
use super::demand::SERVERS;
use super::options::AppendOptions;
use super::process::ServerProcess;
use super::reading::Reading;
use super::route::Route;
use super::threads::{Cpu, cpu_of};
use crate::failure::Failure;
use crate::loopback;

/// After the last command, all servers have executed it within this time, or something is wrong.
const AGREE_WITHIN: Duration = Duration::from_secs(20);

/// Counters of all servers, and CPU time of their threads, at one moment.
pub(super) struct Moment {
    pub servers: Vec<Reading>,
    /// Per server, by the names of its threads.
    pub cpu: Vec<BTreeMap<String, Cpu>>,
}

/// Commands that the slowest server has executed between two readings.
pub(super) fn commands_between(before: &[Reading], after: &[Reading]) -> u64 {
    before.iter().zip(after).map(|(before, after)| after.commands - before.commands).min().unwrap_or(0)
}

/// Commands and reads whose outcome is unknown, since the start.
pub(super) fn unknown(servers: &[Reading]) -> u64 {
    servers.iter().map(|server| server.unknown).sum()
}

/// The running servers.
pub(super) struct AppendCluster {
    servers: Vec<ServerProcess>,
}

impl AppendCluster {
    pub fn start(options: &AppendOptions, route: &Route, dir: &Path) -> Result<AppendCluster, Failure> {
        let members = loopback::free_addresses(SERVERS, options.groups)?;
        if options.tls {
            certificates::make(dir, SERVERS)?;
        }
        let start = |server| {
            let data_dir: PathBuf = dir.join(format!("server-{server}"));
            let mut assignment = Assignment::new(options, server, members.clone(), data_dir);
            assignment.certificates = options.tls.then(|| dir.to_owned());
            ServerProcess::start(&assignment, route)
        };
        Ok(AppendCluster { servers: (1..=SERVERS).map(start).collect::<Result<_, _>>()? })
    }

    pub fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(ServerProcess::process).collect()
    }

    /// Asks all servers at once for the same.
    pub fn all(&mut self, request: Request) -> Result<Vec<Reading>, Failure> {
        self.each(|_| request)
    }

    /// Asks all servers at once, each, by its number, for its own.
    pub fn each(&mut self, request: impl Fn(u64) -> Request) -> Result<Vec<Reading>, Failure> {
        (1..).zip(&mut self.servers).try_for_each(|(number, server)| server.ask(request(number)))?;
        self.servers.iter_mut().map(ServerProcess::answer).collect()
    }

    pub fn read(&mut self) -> Result<Moment, Failure> {
        let cpu = self.processes().into_iter().map(cpu_of).collect::<Result<_, _>>()?;
        Ok(Moment { servers: self.all(Request::Read)?, cpu })
    }

    /// Waits until all servers have executed the same commands, and compares their logs.
    pub fn agree(&mut self) -> Result<Vec<Reading>, Failure> {
        let until = Instant::now() + AGREE_WITHIN;
        loop {
            let servers = self.all(Request::Read)?;
            let same = servers.iter().all(|server| server.commands == servers[0].commands);
            if same {
                let digests = (1..).zip(&servers).map(|(number, server)| (number, server.digests.as_slice()));
                if compare_all(digests)? == 0 && servers[0].commands > 0 {
                    return Err(Failure::new("the servers share no position to compare their logs at"));
                }
                return Ok(servers);
            }
            if Instant::now() >= until {
                let commands: Vec<u64> = servers.iter().map(|server| server.commands).collect();
                return Err(Failure::new(format!(
                    "the servers have executed different numbers of commands: {commands:?}"
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
