use std::sync::atomic::Ordering::SeqCst;

use niagara_log::LogEntry;
use niagara_sequencer::epoch::{Chain, Epoch, Terms};
use parking_lot::Mutex;

use super::*;
use crate::metrics::Metrics;
use crate::progress::{ByteLimits, EpochProgress};
use crate::read_gate::{ReadBatch, ReadSink};
use crate::server::followers::wire::{Entries, Follow};

const PATIENCE: Duration = Duration::from_secs(1);

/// A follower with the id 9, and the clock that it is under.
struct Rig {
    following: Following,
    progress: Arc<SharedProgress>,
    reads: Arc<ReadGate>,
    now: Instant,
}

/// The reads that have ended: whether they may proceed.
#[derive(Default)]
struct Ended(Mutex<Vec<(u64, bool)>>);

impl ReadSink for Ended {
    fn readable(&self, tokens: &[u64], _: GlobalPosition) {
        self.0.lock().extend(tokens.iter().map(|token| (*token, true)));
    }

    fn failed(&self, tokens: &[u64]) {
        self.0.lock().extend(tokens.iter().map(|token| (*token, false)));
    }
}

impl Rig {
    fn new() -> Rig {
        let terms = Terms { groups: 1, members: vec![1, 2, 3], level: 1, ..Terms::default() };
        let chain = Chain::genesis(terms).unwrap();
        let limits = ByteLimits { behind: 1 << 20, merge: 1 << 20 };
        let progress = SharedProgress::new(EpochProgress::new(&chain, Epoch::FIRST), 3, limits).of_follower();
        let progress = Arc::new(progress);
        let logs = FedLogs::new(progress.epoch(), None, 1 << 20);
        let layout = progress.epoch().layout;
        let reads = ReadGate::new(layout, Arc::clone(&progress), Arc::new(Metrics::new(1)), 3, 40);
        let reads = Arc::new(reads);
        let following = Following::new(logs, &progress, &Arc::default(), &reads, 9, PATIENCE);
        Rig { following, progress, reads, now: Instant::now() }
    }

    fn step(&mut self) -> Vec<(u64, FeedMessage)> {
        let mut out = Vec::new();
        self.following.step(self.now, false, &mut out);
        out
    }

    /// Whom it asks for what follows, and whether it wants to hear from that one at once.
    fn asks(&mut self) -> Vec<(u64, bool)> {
        let asks = |(to, message): (u64, FeedMessage)| match message {
            FeedMessage::Follow(Follow { at_once, .. }) => Some((to, at_once)),
            _ => None,
        };
        self.step().into_iter().filter_map(asks).collect()
    }

    fn hears(&mut self, from: u64, applied: u64, indexes: &[u64]) -> Heard {
        let entry = |index: &u64| {
            let (context, data) = Default::default();
            (0, LogEntry { index: *index, term: 1, kind: 0, context, data })
        };
        let entries = indexes.iter().map(entry).collect();
        let message = FeedMessage::Entries(Entries { epoch: Epoch::FIRST, applied, entries });
        self.following.heard(from, message).unwrap()
    }

    fn reads(&self, token: u64, ended: &Arc<Ended>) {
        let sink: Arc<dyn ReadSink> = Arc::<Ended>::clone(ended);
        let deadline = self.now + Duration::from_secs(60);
        self.reads.read_abroad(ReadBatch { sink, tokens: vec![token], queued: self.now, deadline });
    }
}

#[test]
fn it_follows_one_member_and_asks_again_when_it_has_its_answer() {
    let mut rig = Rig::new();
    assert_eq!(rig.asks(), [], "nobody is there");
    rig.following.is_up(2);
    rig.following.is_up(3);
    assert_eq!(rig.asks(), [(2, true)]);
    assert_eq!(rig.asks(), []);
    assert_eq!(rig.hears(2, 5, &[1, 2]), Heard::More);
    assert_eq!(rig.asks(), [(2, false)]);
    let followed = rig.progress.follows.as_ref().unwrap();
    assert_eq!((followed.member(), followed.position()), (2, 5));
}

#[test]
fn a_member_that_has_nothing_new_for_a_while_is_left_for_the_next() {
    let mut rig = Rig::new();
    (1..=3).for_each(|member| rig.following.is_up(member));
    assert_eq!(rig.asks(), [(1, true)]);
    assert_eq!(rig.following.due(), Some(rig.now + PATIENCE));
    rig.now += PATIENCE;
    let out = rig.step();
    assert_eq!(out[0], (1, FeedMessage::Leave));
    assert!(matches!(out[1], (2, FeedMessage::Follow(_))), "{out:?}");
    // What the first one says all the same counts, but it is not the answer that is awaited.
    assert_eq!(rig.hears(1, 5, &[1]), Heard::More);
    assert_eq!(rig.asks(), []);
    rig.following.is_down(2);
    assert_eq!(rig.asks(), [(3, true)]);
    rig.now += PATIENCE;
    rig.following.is_down(1);
    assert_eq!(rig.asks(), [(3, true)], "there is no other one");
}

#[test]
fn while_a_snapshot_is_fetched_nothing_else_is_asked_for() {
    let mut rig = Rig::new();
    rig.following.is_up(1);
    assert_eq!(rig.asks(), [(1, true)]);
    let cut = Cut { epoch: Epoch::FIRST, round: 7 };
    assert_eq!(rig.following.heard(1, FeedMessage::Behind { cut }), Ok(Heard::Snapshot(cut)));
    let mut out = Vec::new();
    rig.following.step(rig.now, true, &mut out);
    assert_eq!(out, []);
    assert_eq!(rig.asks(), [(1, false)]);
}

#[test]
fn a_strong_read_waits_for_the_position_that_a_member_says() {
    let (mut rig, ended) = (Rig::new(), Arc::<Ended>::default());
    rig.following.is_up(1);
    rig.step();
    rig.reads(7, &ended);
    assert_eq!(rig.step(), [(1, FeedMessage::AskBarrier { question: 1 })]);
    // One that comes later needs a question of its own.
    rig.reads(8, &ended);
    assert_eq!(rig.step(), []);
    let answer = |question, position| FeedMessage::Barrier { question, position: Some(position) };
    rig.following.heard(1, answer(1, 20)).unwrap();
    assert_eq!(rig.step(), [(1, FeedMessage::AskBarrier { question: 2 })]);
    rig.following.heard(1, answer(2, 30)).unwrap();
    assert!(ended.0.lock().is_empty());
    rig.progress.applied.store(20, SeqCst);
    rig.reads.applied(GlobalPosition::new(20));
    assert_eq!(*ended.0.lock(), [(7, true)]);
    rig.progress.applied.store(30, SeqCst);
    rig.reads.applied(GlobalPosition::new(30));
    assert_eq!(*ended.0.lock(), [(7, true), (8, true)]);
}

#[test]
fn a_question_that_nobody_answers_is_asked_of_another_member() {
    let (mut rig, ended) = (Rig::new(), Arc::<Ended>::default());
    rig.following.is_up(1);
    rig.following.is_up(2);
    rig.step();
    rig.reads(7, &ended);
    assert_eq!(rig.step(), [(1, FeedMessage::AskBarrier { question: 1 })]);
    rig.now += PATIENCE;
    assert_eq!(rig.hears(1, 0, &[1]), Heard::More);
    let asked = rig.step().into_iter().find(|(_, message)| matches!(message, FeedMessage::AskBarrier { .. }));
    assert_eq!(asked, Some((2, FeedMessage::AskBarrier { question: 2 })));
    // An answer to the first question comes late: it says too little about what was asked with the second.
    rig.following.heard(1, FeedMessage::Barrier { question: 1, position: Some(0) }).unwrap();
    assert!(ended.0.lock().is_empty());
    rig.following.is_down(2);
    assert_eq!(rig.step(), [(1, FeedMessage::AskBarrier { question: 3 })]);
    rig.following.heard(1, FeedMessage::Barrier { question: 3, position: Some(0) }).unwrap();
    assert_eq!(*ended.0.lock(), [(7, true)]);
}
