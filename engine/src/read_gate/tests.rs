use std::sync::Weak;
use std::time::Duration;

use niagara_sequencer::epoch::{Chain, Epoch, Terms};

use super::*;
use crate::progress::ByteLimits;

/// Reads again whenever it is notified, as a task's waker may do, and expects the gate to be unlocked.
struct ReadsAgain {
    gate: Weak<ReadGate>,
    heard: Mutex<Vec<&'static str>>,
}

impl ReadsAgain {
    fn hear(&self, what: &'static str) {
        let gate = self.gate.upgrade().expect("the gate lives");
        assert!(gate.waiting.try_lock().is_some(), "nobody is told anything under the lock");
        gate.read_strong(reads(&Arc::new(Silent), Duration::ZERO), || None);
        self.heard.lock().push(what);
    }
}

impl ReadSink for ReadsAgain {
    fn readable(&self, _: &[u64], _: GlobalPosition) {
        self.hear("readable");
    }
    fn failed(&self, _: &[u64]) {
        self.hear("failed");
    }
}

struct Silent;

impl ReadSink for Silent {
    fn readable(&self, _: &[u64], _: GlobalPosition) {}
    fn failed(&self, _: &[u64]) {}
}

fn reads(sink: &Arc<impl ReadSink + 'static>, patience: Duration) -> ReadBatch {
    let (sink, queued) = (Arc::clone(sink) as Arc<dyn ReadSink>, Instant::now());
    ReadBatch { sink, tokens: vec![1], queued, deadline: queued + patience }
}

/// Reads with their positions as tokens.
fn at_least(sink: &Arc<impl ReadSink + 'static>, positions: &[u64], patience: Duration) -> AtLeastBatch {
    let ReadBatch { sink, queued, deadline, .. } = reads(sink, patience);
    let reads = positions.iter().map(|position| (GlobalPosition::new(*position), *position)).collect();
    AtLeastBatch { sink, reads, queued, deadline }
}

#[derive(Default)]
struct Told(Mutex<Vec<Vec<u64>>>);

impl ReadSink for Told {
    fn readable(&self, tokens: &[u64], _: GlobalPosition) {
        self.0.lock().push(tokens.to_vec());
    }
    fn failed(&self, tokens: &[u64]) {
        self.0.lock().push([&[0], tokens].concat());
    }
}

struct Fixture {
    progress: Arc<SharedProgress>,
    gate: Arc<ReadGate>,
    sink: Arc<ReadsAgain>,
}

impl Fixture {
    fn new() -> Self {
        let terms = Terms { groups: 1, members: vec![1], level: 1, ..Terms::default() };
        let chain = Chain::genesis(terms).unwrap();
        let progress = Arc::new(SharedProgress::new(
            EpochProgress::new(&chain, Epoch::FIRST),
            1,
            ByteLimits { behind: u64::MAX, merge: u64::MAX },
        ));
        let metrics = Arc::new(Metrics::new(1));
        let gate = Arc::new(ReadGate::new(Layout::new(1), Arc::clone(&progress), metrics, 6, 40));
        let sink = Arc::new(ReadsAgain { gate: Arc::downgrade(&gate), heard: Mutex::default() });
        Fixture { progress, gate, sink }
    }

    fn strong(&self, patience: Duration) {
        self.gate.read_strong(reads(&self.sink, patience), || None);
    }

    fn at_least(&self, position: u64, patience: Duration) {
        self.gate.read_at_least(at_least(&self.sink, &[position], patience));
    }

    fn heard(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.sink.heard.lock())
    }
}

const LONG: Duration = Duration::from_secs(1000);

#[test]
fn whoever_hears_of_a_read_may_read_again() {
    let fixture = Fixture::new();
    fixture.strong(LONG);
    fixture.gate.answered(1, 0);
    assert_eq!(fixture.heard(), ["readable"], "by a quorum's answer");

    fixture.at_least(0, LONG);
    assert_eq!(fixture.heard(), ["readable"], "at once");

    fixture.at_least(1, LONG);
    fixture.progress.applied.store(1, SeqCst);
    fixture.gate.applied(GlobalPosition::new(1));
    assert_eq!(fixture.heard(), ["readable"], "by execution");

    fixture.strong(Duration::ZERO);
    fixture.at_least(9, Duration::ZERO);
    fixture.gate.tick(Instant::now(), false);
    assert_eq!(fixture.heard(), ["failed", "failed"], "by a deadline");

    fixture.strong(LONG);
    fixture.at_least(9, LONG);
    fixture.gate.close();
    assert_eq!(fixture.heard(), ["failed", "failed"], "by the server's end");

    fixture.strong(LONG);
    fixture.at_least(0, LONG);
    assert_eq!(fixture.heard(), ["failed", "failed"], "after the server's end");
}

/// Reads that were queued at once for many positions proceed as their positions are executed, each once.
#[test]
fn at_least_reads_of_one_batch_proceed_by_their_positions() {
    let fixture = Fixture::new();
    let told = Arc::new(Told::default());
    let patience = Duration::from_secs(60);
    fixture.gate.read_at_least(at_least(&told, &[7, 3, 9, 3, 20], patience));
    fixture.gate.read_at_least(at_least(&told, &[4, 30], Duration::ZERO));
    let heard = |applied| {
        fixture.progress.applied.store(applied, SeqCst);
        fixture.gate.applied(GlobalPosition::new(applied));
        let mut heard = std::mem::take(&mut *told.0.lock());
        heard.iter_mut().for_each(|tokens| tokens.sort_unstable());
        heard
    };
    assert!(heard(2).is_empty());
    assert_eq!(heard(3), [[3, 3]]);
    assert_eq!(heard(8), [[4], [7]]);
    fixture.gate.tick(Instant::now(), false);
    assert_eq!(heard(8), [[0, 30]], "its deadline has passed");
    assert_eq!(heard(9), [[9]]);
    assert_eq!(heard(100), [[20]]);
    assert_eq!(fixture.gate.wanted.load(SeqCst), u64::MAX, "nobody waits any more");
}

#[test]
fn a_lease_serves_all_reads_that_wait() {
    let fixture = Fixture::new();
    fixture.strong(LONG);
    let known = |place| Some(Slot { place, group: GroupId::new(1) });
    fixture.gate.read_strong(reads(&fixture.sink, LONG), || known(1));
    assert!(fixture.heard().is_empty(), "position 1 is not executed");
    fixture.progress.applied.store(1, SeqCst);
    fixture.gate.applied(GlobalPosition::new(1));
    assert_eq!(fixture.heard(), ["readable", "readable"]);
    fixture.gate.read_strong(reads(&fixture.sink, LONG), || known(1));
    assert_eq!(fixture.heard(), ["readable"], "at once");
}
