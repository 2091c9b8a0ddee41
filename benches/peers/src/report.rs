//! What runs have shown, as a table for people and as JSON for programs.

use niagara_measure::{Cell, Latency, ResultTable};
use serde::Serialize;

use crate::window::Loaded;
use crate::work::{Durability, Peer, PeerWork};

/// What a run has shown.
#[derive(Clone, Debug, Serialize)]
pub struct PeerReport {
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
pub enum PeerOutcome {
    /// It was measured.
    Measured(PeerReport),
    /// It cannot be measured here.
    Skipped {
        /// What.
        peer: Peer,
        /// Why, and what to do about it.
        skipped: String,
    },
}

impl PeerReport {
    /// Of what a load has seen, and the processor seconds of the replicas and of the load in the window.
    pub fn new(
        peer: Peer,
        version: String,
        work: &PeerWork,
        loaded: &Loaded,
        servers_cpu: f64,
        client_cpu: Option<f64>,
    ) -> PeerReport {
        // Without a single completion, rates are infinite, which JSON does not know.
        let commands = loaded.in_window.max(1) as f64;
        let per_million = |seconds: f64| seconds / commands * 1e6;
        PeerReport {
            peer,
            version,
            command: work.command_line(peer),
            payload: work.payload,
            durability: work.durability,
            in_flight: work.in_flight,
            seconds: work.seconds,
            commands_per_second: loaded.in_window as f64 / f64::from(work.seconds),
            latency_ms: loaded.latency_ms,
            cpu_seconds_per_million_commands: per_million(servers_cpu),
            commands_per_cpu_second: loaded.in_window as f64 / servers_cpu.max(0.01),
            client_cpu_seconds_per_million: client_cpu.map(per_million),
        }
    }
}

/// A table of all runs that were measured, and the reasons of those that were not.
pub fn text(outcomes: &[PeerOutcome]) -> String {
    let columns = [
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
    ];
    let mut table = ResultTable::new("peers", "Commands through three replicas on this machine", columns);
    let mut reasons = Vec::new();
    for outcome in outcomes {
        match outcome {
            PeerOutcome::Measured(report) => table.row(cells(report)),
            PeerOutcome::Skipped { peer, skipped } => {
                reasons.push(format!("{peer} was skipped: {skipped}\n"));
            }
        }
    }
    reasons.dedup();
    table.aligned() + &reasons.concat()
}

fn cells(report: &PeerReport) -> [Cell; 13] {
    let Latency { p50, p90, p99, p99_9, .. } = report.latency_ms;
    [
        report.peer.to_string().into(),
        report.version.as_str().into(),
        u64::from(report.payload).into(),
        report.durability.to_string().into(),
        u64::from(report.in_flight).into(),
        Cell::Number(report.commands_per_second, 0),
        Cell::Number(p50, 2),
        Cell::Number(p90, 2),
        Cell::Number(p99, 2),
        Cell::Number(p99_9, 2),
        Cell::Number(report.cpu_seconds_per_million_commands, 2),
        Cell::Number(report.commands_per_cpu_second, 0),
        // Where the load is no process of its own, there is no such number.
        Cell::Number(report.client_cpu_seconds_per_million.unwrap_or(f64::NAN), 2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_given_once() {
        let skipped = PeerOutcome::Skipped { peer: Peer::Etcd, skipped: "there is none".to_owned() };
        let text = text(&[skipped.clone(), skipped]);
        assert_eq!(text.lines().skip(2).collect::<Vec<_>>(), ["etcd was skipped: there is none"]);
    }

    #[test]
    fn rates_are_of_the_window() {
        let work = PeerWork {
            payload: 16,
            durability: Durability::Memory,
            in_flight: 10,
            seconds: 4,
            dir: std::env::temp_dir(),
        };
        let latency_ms = Latency { p50: 1.0, p90: 2.0, p99: 3.0, p99_9: 4.0, max: 5.0 };
        let loaded = Loaded { proposed: 3_000_000, in_window: 2_000_000, latency_ms };
        let report = PeerReport::new(Peer::RaftRs, "1".to_owned(), &work, &loaded, 8.0, Some(1.0));
        assert_eq!(report.commands_per_second, 500_000.0);
        assert_eq!(report.cpu_seconds_per_million_commands, 4.0);
        assert_eq!(report.commands_per_cpu_second, 250_000.0);
        assert_eq!(report.client_cpu_seconds_per_million, Some(0.5));
    }
}
