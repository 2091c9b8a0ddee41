//! A report for people.

use std::fmt::{self, Display};

use niagara_measure::grouped;

use super::report::{AppendReport, CpuSeconds};
use super::threads::ThreadKind;

impl Display for AppendReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line =
            |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn Display| writeln!(f, "{name:<34}{value}");
        writeln!(f, "{}", self.command)?;
        line(f, "commands per second", &grouped(self.commands_per_second))?;
        line(f, "latency", &self.latency_ms)?;
        if self.reads_per_second > 0.0 {
            line(f, "strong reads per second", &grouped(self.reads_per_second))?;
            line(f, "their latency", &self.read_latency_ms)?;
        }
        line(f, "commands per CPU second", &grouped(self.commands_per_cpu_second))?;
        line(f, "cores used", &format!("{:.2}", self.cores_used))?;
        line(f, "CPU seconds per million commands", &self.cpu_seconds_per_million_commands)?;
        for kind in ThreadKind::ALL {
            let cpu = self.cpu_seconds_per_million_commands_by_thread[&kind];
            line(f, &format!("  {}", kind.name()), &cpu)?;
            if kind == ThreadKind::Group {
                line(
                    f,
                    "    of groups led there",
                    &format!("{:.4}", self.leader_cpu_seconds_per_million_commands),
                )?;
            }
        }
        line(f, "commands per entry", &format!("{:.1}", self.commands_per_entry))?;
        line(f, "no-ops per command", &format!("{:.3}", self.noops_per_command))?;
        line(f, "bytes on the wire per command", &format!("{:.1}", self.wire_bytes_per_command))?;
        line(f, "sleeps per 1,000 commands", &format!("{:.2}", self.sleeps_per_thousand_commands))?;
        let calls = match self.system_calls_per_thousand_commands {
            Some(calls) => format!("{calls:.2}"),
            None => self.system_calls_not_counted.clone().unwrap_or_default(),
        };
        line(f, "system calls per 1,000 commands", &calls)?;
        line(f, "log writes per second", &grouped(self.log_writes_per_second))?;
        if self.refused > 0 {
            line(f, "refused as overload, sent again", &grouped(self.refused as f64))?;
        }
        if self.unknown > 0 {
            line(f, "WITHOUT AN OUTCOME", &grouped(self.unknown as f64))?;
        }
        Ok(())
    }
}

impl Display for CpuSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CpuSeconds { total, user, kernel } = self;
        write!(f, "{total:.4} (user {user:.4}, kernel {kernel:.4})")
    }
}
