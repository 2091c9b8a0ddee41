//! A report for people, and its timeline for spreadsheets.

use std::fmt::{self, Display};

use niagara_measure::grouped;

use super::operation::{Kind, Trouble};
use super::report::LoadReport;

impl Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.command)?;
        for (kind, operation) in &self.operations {
            line(f, &format!("{kind}s per second"), &grouped(operation.per_second))?;
            line(f, "  latency", &operation.latency_ms)?;
        }
        if self.operations.len() > 1 {
            line(f, "all per second", &grouped(self.per_second))?;
            line(f, "  latency", &self.latency_ms)?;
        }
        if let Some(requested) = self.requested_per_second {
            line(f, "requested per second", &grouped(requested))?;
        }
        if self.backlog > 0 {
            line(
                f,
                "due, but not started by the end",
                &format!("{} (not in the figures above)", grouped(self.backlog as f64)),
            )?;
        }
        if self.misses > 0 {
            line(f, "reads that found no key", &grouped(self.misses as f64))?;
        }
        self.errors(f)?;
        if let Some(check) = &self.check {
            let failed = check.failed.len();
            let verdict = if failed == 0 { "all correct".into() } else { format!("{failed} FAILED") };
            line(f, "checked", &format!("{}: {verdict}", grouped(check.checked as f64)))?;
            check.failed.iter().try_for_each(|why| writeln!(f, "  {why}"))?;
        }
        Ok(())
    }
}

impl LoadReport {
    fn errors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.errors {
            let meaning = Trouble::named(kind).map_or("", Trouble::meaning);
            line(f, &format!("errors: {kind}"), &format!("{} ({meaning})", grouped(*count as f64)))?;
            if let Some(said) = self.said.get(kind) {
                line(f, "  the first", said)?;
            }
        }
        Ok(())
    }

    /// The timeline as comma-separated values, with a line of names.
    pub fn csv(&self) -> String {
        let kinds = Kind::ALL.map(Kind::name);
        let mut text =
            format!("at_seconds,completed,errors,{},p50_ms,p90_ms,p99_ms,max_ms\n", kinds.join(","));
        for interval in &self.timeline {
            let by_kind = kinds.map(|kind| interval.by_kind.get(kind).copied().unwrap_or(0).to_string());
            text += &format!(
                "{},{},{},{},{},{},{},{}\n",
                interval.at_seconds,
                interval.completed,
                interval.errors,
                by_kind.join(","),
                interval.p50_ms,
                interval.p90_ms,
                interval.p99_ms,
                interval.max_ms
            );
        }
        text
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "{name:<30}{value}")
}
