//! The demo's summary: a table for people, or JSON.

use std::fmt::Write as _;
use std::time::Duration;

use niagara_engine::agreement::Agreement;
use serde::Serialize;

use super::arguments::DemoArgs;
use super::load::{Kind, Tally};
use super::verdict::Findings;
use crate::output::pretty;
use crate::style::Paint;
use crate::table::{Table, grouped};
use crate::wrap::wrap;

/// What was run, how it went, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    servers: u16,
    groups: u16,
    durability: String,
    seconds: f64,
    commands: u64,
    commands_per_second: u64,
    latencies: Vec<Latencies>,
    failed: u64,
    acknowledged_increments: u64,
    counters: Vec<i64>,
    position: Option<u64>,
    noops: u64,
    digests_equal_at: Option<u64>,
    /// What does not hold; empty if all is well.
    problems: Vec<String>,
}

/// How long commands of one kind took, in microseconds, from sending their pipeline to the reply.
#[derive(Clone, Debug, Serialize)]
struct Latencies {
    kind: &'static str,
    commands: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
}

impl Summary {
    pub fn new(arguments: &DemoArgs, elapsed: Duration, tally: &Tally, findings: Findings) -> Self {
        let latencies = |kind: Kind| {
            let histogram = tally.latencies(kind);
            let [p50_us, p90_us, p99_us, p999_us] =
                [0.5, 0.9, 0.99, 0.999].map(|quantile| histogram.value_at_quantile(quantile));
            Latencies { kind: kind.name(), commands: histogram.len(), p50_us, p90_us, p99_us, p999_us }
        };
        let commands = tally.succeeded();
        Summary {
            servers: arguments.servers,
            groups: arguments.groups,
            durability: arguments.durability.to_string(),
            seconds: elapsed.as_secs_f64(),
            commands,
            commands_per_second: (commands as f64 / elapsed.as_secs_f64().max(1e-9)) as u64,
            latencies: Kind::ALL.map(latencies).into(),
            failed: tally.failed,
            acknowledged_increments: tally.acknowledged,
            problems: findings.problems(tally),
            position: findings.position,
            noops: findings.noops,
            digests_equal_at: match findings.agreement {
                Agreement::Agree { position } => Some(position),
                _ => None,
            },
            counters: findings.counters,
        }
    }

    /// Whether all servers agree, no request failed and nothing acknowledged was lost.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn json(&self) -> String {
        pretty(self)
    }

    /// For people, at this width.
    pub fn text(&self, paint: Paint, columns: usize) -> String {
        let Summary { servers, groups, durability, seconds, .. } = self;
        let (commands, rate) = (grouped(self.commands), grouped(self.commands_per_second));
        let mut text = format!(
            "{commands} commands in {seconds:.1} s: {} (servers: {servers}, groups: {groups}, durability: {durability})\n\n",
            paint.strong(format!("{rate} commands/s"))
        );
        for line in self.latency_lines(columns) {
            let _ = writeln!(text, "  {line}");
        }
        text.push('\n');
        for (good, line) in self.checks() {
            let mark = if good { paint.good("ok") } else { paint.bad("no") };
            let _ = writeln!(text, "  {mark}  {line}");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "\n{} {problem}", paint.bad("problem:"));
        }
        wrap(&text, columns)
    }

    /// A table, or a few lines for each kind if the table is too wide.
    fn latency_lines(&self, columns: usize) -> Vec<String> {
        let times =
            |kind: &Latencies| [kind.p50_us, kind.p90_us, kind.p99_us, kind.p999_us].map(milliseconds);
        let mut table = Table::new(["latency", "commands", "p50", "p90", "p99", "p99.9"]);
        for kind in &self.latencies {
            table.row([kind.kind.to_owned(), grouped(kind.commands)].into_iter().chain(times(kind)));
        }
        let lines: Vec<_> = table.lines().collect();
        if lines.iter().all(|line| line.len() + 2 <= columns) {
            return lines;
        }
        let narrow = self.latencies.iter().flat_map(|kind| {
            let [p50, p90, p99, p999] = times(kind);
            [
                format!("{}: {} commands", kind.kind, grouped(kind.commands)),
                format!("  p50 {p50}, p90 {p90}"),
                format!("  p99 {p99}, p99.9 {p999}"),
            ]
        });
        narrow.collect()
    }

    /// What was checked, and whether it holds.
    fn checks(&self) -> [(bool, String); 4] {
        let shown = |position: Option<u64>| position.map_or("none".to_owned(), grouped);
        let counted =
            self.counters.iter().all(|counter| u64::try_from(*counter) == Ok(self.acknowledged_increments));
        let (position, noops) = (shown(self.position), grouped(self.noops));
        let digests = match self.servers {
            1 => (true, "one server alone has no digests to compare".to_owned()),
            _ => {
                let position = shown(self.digests_equal_at);
                (
                    self.digests_equal_at.is_some(),
                    format!("digests of log and state equal at position: {position}"),
                )
            }
        };
        [
            (
                self.position.is_some(),
                format!("position applied on all servers: {position}, with {noops} no-ops"),
            ),
            digests,
            (
                counted,
                format!("increments acknowledged, and counted: {}", grouped(self.acknowledged_increments)),
            ),
            (self.failed == 0, format!("requests failed: {}", grouped(self.failed))),
        ]
    }
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:02} ms", grouped(micros / 1_000), micros % 1_000 / 10)
}

#[cfg(test)]
mod tests {
    use niagara_client::redis::Reply;
    use niagara_engine::Durability;

    use super::*;

    fn summary(counter: i64) -> Summary {
        let durability = Durability::Memory;
        let arguments =
            DemoArgs { servers: 3, groups: 4, durability, dir: None, seconds: Some(2), json: false };
        let mut tally = Tally::new();
        for value in 1..=1_000 {
            tally.take(Kind::Increment, Reply::Integer(value), Duration::from_micros(2_000));
        }
        let agreement = Agreement::Agree { position: 4_096 };
        let findings = Findings { position: Some(5_000), noops: 12, agreement, counters: vec![counter; 3] };
        Summary::new(&arguments, Duration::from_secs(2), &tally, findings)
    }

    #[test]
    fn the_text_says_all() {
        let text = summary(1_000).text(Paint::PLAIN, 100);
        assert_eq!(
            text,
            "\
1,000 commands in 2.0 s: 500 commands/s (servers: 3, groups: 4, durability: memory)

  latency      commands      p50      p90      p99    p99.9
  write               0  0.00 ms  0.00 ms  0.00 ms  0.00 ms
  strong read         0  0.00 ms  0.00 ms  0.00 ms  0.00 ms
  increment       1,000  2.00 ms  2.00 ms  2.00 ms  2.00 ms

  ok  position applied on all servers: 5,000, with 12 no-ops
  ok  digests of log and state equal at position: 4,096
  ok  increments acknowledged, and counted: 1,000
  ok  requests failed: 0
"
        );
    }

    #[test]
    fn it_fits_forty_columns() {
        for summary in [summary(1_000), summary(999)] {
            let text = summary.text(Paint::PLAIN, 40);
            assert!(text.lines().all(|line| line.len() <= 40), "{text}");
            assert!(text.contains("  increment: 1,000 commands\n    p50 2.00 ms, p90 2.00 ms\n"), "{text}");
        }
    }

    #[test]
    fn a_lost_increment_makes_it_bad() {
        assert!(summary(1_000).is_good());
        let bad = summary(999);
        assert!(!bad.is_good());
        let text = bad.text(Paint::PLAIN, 100);
        assert!(text.contains("  no  increments") && text.contains("problem: server 1 reads 999"), "{text}");
    }

    #[test]
    fn the_json_has_the_same() {
        let document: serde_json::Value = serde_json::from_str(&summary(999).json()).unwrap();
        assert_eq!(document["commands_per_second"], 500);
        assert_eq!(document["latencies"][2]["p99_us"], 2_000);
        assert_eq!(document["digests_equal_at"], 4_096);
        assert_eq!(document["problems"].as_array().unwrap().len(), 3);
    }
}
