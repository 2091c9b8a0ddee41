//! The parent: starts the servers, measures one window, and checks that nothing was lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::options::AppendOptions;
use super::plan::{Plan, Request, SERVERS};
use super::process::Server;
use super::quota::Quotas;
use super::reading::Reading;
use super::report::{Report, Window};
use super::system_calls;
use super::threads::{Cpu, cpu_of};
use crate::failure::Failure;
use crate::loopback;

/// After the last command, all servers have executed it within this time, or something is wrong.
const AGREE_WITHIN: Duration = Duration::from_secs(20);

/// Runs a cluster and measures one window.
///
/// # Errors
/// When a server cannot be started or ends, or when the servers disagree in the end.
pub fn run(options: &AppendOptions) -> Result<Report, Failure> {
    let dir = match &options.data_dir {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    };
    let dir =
        dir.map_err(Failure::io("cannot make a directory for the servers' data (--data-dir names another)"))?;
    let mut cluster = Cluster::start(options, dir.path())?;
    cluster.all(Request::Ready)?;
    let quotas =
        options.group_quota.map(|percent| Quotas::hold_groups(&cluster.processes(), percent)).transpose()?;
    cluster.all(Request::Begin)?;
    wait("warming up", options.warm_up);
    let before = cluster.read()?;
    wait("measuring", options.seconds);
    let after = cluster.read()?;
    let (calls_before, calls, calls_after) = (
        cluster.all(Request::Read)?,
        system_calls::count_for_a_second(&cluster.processes()),
        cluster.all(Request::Read)?,
    );
    let executed: u64 = commands_between(&calls_before, &calls_after);
    let calls = calls.map(|calls| 1000.0 * calls / executed.max(1) as f64);
    cluster.all(Request::Drain)?;
    let unknown = cluster.agree()?;
    drop(cluster);
    drop(quotas);
    Ok(Report::of(options, &Window { before, after }, calls, unknown))
}

/// Commands that the slowest server has executed between two readings.
pub(super) fn commands_between(before: &[Reading], after: &[Reading]) -> u64 {
    before.iter().zip(after).map(|(before, after)| after.commands - before.commands).min().unwrap_or(0)
}

/// Counters of all servers, and CPU time of their threads, at one moment.
pub(super) struct Moment {
    pub servers: Vec<Reading>,
    /// Per server, by the names of its threads.
    pub cpu: Vec<BTreeMap<String, Cpu>>,
}

struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    fn start(options: &AppendOptions, dir: &Path) -> Result<Cluster, Failure> {
        let members = loopback::free_addresses(SERVERS, options.groups)?;
        let start = |server| {
            let data_dir: PathBuf = dir.join(format!("server-{server}"));
            Server::start(&Plan::new(options, server, members.clone(), data_dir))
        };
        Ok(Cluster { servers: (1..=SERVERS).map(start).collect::<Result<_, _>>()? })
    }

    fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::process).collect()
    }

    /// Asks all servers at once.
    fn all(&mut self, request: Request) -> Result<Vec<Reading>, Failure> {
        self.servers.iter_mut().try_for_each(|server| server.ask(request))?;
        self.servers.iter_mut().map(Server::answer).collect()
    }

    fn read(&mut self) -> Result<Moment, Failure> {
        let cpu = self.processes().into_iter().map(cpu_of).collect::<Result<_, _>>()?;
        Ok(Moment { servers: self.all(Request::Read)?, cpu })
    }

    /// Waits until all servers have executed the same commands, and compares their logs. Returns how many commands and reads
    /// had no known outcome.
    fn agree(&mut self) -> Result<u64, Failure> {
        let until = Instant::now() + AGREE_WITHIN;
        loop {
            let servers = self.all(Request::Read)?;
            let same = servers.iter().all(|server| server.commands == servers[0].commands);
            if same {
                compare_digests(&servers)?;
                return Ok(servers.iter().map(|server| server.unknown).sum());
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

/// At positions that two servers have digests for, those are the same (global_prefix).
fn compare_digests(servers: &[Reading]) -> Result<(), Failure> {
    let first: BTreeMap<u64, &str> =
        servers[0].digests.iter().map(|(position, value)| (*position, value.as_str())).collect();
    for other in &servers[1..] {
        for (position, value) in &other.digests {
            if first.get(position).is_some_and(|expected| expected != value) {
                return Err(Failure::new(format!(
                    "global_prefix: the servers' logs differ at or before position {position}"
                )));
            }
        }
    }
    Ok(())
}

/// Waits with a progress bar on standard error, if that is a terminal.
fn wait(what: &'static str, seconds: f64) {
    let style = ProgressStyle::with_template("{msg:12} {bar:40} {eta}").expect("the template is sound");
    let steps = (seconds * 10.0).ceil().max(1.0) as u64;
    let bar = ProgressBar::new(steps).with_style(style).with_message(what);
    let begun = Instant::now();
    for step in 1..=steps {
        let at = Duration::from_secs_f64(seconds * step as f64 / steps as f64);
        thread::sleep(at.saturating_sub(begun.elapsed()));
        bar.inc(1);
    }
    bar.finish_and_clear();
}
