//! `attack`: everything that strangers can do to the ports of real servers at once, beside a customer who behaves.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use niagara_tests::attack::AttackPlan;
use niagara_tests::{output, say};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Starts three real servers, measures a customer for a while, and measures it again while strangers hold idle connections,
/// write slowly, ask and do not read, and send rubbish to every port, each from an address of its own on the loopback.
///
/// Checked are: that none of the customer's requests fails; that its 99th percentile stays within five times what it was,
/// and 20 ms; that what servers hold for clients stays in their budget, and their memory near it; that all servers serve
/// afterwards; that none has panicked; and that the attack took place.
///
/// Exit status: 0 if all that holds, 1 if not.
#[derive(Parser)]
#[command(name = "attack", max_term_width = 100)]
struct Arguments {
    /// How long the customer is measured alone, and again among strangers, in seconds.
    #[arg(long, default_value_t = 60.0, value_name = "S", value_parser = seconds)]
    seconds: f64,
    /// Idle connections, over all servers.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    idle: usize,
    /// Connections that write a byte a second.
    #[arg(long, default_value_t = 100, value_name = "N")]
    slow_writers: usize,
    /// Connections that ask and do not read.
    #[arg(long, default_value_t = 100, value_name = "N")]
    deaf_readers: usize,
    /// New connections a second that send rubbish.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    rubbish: u32,
    /// Memory for clients at each server, in MiB: `all_clients_mib`.
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    budget_mib: u64,
    /// The customer's requests a second at each server.
    #[arg(long, default_value_t = 100.0, value_name = "R", value_parser = seconds)]
    rate: f64,
    /// The strangers attack ports of this program instead of the servers'. What the customer sees then is the part of the
    /// machine, which has few processors for all of them, and not that of the servers. Both ends of each connection are open files
    /// of this program then, which --idle 8000 leaves room for where the limit is 20,000.
    #[arg(long)]
    elsewhere: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 1e6);
    number.ok_or_else(|| "a number above 0, like 30".into())
}

fn main() -> ExitCode {
    let Arguments { seconds, idle, slow_writers, deaf_readers, rubbish, budget_mib, rate, elsewhere } =
        Arguments::parse();
    // Idle connections are open files here, too; servers raise their own limit.
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        output::note(format_args!("cannot raise the limit of open files: {error}"));
    }
    let plan = AttackPlan {
        time: Duration::from_secs_f64(seconds),
        idle,
        slow_writers,
        deaf_readers,
        rubbish_per_second: rubbish,
        budget_mib,
        rate,
        elsewhere,
    };
    let needed = plan.open_files();
    if let Some(most) = limit.maximum.filter(|most| *most < needed) {
        output::note(format_args!(
            "this takes {needed} open files, and the system allows {most}: raise the limit (ulimit -n), or lower --idle"
        ));
        return ExitCode::FAILURE;
    }
    let report = plan.run(|step| output::note(format_args!("{step}")));
    say!("{report}");
    let faults = report.faults();
    faults.iter().for_each(|fault| say!("{fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
