//! `niagara demo`: a whole cluster in one process, with a load and a verdict.
//!
//! It is what an operator would do by hand, only quicker: [`cluster`] writes the configuration files and starts the
//! servers from them, [`load`] talks to their Redis front ends by way of [`resp`](super::resp), [`view`] shows what goes on, and
//! [`verdict`] checks what must hold afterwards, in [`summary`]'s words.

mod cluster;
mod load;
mod summary;
mod verdict;
mod view;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use niagara_engine::Durability;
use niagara_kvstore::config::Plan;
use niagara_kvstore::server::Server;
use tempfile::TempDir;

use super::failure::Failure;
use super::output::print;
use super::stop_signal::StopSignal;
use super::{DemoArgs, file_limit, logs, style};
use cluster::Cluster;
use load::Load;
use summary::Summary;
use view::View;

/// How long the load lasts unless the command line says it: enough for a steady state, and for patience.
const DEFAULT_SECONDS: u32 = 5;
/// How often the figures are looked at on a terminal.
const REFRESH: Duration = Duration::from_millis(250);

/// Where logs and configuration files are.
enum Home {
    /// Removed when this is dropped.
    Temporary(TempDir),
    Kept(PathBuf),
}

/// Does what `niagara demo` promises.
pub fn run(arguments: &DemoArgs) -> Result<ExitCode, Failure> {
    logs::start(None, "error")?;
    let mut stop = StopSignal::watch()?;
    file_limit::raise();
    let home = Home::create(arguments.dir.as_deref())?;
    let cluster = Cluster::start(arguments, home.path())?;
    let outcome = drive(&cluster, arguments, home.path(), &mut stop);
    cluster.stop();
    let kept = matches!(home, Home::Kept(_)) && arguments.durability != Durability::Memory;
    if kept && outcome.is_ok() && !arguments.json {
        let file = home.path().join(Plan::file_name(1));
        let text = format!(
            "The data is kept. Serve it again: niagara serve --config {} and so on\n",
            file.display()
        );
        print(text)?;
    }
    outcome
}

/// All that happens while the servers run.
fn drive(
    cluster: &Cluster,
    arguments: &DemoArgs,
    home: &Path,
    stop: &mut StopSignal,
) -> Result<ExitCode, Failure> {
    cluster.wait_until_ready(&|| stop.arrived())?;
    let seconds = arguments.seconds.unwrap_or(DEFAULT_SECONDS);
    let (tally, elapsed) = run_load(cluster, Duration::from_secs(seconds.into()), arguments.json, stop)?;
    let findings = verdict::examine(cluster, &tally)?;
    let summary = Summary::new(arguments, elapsed, &tally, findings);
    let text = if arguments.json { summary.json() } else { summary.text(style::for_stdout()) };
    print(text)?;
    if arguments.seconds.is_none() && !stop.arrived() {
        let text = next_steps(cluster, home);
        match arguments.json {
            // Where the JSON goes nothing else does.
            true => eprint!("{text}"),
            false => print(text)?,
        }
        stop.wait();
    }
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Drives the load for a time, or until a signal comes, and shows how it goes.
fn run_load(
    cluster: &Cluster,
    duration: Duration,
    quiet_stdout: bool,
    stop: &StopSignal,
) -> Result<(load::Tally, Duration), Failure> {
    let mut view = if quiet_stdout {
        View::new(Box::new(io::stderr()), style::for_stderr(), io::IsTerminal::is_terminal(&io::stderr()))
    } else {
        View::new(Box::new(io::stdout()), style::for_stdout(), io::IsTerminal::is_terminal(&io::stdout()))
    };
    let addresses: Vec<_> = cluster.servers().iter().map(Server::redis_addr).collect();
    let load = Load::start(&addresses).map_err(|error| {
        Failure::new(format!("cannot connect to the demo's own servers: {error}"), "is 127.0.0.1 reachable?")
    })?;
    let start = Instant::now();
    while start.elapsed() < duration && !stop.arrived() && load.is_running() {
        thread::sleep(REFRESH.min(duration.saturating_sub(start.elapsed())));
        view.show(start.elapsed(), load.completed(), &cluster.statuses());
    }
    let tally = load.stop();
    let elapsed = start.elapsed();
    view.end();
    Ok((tally, elapsed))
}

fn next_steps(cluster: &Cluster, home: &Path) -> String {
    let servers = cluster.servers();
    let (first, last) = (&servers[0], &servers[servers.len() - 1]);
    let urls: Vec<_> = servers.iter().map(|server| format!("http://{}", server.http_addr())).collect();
    let mut text = format!("\nThe cluster serves on, from {}. Try:\n\n", home.display());
    let _ = write!(
        text,
        "  curl -X PUT http://{}/kv/greeting -d hello\n  curl http://{}/kv/greeting\n  redis-cli -p {} incr visits\n  \
         redis-cli -p {} get visits\n  niagara status --at {}\n\nCtrl-C ends it.\n",
        first.http_addr(),
        last.http_addr(),
        first.redis_addr().port(),
        last.redis_addr().port(),
        urls.join(",")
    );
    text
}

impl Home {
    fn create(dir: Option<&Path>) -> Result<Home, Failure> {
        let Some(dir) = dir else {
            let dir = tempfile::Builder::new().prefix("niagara-demo-").tempdir().map_err(|error| {
                let hint = "name a directory by --dir, or set TMPDIR to one with room";
                Failure::new(format!("cannot create a temporary directory: {error}"), hint)
            })?;
            return Ok(Home::Temporary(dir));
        };
        let is_empty = fs::create_dir_all(dir).and_then(|()| Ok(fs::read_dir(dir)?.next().is_none()));
        match is_empty {
            Ok(true) => Ok(Home::Kept(dir.to_owned())),
            Ok(false) => {
                let what = format!("the directory {} is not empty", dir.display());
                Err(Failure::new(
                    what,
                    "a demo starts from nothing; name another directory, or delete what is in it",
                ))
            }
            Err(error) => {
                let what = format!("cannot use the directory {}: {error}", dir.display());
                Err(Failure::new(what, "name another directory by --dir"))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Home::Temporary(dir) => dir.path(),
            Home::Kept(dir) => dir,
        }
    }
}
