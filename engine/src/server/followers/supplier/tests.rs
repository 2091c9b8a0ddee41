use niagara_log::{Durability, LogConfig};
use niagara_sequencer::epoch::{Chain, ChainHash, Terms};

use super::*;
use crate::progress::ByteLimits;

/// A member with two groups in their first epoch, and follower 9.
struct Rig {
    supplier: Supplier,
    progress: Arc<SharedProgress>,
    stores: Vec<LogStore>,
    now: Instant,
}

fn log() -> LogStore {
    niagara_log::open(&LogConfig::new("unused", Durability::Memory, 1), &mut |_| {}).unwrap().0
}

fn entry(index: u64, bytes: usize) -> LogEntry {
    LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: Bytes::from(vec![7; bytes]) }
}

impl Rig {
    fn new() -> Rig {
        let terms = Terms { groups: 2, members: vec![1, 2, 3], level: 1, ..Terms::default() };
        let chain = Chain::genesis(terms).unwrap();
        let limits = ByteLimits { behind: 1 << 20, merge: 1 << 20 };
        let progress = Arc::new(SharedProgress::new(EpochProgress::new(&chain, Epoch::FIRST), 3, limits));
        // Odd tokens are answered at once, in this test.
        let begin_read = |token: u64| (token % 2 == 1).then(|| GlobalPosition::new(40 + token));
        let mut supplier = Supplier::new(&progress, &Arc::default(), 1 << 30, Box::new(begin_read));
        let stores = vec![log(), log()];
        supplier.add_logs(progress.epoch(), stores.clone());
        let now = Instant::now();
        supplier.is_up(now, 9);
        Rig { supplier, progress, stores, now }
    }

    fn commit(&self, group: usize, entries: &[LogEntry]) {
        self.stores[group].append(entries);
        self.progress.epoch().groups[group].commit.store(self.stores[group].last_index(), SeqCst);
    }

    fn hears(&mut self, message: &FeedMessage) {
        let body = message.encode().parts().concat().into();
        self.supplier.heard(9, &body).unwrap();
    }

    fn wish(&self, lasts: [u64; 2], at_once: bool) -> FeedMessage {
        let groups = lasts.map(|last| GroupWish { last, room: 1 << 20 }).to_vec();
        let epoch = self.progress.epoch();
        FeedMessage::Follow(Follow { epoch: Some((epoch.number, epoch.hash)), at_once, groups })
    }

    fn step(&mut self, newest: Option<Cut>) -> Vec<FeedMessage> {
        let mut out = Vec::new();
        // Long enough for the pace.
        self.now += Duration::from_millis(10);
        self.supplier.step(self.now, newest, &mut out);
        out.into_iter().map(|(_, message)| message).collect()
    }

    /// The groups and indexes that it gives.
    fn gives(&mut self) -> Option<Vec<(u16, u64)>> {
        match self.step(None).pop()? {
            FeedMessage::Entries(entries) => {
                Some(entries.entries.iter().map(|(group, entry)| (*group, entry.index)).collect())
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_committed_is_given_as_soon_as_it_is() {
    let mut rig = Rig::new();
    rig.hears(&rig.wish([0, 0], true));
    assert_eq!(rig.gives(), Some(vec![]), "at once, as it was asked for");
    rig.hears(&rig.wish([0, 0], false));
    assert_eq!(rig.gives(), None);
    assert!(!rig.progress.followers.connected().is_empty() && rig.progress.followers.there_is_more());
    rig.commit(0, &[entry(1, 9), entry(2, 9)]);
    rig.stores[1].append(&[entry(1, 9)]);
    assert_eq!(rig.gives(), Some(vec![(0, 1), (0, 2)]), "the other group's is not committed");
    assert_eq!(rig.gives(), None, "one question, one answer");
    rig.commit(1, &[entry(2, 9)]);
    rig.hears(&rig.wish([1, 0], false));
    assert_eq!(rig.gives(), Some(vec![(0, 2), (1, 1), (1, 2)]));
}

#[test]
fn an_answer_is_bounded_and_has_an_entry_whatever_its_length() {
    let mut rig = Rig::new();
    rig.commit(0, &[entry(1, 3 << 20), entry(2, 9)]);
    rig.commit(1, &[entry(1, 9)]);
    rig.hears(&rig.wish([0, 0], false));
    assert_eq!(rig.gives(), Some(vec![(0, 1)]));
    rig.hears(&rig.wish([1, 0], false));
    assert_eq!(rig.gives(), Some(vec![(0, 2), (1, 1)]));
}

#[test]
fn what_is_gone_is_to_be_had_as_a_snapshot() {
    let mut rig = Rig::new();
    let cut = Cut { epoch: Epoch::FIRST, round: 2 };
    rig.commit(0, &[entry(1, 9), entry(2, 9), entry(3, 9)]);
    rig.stores[0].compact_to(2);
    rig.hears(&rig.wish([1, 0], false));
    assert_eq!(rig.step(Some(cut)), [FeedMessage::Behind { cut }]);
    rig.hears(&rig.wish([2, 0], false));
    assert_eq!(rig.gives(), Some(vec![(0, 3)]));
}

#[test]
fn a_newcomer_waits_for_the_first_snapshot_which_is_taken_for_it() {
    let mut rig = Rig::new();
    rig.hears(&FeedMessage::Follow(Follow { epoch: None, at_once: true, groups: Vec::new() }));
    assert_eq!(rig.step(None), []);
    assert!(!rig.progress.snapshots.is_wanted(), "there is nothing to take one of");
    rig.progress.applied.store(5, SeqCst);
    assert_eq!(rig.step(None), []);
    assert!(rig.progress.snapshots.is_wanted());
    let cut = Cut { epoch: Epoch::FIRST, round: 2 };
    assert_eq!(rig.step(Some(cut)), [FeedMessage::Behind { cut }]);
}

#[test]
fn another_history_is_told_and_later_epochs_are_waited_for() {
    let mut rig = Rig::new();
    let groups = vec![GroupWish { last: 0, room: 9 }; 2];
    let follow = |epoch, hash| {
        FeedMessage::Follow(Follow { epoch: Some((epoch, hash)), at_once: true, groups: groups.clone() })
    };
    rig.hears(&follow(Epoch::FIRST, ChainHash::new(7)));
    assert_eq!(rig.step(None), [FeedMessage::OtherChain]);
    rig.hears(&follow(Epoch::new(3), ChainHash::new(7)));
    assert_eq!(rig.step(None), []);
}

#[test]
fn a_question_has_one_read_at_a_time() {
    let mut rig = Rig::new();
    let ask = |question| FeedMessage::AskBarrier { question };
    rig.hears(&ask(1));
    assert_eq!(rig.step(None), [FeedMessage::Barrier { question: 1, position: Some(41) }]);
    rig.hears(&ask(2));
    assert_eq!(rig.step(None), []);
    // Two more while that one waits: the last one counts.
    rig.hears(&ask(3));
    rig.hears(&ask(4));
    assert_eq!(rig.step(None), []);
    let mut out = Vec::new();
    rig.supplier.read_ended(2, Some(GlobalPosition::new(50)), &mut out);
    assert_eq!(out, [(9, FeedMessage::Barrier { question: 2, position: Some(50) })]);
    assert_eq!(rig.step(None), [FeedMessage::Barrier { question: 4, position: Some(43) }]);
}

/// Otherwise the answer would serve the follower's next life, whose first question has the same number.
#[test]
fn what_a_follower_has_asked_is_forgotten_with_its_connection() {
    let mut rig = Rig::new();
    rig.hears(&FeedMessage::AskBarrier { question: 7 });
    rig.step(None);
    rig.hears(&FeedMessage::AskBarrier { question: 8 });
    assert_eq!(rig.step(None), [], "a read is under way");
    rig.supplier.is_down(9);
    rig.supplier.is_up(rig.now, 9);
    let mut out = Vec::new();
    rig.supplier.read_ended(2, Some(GlobalPosition::new(50)), &mut out);
    assert_eq!(out, []);
}

#[test]
fn a_server_that_has_diverged_gives_nothing_and_strange_messages_are_refused() {
    let mut rig = Rig::new();
    rig.progress.divergence.contradicted(1, "in this test".into());
    rig.hears(&rig.wish([0, 0], true));
    assert_eq!(rig.gives(), None);
    let strange = FeedMessage::OtherChain.encode().parts().concat().into();
    assert!(rig.supplier.heard(9, &strange).is_err());
    rig.supplier.is_down(9);
    assert!(rig.progress.followers.connected().is_empty());
}
