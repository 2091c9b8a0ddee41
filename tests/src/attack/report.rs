//! What an attack has shown, and whether it is as it has to be.

use std::fmt;

use super::watch::Watch;
use super::{AttackPlan, Done, Processors, Seen};

/// What an attack has shown.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) plan: AttackPlan,
    pub(super) calm: Seen,
    pub(super) attacked: Seen,
    pub(super) memory_before: Watch,
    pub(super) memory: Watch,
    pub(super) processors_before: Processors,
    pub(super) processors: Processors,
    pub(super) done: Done,
    pub(super) answers: bool,
    pub(super) panicked: Vec<u64>,
}

/// Among strangers, the customer's 99th percentile may be this many times as long,
const TIMES: f64 = 5.0;
/// and this much longer besides: strangers need the same processors as the servers.
const MORE_MILLIS: f64 = 20.0;
/// What a process may take beside the budget: each connection's own few KiB, and memory that the allocator keeps.
const BESIDE_MIB: u64 = 64;
/// A read of a thread that exceeds the budget: at most one for each connection that is read at that moment.
const OVER_BYTES: u64 = 1 << 20;

const MIB: u64 = 1 << 20;

impl Report {
    /// What is not as it has to be, in words.
    pub fn faults(&self) -> Vec<String> {
        let most = self.calm.millis(0.99) * TIMES + MORE_MILLIS;
        let p99 = self.attacked.millis(0.99);
        let slow = (p99 > most).then(|| format!("the customer's p99 is {p99:.1} ms, more than {most:.1} ms"));
        slow.into_iter().chain(self.faults_but_speed()).collect()
    }

    /// What each kind of threads has used of the processors, in milliseconds per second.
    fn write_processors(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = |nanos: u64| nanos as f64 / 1e6 / self.plan.time.as_secs_f64();
        let (before, with) = (&self.processors_before, &self.processors);
        let rows = [
            ("servers", before.servers, with.servers),
            ("their front ends", before.fronts, with.fronts),
            ("customer", before.customer, with.customer),
            ("strangers", before.strangers, with.strangers),
        ];
        for (name, before, with) in rows {
            let (before, with) = (per_second(before.ran), per_second(with.ran));
            writeln!(out, "{:<34}{before:>12.1}{with:>18.1}", format!("{name}, processor time (ms/s)"))?;
        }
        for (name, before, with) in &rows[..3] {
            let (before, with) = (per_second(before.waited), per_second(with.waited));
            writeln!(out, "{:<34}{before:>12.1}{with:>18.1}", format!("{name}, wait for it (ms/s)"))?;
        }
        Ok(())
    }

    /// The same without how long the customer waits, where other programs run beside this one.
    pub fn faults_but_speed(&self) -> Vec<String> {
        let Report { plan, calm, attacked, memory_before, memory, done, answers, panicked, .. } = self;
        let mut faults = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                faults.push(what);
            }
        };
        for (seen, when) in [(calm, "alone"), (attacked, "among strangers")] {
            let first = seen.first_failure.as_deref().unwrap_or_default();
            check(
                seen.failed == 0,
                format!("{} requests of the customer failed {when}: {first}", seen.failed),
            );
        }
        let most = memory.budget + OVER_BYTES;
        check(memory.held <= most, format!("a server has held {} bytes of at most {most}", memory.held));
        let grown = memory.resident.saturating_sub(memory_before.resident);
        let most = memory.budget + BESIDE_MIB * MIB;
        check(grown <= most, format!("a server has grown by {} MiB", grown / MIB));
        check(*answers, "a server does not serve afterwards".into());
        check(panicked.is_empty(), format!("servers {panicked:?} have panicked"));
        // An attack that did not take place shows nothing.
        check(done.idle * 10 >= plan.idle * 9, format!("only {} connections were idle", done.idle));
        let expected = (f64::from(plan.rubbish_per_second) * plan.time.as_secs_f64() / 2.0) as usize;
        check(done.rubbish >= expected, format!("only {} connections sent rubbish", done.rubbish));
        check(done.slow_writers >= plan.slow_writers, "slow writers were missing".into());
        check(done.deaf_readers >= plan.deaf_readers, "deaf readers were missing".into());
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { plan, calm, attacked, memory_before, memory, done, .. } = self;
        writeln!(out, "{:<34}{:>12}{:>18}", "", "alone", "among strangers")?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("longest", 1.0)] {
            let (before, with) = (calm.millis(quantile), attacked.millis(quantile));
            writeln!(out, "{:<34}{before:>12.2}{with:>18.2}", format!("customer, {name} (ms)"))?;
        }
        let (before, with) = (calm.micros.len(), attacked.micros.len());
        writeln!(out, "{:<34}{before:>12}{with:>18}", "requests answered")?;
        writeln!(out, "{:<34}{:>12}{:>18}", "requests failed", calm.failed, attacked.failed)?;
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        let (before, with) = (mib(memory_before.held), mib(memory.held));
        writeln!(out, "{:<34}{before:>12.1}{with:>18.1}", format!("held, of {} MiB", plan.budget_mib))?;
        let (before, with) = (mib(memory_before.resident), mib(memory.resident));
        writeln!(out, "{:<34}{before:>12.1}{with:>18.1}", "memory of a server (MiB)")?;
        self.write_processors(out)?;
        writeln!(out, "{:<34}{:>30}", "idle connections", done.idle)?;
        writeln!(out, "{:<34}{:>30}", "slow writers, opened", done.slow_writers)?;
        writeln!(out, "{:<34}{:>30}", "deaf readers, opened", done.deaf_readers)?;
        writeln!(out, "{:<34}{:>30}", "connections with rubbish", done.rubbish)
    }
}
