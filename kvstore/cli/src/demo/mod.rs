//! `niagara demo`: a whole cluster in one process, with a load and a verdict.
//!
//! It does what an operator would do by hand: [`cluster`] writes the configuration files and starts the
//! servers from them, [`load`] talks to their Redis ports through [`niagara_client::redis`], [`view`] shows
//! the progress, [`verdict`] checks the results, and [`summary`] reports them.

mod arguments;
mod cluster;
mod load;
mod screen;
mod summary;
mod verdict;
mod view;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, thread};

use niagara_engine::Durability;
use niagara_kvstore::config::Plan;
use niagara_kvstore::server::Server;
use tempfile::TempDir;

use super::failure::Failure;
use super::stop_signal::StopSignal;
use super::wrap::wrap;
use super::{file_limit, logs, output, place, shell, style};
pub use arguments::DemoArgs;
use cluster::Cluster;
use load::Load;
use screen::Screen;
use summary::Summary;
use view::View;

/// How long the load lasts by default: enough for a steady state, and short enough to wait for.
const DEFAULT_SECONDS: u32 = 5;
/// How often the figures on a terminal are refreshed.
const REFRESH: Duration = Duration::from_millis(250);

/// Where logs and configuration files are.
enum Home {
    /// Removed on drop.
    Temporary(TempDir),
    Kept(PathBuf),
}

pub fn run(arguments: &DemoArgs) -> Result<ExitCode, Failure> {
    logs::start(None, "error")?;
    let mut stop = StopSignal::watch()?;
    file_limit::raise();
    // The JSON goes to standard output, and nothing else does.
    let mut screen = Screen::new(arguments.json, stop.flag());
    let home = Home::create(arguments.dir.as_deref())?;
    let outcome = with_cluster(arguments, &home, &mut screen, &mut stop);
    home.leave()?;
    outcome
}

fn with_cluster(
    arguments: &DemoArgs,
    home: &Home,
    screen: &mut Screen,
    stop: &mut StopSignal,
) -> Result<ExitCode, Failure> {
    say(screen, &first_words(arguments, home.path()))?;
    let cluster = Cluster::start(arguments, home.path())?;
    let outcome = drive(&cluster, arguments, home.path(), screen, stop);
    cluster.stop();
    let kept = matches!(home, Home::Kept(_)) && arguments.durability != Durability::Memory;
    if kept && outcome.is_ok() && !arguments.json {
        let file = shell::path(&home.path().join(Plan::file_name(1)));
        say(
            screen,
            &format!(
                "The data is kept. To serve it again, start each server:\n  niagara serve --config {file}\nand so on\n"
            ),
        )?;
    }
    outcome
}

/// Everything that happens while the servers run.
fn drive(
    cluster: &Cluster,
    arguments: &DemoArgs,
    home: &Path,
    screen: &mut Screen,
    stop: &mut StopSignal,
) -> Result<ExitCode, Failure> {
    cluster.wait_until_ready(&|| stop.arrived())?;
    let seconds = arguments.seconds.unwrap_or(DEFAULT_SECONDS);
    let (tally, elapsed) =
        run_load(cluster, Duration::from_secs(seconds.into()), screen, arguments.json, stop)?;
    let findings = verdict::examine(cluster, &tally)?;
    let summary = Summary::new(arguments, elapsed, &tally, findings);
    match arguments.json {
        true => say_raw(&mut Screen::new(false, stop.flag()), &summary.json())?,
        false => say_raw(screen, &summary.text(style::for_stdout(), screen.columns()))?,
    }
    if arguments.seconds.is_none() && !stop.arrived() {
        say(screen, &next_steps(cluster, home))?;
        stop.wait();
    }
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a text, wrapped to the screen's width.
fn say(screen: &mut Screen, text: &str) -> Result<(), Failure> {
    let fitting = wrap(text, screen.columns());
    say_raw(screen, &fitting)
}

fn say_raw(screen: &mut Screen, text: &str) -> Result<(), Failure> {
    screen.write_all(text.as_bytes()).map_err(|error| output::failure(&error))
}

/// Printed at once, since elections and syncs take a while.
fn first_words(arguments: &DemoArgs, home: &Path) -> String {
    let DemoArgs { servers, groups, durability, .. } = arguments;
    let (of_servers, of_groups) = (plural(*servers, "server"), plural(*groups, "group"));
    format!("Starting {of_servers} with {of_groups} each ({durability}) in\n{}\n", home.display())
}

fn plural(count: u16, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Drives the load for a while, or until a signal arrives, and shows the progress.
fn run_load(
    cluster: &Cluster,
    duration: Duration,
    screen: &Screen,
    aside: bool,
    stop: &StopSignal,
) -> Result<(load::Tally, Duration), Failure> {
    let (paint, is_terminal) = match aside {
        true => (style::for_stderr(), io::stderr().is_terminal()),
        false => (style::for_stdout(), io::stdout().is_terminal()),
    };
    let columns = is_terminal.then(|| screen.columns());
    let mut view = View::new(Box::new(screen.clone()), paint, columns);
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

/// Commands to paste. One address is enough, since a server names the others.
fn next_steps(cluster: &Cluster, home: &Path) -> String {
    let servers = cluster.servers();
    let (first, last) = (&servers[0], &servers[servers.len() - 1]);
    let mut text = format!("\nThe cluster keeps serving, from\n{}\nTry:\n\n", home.display());
    let _ = write!(
        text,
        "  redis-cli -p {} set greeting hello\n  curl {}/kv/greeting\n  redis-cli -p {} incr visits\n  niagara status --at {}\n\n\
         Ctrl-C ends it.\n",
        first.redis_addr().port(),
        last.http_addr(),
        last.redis_addr().port(),
        first.http_addr(),
    );
    text
}

impl Home {
    fn create(dir: Option<&Path>) -> Result<Home, Failure> {
        let Some(dir) = dir else {
            let dir = tempfile::Builder::new().prefix("niagara-demo-").tempdir().map_err(|error| {
                let hint = "name a directory with --dir, or set TMPDIR to one with free space";
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
                    "a demo starts with a new cluster: name another directory, or empty this one",
                ))
            }
            Err(error) => {
                let what = format!("cannot use the directory {}: {error}", dir.display());
                Err(match place::explain(dir, &error) {
                    Some((reason, hint)) => Failure::new(format!("{what}\n{reason}"), hint),
                    None => Failure::new(what, "name another directory with --dir"),
                })
            }
        }
    }

    /// Removes temporary files.
    fn leave(self) -> Result<(), Failure> {
        let Home::Temporary(dir) = self else { return Ok(()) };
        let path = dir.path().to_owned();
        dir.close().map_err(|error| {
            Failure::new(format!("cannot remove {}: {error}", path.display()), "remove it yourself")
        })
    }

    fn path(&self) -> &Path {
        match self {
            Home::Temporary(dir) => dir.path(),
            Home::Kept(dir) => dir,
        }
    }
}
