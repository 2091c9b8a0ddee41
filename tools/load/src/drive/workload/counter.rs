//! Increments of a few counters that all connections share. In the end each has grown by every acknowledged increment, and by
//! none that nobody sent.

use std::collections::BTreeMap;
use std::io::Write as _;

use niagara_engine::Consistency;
use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::{Findings, Phase, Share, Workload};
use crate::drive::keys::choices;
use crate::drive::operation::{Operation, Outcome, Verb};
use crate::drive::options::CounterOptions;
use crate::drive::report::Check;

pub(super) struct Counters {
    phase: Phase,
    seed: u64,
    count: u32,
    random: SmallRng,
    counted: BTreeMap<u32, Counted>,
    /// Counters that this thread has still to look at.
    to_read: Vec<u32>,
    /// Those that it looks at in every phase that does.
    own: Vec<u32>,
    /// By place: the counter that is in flight.
    in_flight: Vec<u32>,
}

/// What is known of one counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Before the first increment.
    begun: Option<Value>,
    /// After the last.
    ended: Option<Value>,
    acknowledged: u64,
    /// Increments whose outcome is unknown.
    unknown: u64,
}

/// What a read has found: a number, or what else.
type Value = Result<i64, String>;

impl Counted {
    /// Adds what another thread knows.
    pub fn add(&mut self, other: &Counted) {
        self.begun = self.begun.take().or_else(|| other.begun.clone());
        self.ended = self.ended.take().or_else(|| other.ended.clone());
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
    }

    /// Whether the counter is where it must be; if not, what is wrong.
    fn judge(&self) -> Result<(), String> {
        let Counted { begun, ended, acknowledged, unknown } = self;
        let value = |when: &str, read: &Option<Value>| match read {
            Some(Ok(value)) => Ok(*value),
            Some(Err(text)) => Err(format!("holds {text:?} {when}, which is no number")),
            None => Err(format!("could not be read {when}")),
        };
        let (begun, ended) = (value("before the run", begun)?, value("after the run", ended)?);
        let grown = i128::from(ended) - i128::from(begun);
        let all = acknowledged + unknown;
        if grown < i128::from(*acknowledged) {
            let lost = i128::from(*acknowledged) - grown;
            Err(format!("grew by {grown}, but {acknowledged} increments were acknowledged: {lost} are lost"))
        } else if grown > i128::from(all) {
            Err(format!(
                "grew by {grown}, but only {acknowledged} increments were acknowledged and {unknown} are of unknown outcome: \
                 some were executed twice, or somebody else counts"
            ))
        } else {
            Ok(())
        }
    }
}

/// Judges every counter.
pub(super) fn judge(counted: &BTreeMap<u32, Counted>, seed: u64, check: &mut Check) {
    for (number, counted) in counted {
        check.checked += 1;
        if let Err(why) = counted.judge() {
            check.failed.push(format!("counter-{seed}-{number} {why}"));
        }
    }
}

impl Counters {
    pub fn new(options: &CounterOptions, seed: u64, share: Share) -> Counters {
        let own = (0..options.counters).skip(share.thread).step_by(share.threads).collect();
        Counters {
            phase: Phase::Prepare,
            seed,
            count: options.counters,
            random: choices(seed, share.thread as u64),
            counted: BTreeMap::new(),
            to_read: Vec::new(),
            own,
            in_flight: vec![0; share.places],
        }
    }
}

impl Workload for Counters {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.to_read.clone_from(&self.own);
    }

    fn next(&mut self, place: usize, operation: &mut Operation) -> bool {
        let counter = if self.phase == Phase::Run {
            operation.verb = Verb::Increment;
            self.random.random_range(0..self.count)
        } else {
            operation.verb = Verb::Get(Consistency::Strong);
            let Some(counter) = self.to_read.pop() else { return false };
            counter
        };
        self.in_flight[place] = counter;
        operation.key.clear();
        write!(operation.key, "counter-{}-{counter}", self.seed).expect("a buffer takes all");
        true
    }

    fn done(&mut self, place: usize, outcome: &Outcome<'_>) {
        let counter = self.in_flight[place];
        let counted = self.counted.entry(counter).or_default();
        match (self.phase, outcome) {
            (Phase::Run, Outcome::Done(_)) => counted.acknowledged += 1,
            (Phase::Run, Outcome::Failed(trouble, _)) => counted.unknown += u64::from(trouble.is_unknown()),
            (_, Outcome::Failed(..)) => self.to_read.push(counter),
            (Phase::Prepare, Outcome::Done(done)) => counted.begun = Some(value(done.value)),
            (Phase::Check, Outcome::Done(done)) => counted.ended = Some(value(done.value)),
        }
    }

    fn findings(&mut self) -> Findings {
        Findings { counted: std::mem::take(&mut self.counted), ..Findings::default() }
    }
}

/// The number that a counter holds; one that is not there has not begun to count.
fn value(stored: Option<&[u8]>) -> Value {
    let text = String::from_utf8_lossy(stored.unwrap_or(b"0"));
    text.parse().map_err(|_| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::operation::{Done, Trouble};

    /// A run of two threads: each increments, as the outcomes say, and reads its share before and after.
    fn run(
        outcomes: &[Outcome<'static>],
        before: Option<&'static [u8]>,
        after: Option<&'static [u8]>,
    ) -> Vec<String> {
        let mut findings = Findings::default();
        let read = |value| Outcome::Done(Done { position: 0, value });
        for thread in 0..2 {
            let share = Share { thread, threads: 2, first_place: thread, places: 1, pipeline: 1 };
            let mut counters = Counters::new(&CounterOptions { counters: 1 }, 5, share);
            let mut operation = Operation::new();
            counters.enter(Phase::Prepare);
            while counters.next(0, &mut operation) {
                assert_eq!(operation.key, b"counter-5-0");
                counters.done(0, &read(before));
            }
            counters.enter(Phase::Run);
            for outcome in outcomes {
                assert!(counters.next(0, &mut operation));
                counters.done(0, outcome);
            }
            counters.enter(Phase::Check);
            let mut fails = true;
            while counters.next(0, &mut operation) {
                let failed = Outcome::Failed(Trouble::NoQuorum, b"");
                counters.done(0, &if std::mem::take(&mut fails) { failed } else { read(after) });
            }
            findings.add(counters.findings());
        }
        let mut check = Check::default();
        judge(&findings.counted, 5, &mut check);
        assert_eq!(check.checked, 1);
        check.failed
    }

    #[test]
    fn a_counter_has_every_acknowledged_increment_and_no_other() {
        let done = || Outcome::Done(Done::default());
        let unknown = || Outcome::Failed(Trouble::Lost, b"");
        let refused = || Outcome::Failed(Trouble::Overloaded, b"");
        // Of each thread: four acknowledged, one unknown, one without effect. Eight to ten in all.
        let outcomes = [done(), done(), unknown(), done(), refused(), done()];
        for (before, after) in [(None, "8"), (None, "10"), (Some(b"100".as_slice()), "109")] {
            assert_eq!(run(&outcomes, before, Some(after.as_bytes())), [""; 0], "{after}");
        }
        for (before, after, expected) in [
            (None, Some("7"), "1 are lost"),
            (Some(b"1".as_slice()), None, "9 are lost"),
            (None, Some("11"), "executed twice"),
            (None, Some("x"), "no number"),
        ] {
            let failed = run(&outcomes, before, after.map(str::as_bytes));
            assert!(failed.len() == 1 && failed[0].contains(expected), "{failed:?}");
        }
    }

    #[test]
    fn a_counter_that_nobody_could_read_fails() {
        let counted = Counted { acknowledged: 1, begun: Some(Ok(0)), ..Counted::default() };
        assert_eq!(counted.judge(), Err("could not be read after the run".into()));
    }
}
