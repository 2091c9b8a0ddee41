//! What runs have shown, as a table for people and as JSON for programs.

use serde::Serialize;

use crate::plan::{Durability, Peer, Plan};
use crate::table::{Table, grouped};
use crate::window::{Latency, Loaded};

/// What a run has shown.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was measured,
    pub peer: Peer,
    /// in which version,
    pub version: String,
    /// and the command line that does it again.
    pub command: String,
    /// Bytes of each command.
    pub payload: u32,
    /// What an acknowledged command survives.
    pub durability: Durability,
    /// Commands under way at any time.
    pub in_flight: u32,
    /// How long the window was.
    pub seconds: u32,
    /// Commands that completed in it, for each second.
    pub commands_per_second: f64,
    /// From the proposal to its completion.
    pub latency_ms: Latency,
    /// What all replicas together have used of the processors. With the crates, the load is in it.
    pub cpu_seconds_per_million_commands: f64,
    /// The inverse of that.
    pub commands_per_cpu_second: f64,
    /// What the load has used where it is a process of its own.
    pub client_cpu_seconds_per_million: Option<f64>,
}

/// A run, or why there was none.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It was measured.
    Measured(Report),
    /// It cannot be measured here.
    Skipped {
        /// What.
        peer: Peer,
        /// Why, and what to do about it.
        skipped: String,
    },
}

impl Report {
    /// Of what a load has seen, and the processor seconds of the replicas and of the load in the window.
    pub fn new(
        peer: Peer,
        version: String,
        plan: &Plan,
        loaded: &Loaded,
        servers_cpu: f64,
        client_cpu: Option<f64>,
    ) -> Report {
        // Without a single completion, rates are infinite, which JSON does not know.
        let commands = loaded.in_window.max(1) as f64;
        let per_million = |seconds: f64| seconds / commands * 1e6;
        Report {
            peer,
            version,
            command: plan.command_line(peer),
            payload: plan.payload,
            durability: plan.durability,
            in_flight: plan.in_flight,
            seconds: plan.seconds,
            commands_per_second: loaded.in_window as f64 / f64::from(plan.seconds),
            latency_ms: loaded.latency_ms,
            cpu_seconds_per_million_commands: per_million(servers_cpu),
            commands_per_cpu_second: loaded.in_window as f64 / servers_cpu.max(0.01),
            client_cpu_seconds_per_million: client_cpu.map(per_million),
        }
    }
}

/// The lines of a table of all runs that were measured, and the reasons of those that were not.
pub fn lines(outcomes: &[Outcome]) -> Vec<String> {
    let mut table = Table::new([
        "peer",
        "version",
        "payload",
        "durability",
        "in flight",
        "commands/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU s/million",
        "commands/CPU s",
        "client CPU s/million",
    ]);
    let mut reasons = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Measured(report) => table.row(cells(report)),
            Outcome::Skipped { peer, skipped } => reasons.push(format!("{peer} was skipped: {skipped}")),
        }
    }
    reasons.dedup();
    table.lines().chain(reasons).collect()
}

fn cells(report: &Report) -> [String; 13] {
    let latency = &report.latency_ms;
    let ms = |value: f64| format!("{value:.2}");
    [
        report.peer.to_string(),
        report.version.clone(),
        report.payload.to_string(),
        report.durability.to_string(),
        report.in_flight.to_string(),
        grouped(report.commands_per_second as u64),
        ms(latency.p50),
        ms(latency.p90),
        ms(latency.p99),
        ms(latency.p99_9),
        format!("{:.2}", report.cpu_seconds_per_million_commands),
        grouped(report.commands_per_cpu_second as u64),
        report.client_cpu_seconds_per_million.map_or("-".to_owned(), |seconds| format!("{seconds:.2}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_given_once() {
        let skipped = Outcome::Skipped { peer: Peer::Etcd, skipped: "there is none".to_owned() };
        let lines = lines(&[skipped.clone(), skipped]);
        assert_eq!(lines[1..], ["etcd was skipped: there is none"]);
    }

    #[test]
    fn rates_are_of_the_window() {
        let plan = Plan {
            payload: 16,
            durability: Durability::Memory,
            in_flight: 10,
            seconds: 4,
            dir: std::env::temp_dir(),
        };
        let latency_ms = Latency { p50: 1.0, p90: 2.0, p99: 3.0, p99_9: 4.0 };
        let loaded = Loaded { proposed: 3_000_000, in_window: 2_000_000, latency_ms };
        let report = Report::new(Peer::RaftRs, "1".to_owned(), &plan, &loaded, 8.0, Some(1.0));
        assert_eq!(report.commands_per_second, 500_000.0);
        assert_eq!(report.cpu_seconds_per_million_commands, 4.0);
        assert_eq!(report.commands_per_cpu_second, 250_000.0);
        assert_eq!(report.client_cpu_seconds_per_million, Some(0.5));
    }
}
