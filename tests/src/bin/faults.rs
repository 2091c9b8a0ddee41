//! `faults`: real servers under random faults, for as long as one likes.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IsTerminal as _};
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use niagara_engine::Durability;
use niagara_tests::campaign::{CampaignPlan, Progress, Report};
use niagara_tests::network::Namespaces;
use niagara_tests::{output, say};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Starts real servers, keeps clients at work, does random faults to them, and checks every answer.
///
/// Each server lives in a network namespace of its own, joined with the others by one subnet for each group, so that the
/// link of one group can fail alone. That needs root and the programs ip and tc; elsewhere the servers are on loopback, and
/// only killed and stopped. Everything that is made is removed at the end, or at the next start.
///
/// Checked are: linearizability of each key's history, reads and conditional writes over HTTP and the Redis protocol alike;
/// that two keys that are written together are read together; that the digests of all servers agree; that every server serves
/// again when all is healed; and that no server ends by itself.
#[derive(Parser)]
#[command(name = "faults", max_term_width = 100, after_long_help = MANUAL)]
struct Arguments {
    /// How long clients work under faults, in minutes; starts and checks come on top.
    #[arg(long, default_value_t = 15.0, value_name = "M", value_parser = minutes)]
    minutes: f64,
    /// Decides faults and requests; by default another one each time. It is printed. What the servers make of them depends
    /// on the machine too, so that a failure need not come back with its seed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Servers of the cluster.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=9))]
    servers: u16,
    /// Raft groups of the cluster.
    #[arg(long, default_value_t = 4, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=8))]
    groups: u16,
    /// What acknowledged writes survive: fsync or os. None of the faults hurts the operating system, so nothing may be lost
    /// with os either.
    #[arg(long, default_value = "fsync", value_name = "D", value_parser = durability)]
    durability: Durability,
    /// Run on loopback, without faults of the network, even where namespaces are possible.
    #[arg(long)]
    loopback: bool,
    /// Keep all histories here, in the forms that other checkers read, and the logs of all servers.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

const MANUAL: &str = "\
Exit status: 0 if nothing was wrong, 1 if something was, 2 if it could not run. If something was wrong, the directory \
with the servers' logs and data is kept, and printed; it holds a log of all faults (faults.log), what is wrong \
(violation.txt), and the history that has no explanation, if it is one (history.jsonl).

An interrupt (Ctrl-C) ends the run early, with its table.

NIAGARA_BIN names another binary of the servers than the workspace's, which is built if needed.";

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes: &f64| *minutes > 0.0 && *minutes <= 1e6);
    minutes.ok_or_else(|| "a number above 0, like 15 or 0.5".into())
}

/// With `memory`, servers that were killed must not come back, and here they do.
fn durability(text: &str) -> Result<Durability, String> {
    let durability = text.parse().ok().filter(|durability| *durability != Durability::Memory);
    durability.ok_or_else(|| "fsync or os".into())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whichever thread panics, nothing stays behind.
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        print(panicked);
        Namespaces::remove_all_of_this_process();
    }));
    let end = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&end)).expect("these signals can be caught");
    }
    let plan = CampaignPlan {
        servers: arguments.servers,
        groups: arguments.groups,
        time: Duration::from_secs_f64(60.0 * arguments.minutes),
        seed: arguments.seed.unwrap_or_else(|| RandomState::new().hash_one(0)),
        durability: arguments.durability,
        loopback: arguments.loopback.then(|| "--loopback was given".into()),
        keep: arguments.keep.clone(),
    };
    let command = command(&plan, &arguments);
    say!("{command}");
    let mut watcher = Watcher::new(plan.time);
    let report = plan.run(&end, |progress| watcher.see(progress));
    watcher.bar.finish_and_clear();
    match report {
        Ok(report) => conclude(&report, &command),
        Err(error) => {
            output::note(format_args!("the network failed: {error}"));
            ExitCode::from(2)
        }
    }
}

/// What does the same again, as far as the machine lets it.
fn command(plan: &CampaignPlan, arguments: &Arguments) -> String {
    format!(
        "cargo run --release -p niagara-tests --bin faults -- --minutes {} --seed {} --servers {} --groups {} --durability {}{}",
        arguments.minutes,
        plan.seed,
        plan.servers,
        plan.groups,
        plan.durability.name(),
        if arguments.loopback { " --loopback" } else { "" }
    )
}

fn conclude(report: &Report, command: &str) -> ExitCode {
    output::print(format_args!("{}", report.table));
    let Some(violation) = &report.violation else {
        say!("violations                                         0");
        return ExitCode::SUCCESS;
    };
    say!("violations                                         1\n");
    let (shown, rest) = violation.what.split_at(violation.what.floor_char_boundary(SHOWN));
    say!("{shown}{}\n", if rest.is_empty() { "" } else { " ... (all of it is in violation.txt)" });
    say!("files:   {}\ncommand: {command}", violation.directory.display());
    ExitCode::FAILURE
}

/// Bytes of a violation's text that are printed: histories can be long.
const SHOWN: usize = 4000;

/// Shows how it goes: a bar on a terminal, or else a line now and then.
struct Watcher {
    bar: ProgressBar,
    is_terminal: bool,
    next_line: Instant,
}

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(30);

impl Watcher {
    fn new(time: Duration) -> Watcher {
        let bar = ProgressBar::new(time.as_secs());
        let style = "{bar:30} {pos}/{len} s under faults  {msg}";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is correct"));
        Watcher { bar, is_terminal: io::stderr().is_terminal(), next_line: Instant::now() + LINES }
    }

    fn see(&mut self, progress: Progress) {
        let Progress { time, operations, faults, broken, histories } = progress;
        let text =
            format!("{operations} operations, {faults} faults ({broken} now), {histories} histories checked");
        if self.is_terminal {
            self.bar.set_position(time.as_secs());
            self.bar.set_message(text);
        } else if Instant::now() >= self.next_line {
            self.next_line = Instant::now() + LINES;
            output::note(format_args!("{} s under faults: {text}", time.as_secs()));
        }
    }
}
