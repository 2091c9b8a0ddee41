//! `endless`: writes without end to the same keys, and whether disk and memory stay bounded.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use niagara_tests::measuring::{EndlessReport, EndlessRun};
use niagara_tests::say;

/// Starts three real servers with small limits, writes the same keys as fast as it goes, and looks at disk and memory every few
/// seconds. Figures are maxima over the servers.
///
/// Exit status: 0 if nothing grew, 1 if something did: its largest figure in the last third of the time is above that in the
/// first, which begins after a tenth of the time, by more than the tolerance.
#[derive(Parser)]
#[command(name = "endless", max_term_width = 100)]
struct Arguments {
    /// How long, in minutes.
    #[arg(long, default_value_t = 5.0, value_name = "M")]
    minutes: f64,
    /// Keys that are written over and over.
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 100, value_name = "B")]
    value_bytes: usize,
    /// Raft groups of the cluster.
    #[arg(long, default_value_t = 2, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=8))]
    groups: u16,
    /// Entries after which a snapshot is made.
    #[arg(long, default_value_t = 3000, value_name = "E", value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_entries: u64,
    /// By how much the last third's maximum may exceed the first third's.
    #[arg(long, default_value_t = 1.3, value_name = "X")]
    tolerance: f64,
}

/// Between two lines of the table.
const LINES: f64 = 10.0;

fn main() -> ExitCode {
    let Arguments { minutes, keys, value_bytes, groups, snapshot_entries, tolerance } = Arguments::parse();
    let time = Duration::from_secs_f64(60.0 * minutes);
    say!("{}", EndlessReport::TITLES);
    let mut next = 0.0;
    let run = EndlessRun { time, keys, value_bytes, groups, snapshot_entries, tolerance };
    let report = run.run(|reading| {
        if reading.seconds >= next {
            next = reading.seconds + LINES;
            say!("{reading}");
        }
    });
    report.verdicts.iter().for_each(|verdict| say!("{verdict}"));
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
