//! Throughput by the number of groups, with each group's thread held to a share of a core: two cores then stand for many slow ones.
//!
//! One round measures each number of groups once, so that a busy neighbour troubles all of them; medians are over the rounds. What
//! the quotas leave of the processors is spun away at the lowest priority, so that they never sleep.
//!
//! The capacity model: with a core for each thread, a cluster does the least of
//! R / (CPU time that a leader's group thread takes per command), and, whatever R, 1 / (that of the sequencer),
//! 1 / (that of the application), origins / (that of the front ends). Under quotas a group's thread has that share of a core instead.

use clap::Args;
use serde::Serialize;

use crate::append::{self, AppendOptions, Kind, Report};
use crate::awake::Awake;
use crate::failure::Failure;
use crate::grouped::grouped;
use crate::median::median;

/// Options of `niagara-load scaling`.
#[derive(Args, Clone, Debug)]
pub struct ScalingOptions {
    /// Numbers of groups to compare, the first with all others
    #[arg(long, default_value = "1,8", value_delimiter = ',', value_name = "R,R,...", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub groups: Vec<u16>,
    /// Percent of a core for each group's thread (needs root and cgroup v1)
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    pub group_quota: f64,
    /// Rounds: each measures every number of groups once
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rounds: u16,
    /// Length of each measured window, in seconds
    #[arg(long, default_value_t = 6.0, value_name = "S")]
    pub seconds: f64,
    /// Entries with commands that a group may have ahead of the merge
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub window: u16,
}

/// What one number of groups came to.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Raft groups, R.
    pub groups: u16,
    /// Commands per second, the median over the rounds.
    pub commands_per_second: f64,
    /// Times that of the first number of groups: the median over the rounds' own ratios.
    pub times_the_first: f64,
    /// The least and the greatest of these ratios.
    pub times_the_first_range: (f64, f64),
    /// What the model gives for the CPU time per command that was measured here.
    pub predicted: f64,
    /// Measured over predicted.
    pub measured_over_predicted: f64,
    /// CPU time of the leaders' group threads per million commands, the median over the rounds.
    pub leader_cpu_seconds_per_million_commands: f64,
    /// What the model gives with a whole core for each thread.
    pub with_a_core_per_thread: f64,
}

/// Measures all numbers of groups, round by round.
///
/// # Errors
/// As [`append::run`].
pub fn run(options: &ScalingOptions, mut progress: impl FnMut(u16, &Report)) -> Result<Vec<Point>, Failure> {
    let _awake = Awake::keep();
    let mut rounds: Vec<Vec<Report>> = Vec::new();
    for round in 1..=options.rounds {
        let mut reports = Vec::new();
        for groups in &options.groups {
            let report = append::run(&append_options(options, *groups))?;
            progress(round, &report);
            reports.push(report);
        }
        rounds.push(reports);
    }
    Ok((0..options.groups.len()).map(|at| point(options, &rounds, at)).collect())
}

fn append_options(options: &ScalingOptions, groups: u16) -> AppendOptions {
    AppendOptions {
        seconds: options.seconds,
        group_quota: Some(options.group_quota),
        window: options.window,
        ..AppendOptions::microbenchmark(groups)
    }
}

fn point(options: &ScalingOptions, rounds: &[Vec<Report>], at: usize) -> Point {
    let of = |figure: &dyn Fn(&Report) -> f64| median(rounds.iter().map(|reports| figure(&reports[at])));
    let ratios: Vec<f64> = rounds
        .iter()
        .map(|reports| reports[at].commands_per_second / reports[0].commands_per_second)
        .collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(0.0, f64::max);
    let measured = of(&|report| report.commands_per_second);
    let predicted = of(&|report| capacity(report, options.group_quota / 100.0));
    Point {
        groups: options.groups[at],
        commands_per_second: measured,
        times_the_first: median(ratios.into_iter()),
        times_the_first_range: (least, greatest),
        predicted,
        measured_over_predicted: measured / predicted,
        leader_cpu_seconds_per_million_commands: of(&|report| report.leader_cpu_seconds_per_million_commands),
        with_a_core_per_thread: of(&|report| capacity(report, 1.0)),
    }
}

/// The model, for the CPU time per command of this report, with this share of a core for each group's thread.
fn capacity(report: &Report, share: f64) -> f64 {
    let of = |kind| report.cpu_seconds_per_million_commands_by_thread[&kind].total;
    let per_second = |threads: f64, seconds_per_million: f64| threads * 1e6 / seconds_per_million.max(1e-9);
    // Sequencers and applications of the three servers do the same work; what the origins' applications do beside it, completing
    // tickets, is shared out like the groups.
    let servers = 3.0;
    let limits = [
        per_second(f64::from(report.groups) * share, report.leader_cpu_seconds_per_million_commands),
        per_second(servers, of(Kind::Sequencer)),
        per_second(servers, of(Kind::Application)),
        per_second(report.origins as f64, of(Kind::FrontEnd)),
    ];
    limits.into_iter().fold(f64::INFINITY, f64::min)
}

/// The points as a table.
pub fn table(points: &[Point]) -> String {
    let mut text = format!(
        "{:>3}  {:>14}  {:>16}  {:>14}  {:>18}  {:>13}  {:>20}\n",
        "R",
        "commands/s",
        "times the first",
        "predicted",
        "measured/predicted",
        "leader CPU/M",
        "a core per thread"
    );
    for point in points {
        let (least, greatest) = point.times_the_first_range;
        text += &format!(
            "{:>3}  {:>14}  {:>16}  {:>14}  {:>18.2}  {:>13.4}  {:>20}\n",
            point.groups,
            grouped(point.commands_per_second),
            format!("{:.2} ({least:.1}-{greatest:.1})", point.times_the_first),
            grouped(point.predicted),
            point.measured_over_predicted,
            point.leader_cpu_seconds_per_million_commands,
            grouped(point.with_a_core_per_thread),
        );
    }
    text
}
