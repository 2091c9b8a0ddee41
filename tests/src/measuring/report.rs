//! What a measurement has shown, as a table for people and as JSON for programs.

use std::fmt;

use serde_json::{Value, json};

use super::PhaseReport;

/// What a [`SnapshotRun`](super::SnapshotRun) has shown.
#[derive(Clone, Debug, Default)]
pub struct SnapshotReport {
    /// How long it took to load the keys.
    pub load_seconds: f64,
    /// One after the other.
    pub phases: Vec<PhaseReport>,
    /// The snapshots of the phases with snapshots, in order.
    pub made: Vec<Made>,
    /// A server that was killed and started at once.
    pub restart: Restart,
    /// One that was away until the logs of the others were compacted.
    pub transfer: Restart,
}

/// A snapshot that was made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// By which server.
    pub server: u64,
    /// The file's length.
    pub bytes: u64,
    /// From the request until it was durable.
    pub seconds: f64,
}

/// How a start went, in seconds since the process was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restart {
    /// Until it answered /status: it has read its snapshot and its logs.
    pub answers_seconds: f64,
    /// Positions that it had not executed by then, and the others had.
    pub behind: u64,
    /// Until it had executed all that another server had at that moment.
    pub caught_up_seconds: f64,
    /// Until a strong read through it was answered.
    pub ready_seconds: f64,
    /// Snapshots that it got from other servers,
    pub received: u64,
    /// and the most bytes that were seen of one.
    pub transfer_bytes: u64,
    /// Resident memory then.
    pub resident: u64,
}

const MIB: f64 = (1 << 20) as f64;

impl SnapshotReport {
    /// For programs.
    pub fn json(&self) -> Value {
        let phases: Vec<Value> = self.phases.iter().map(phase_json).collect();
        let made =
            |made: &Made| json!({ "server": made.server, "bytes": made.bytes, "seconds": made.seconds });
        json!({
            "load_seconds": self.load_seconds,
            "phases": phases,
            "snapshots": self.made.iter().map(made).collect::<Vec<_>>(),
            "restart": restart_json(&self.restart),
            "transfer": restart_json(&self.transfer),
        })
    }
}

fn phase_json(phase: &PhaseReport) -> Value {
    let [p50, p99, p999, max] = phase.latency_ms;
    let servers: Vec<Value> = phase
        .servers
        .iter()
        .map(|server| {
            let [before, peak, after] = server.resident;
            json!({
                "server": server.server,
                "freezes": server.freezes,
                "freeze_seconds": server.freeze_seconds,
                // Infinity has no place in JSON.
                "freeze_bound_seconds": server.freeze_bound_seconds.min(f64::MAX),
                "resident_bytes": { "before": before, "peak": peak, "after": after },
                "cpu_seconds": server.cpu_seconds,
            })
        })
        .collect();
    json!({
        "name": phase.name,
        "seconds": phase.seconds,
        "asked_per_second": phase.asked,
        "reached_per_second": phase.reached,
        "errors": phase.errors,
        "latency_ms": { "p50": p50, "p99": p99, "p99.9": p999, "max": max },
        "servers": servers,
    })
}

fn restart_json(restart: &Restart) -> Value {
    json!({
        "answers_seconds": restart.answers_seconds,
        "behind": restart.behind,
        "caught_up_seconds": restart.caught_up_seconds,
        "ready_seconds": restart.ready_seconds,
        "received": restart.received,
        "transfer_bytes": restart.transfer_bytes,
        "resident_bytes": restart.resident,
    })
}

impl fmt::Display for SnapshotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "loaded in {:.1} s\n", self.load_seconds)?;
        writeln!(
            f,
            "{:<22}{:>8}{:>9}{:>9}{:>7}{:>9}{:>9}{:>9}{:>9}",
            "phase", "s", "asked/s", "done/s", "errors", "p50 ms", "p99 ms", "p99.9", "max ms"
        )?;
        for phase in &self.phases {
            let [p50, p99, p999, max] = phase.latency_ms;
            let (name, seconds, asked, reached) = (phase.name, phase.seconds, phase.asked, phase.reached);
            write!(f, "{name:<22}{seconds:>8.1}{asked:>9.0}{reached:>9.0}{:>7}", phase.errors)?;
            writeln!(f, "{p50:>9.2}{p99:>9.2}{p999:>9.2}{max:>9.2}")?;
        }
        self.write_servers(f)?;
        writeln!(f, "\n{:<22}{:>8}{:>10}{:>9}{:>9}", "snapshot", "server", "MiB", "s", "MiB/s")?;
        for Made { server, bytes, seconds } in &self.made {
            let mib = *bytes as f64 / MIB;
            writeln!(f, "{:<22}{server:>8}{mib:>10.1}{seconds:>9.2}{:>9.1}", "", mib / seconds)?;
        }
        write_restart(f, "killed and restarted", &self.restart)?;
        write_restart(f, "away, then back", &self.transfer)
    }
}

impl SnapshotReport {
    fn write_servers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<22}{:>8}{:>9}{:>11}{:>11}{:>9}{:>9}{:>9}{:>8}",
            "phase", "server", "freezes", "sum ms", "at most ms", "RSS MiB", "peak", "after", "CPU s"
        )?;
        for phase in &self.phases {
            for server in &phase.servers {
                let [before, peak, after] = server.resident.map(|bytes| bytes as f64 / MIB);
                let (sum, bound) = (server.freeze_seconds * 1e3, server.freeze_bound_seconds * 1e3);
                write!(f, "{:<22}{:>8}{:>9}", phase.name, server.server, server.freezes)?;
                write!(f, "{sum:>11.3}{bound:>11.3}{before:>9.0}{peak:>9.0}{after:>9.0}")?;
                writeln!(f, "{:>8.1}", server.cpu_seconds)?;
            }
        }
        Ok(())
    }
}

fn write_restart(f: &mut fmt::Formatter<'_>, name: &str, restart: &Restart) -> fmt::Result {
    writeln!(
        f,
        "\n{name}: answers after {:.2} s, {} positions behind; caught up after {:.2} s; strong reads after {:.2} s; \
         snapshots received {}, {:.1} MiB; RSS {:.0} MiB",
        restart.answers_seconds,
        restart.behind,
        restart.caught_up_seconds,
        restart.ready_seconds,
        restart.received,
        restart.transfer_bytes as f64 / MIB,
        restart.resident as f64 / MIB
    )
}
