use bytes::Bytes;
use niagara_sequencer::epoch::{Chain, Terms};

use super::*;

fn logs(groups: u16, bytes: usize) -> FedLogs {
    let terms = Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() };
    let chain = Chain::genesis(terms).unwrap();
    FedLogs::new(&Arc::new(EpochProgress::new(&chain, Epoch::FIRST)), None, bytes)
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: 0, context: Bytes::new(), data: Bytes::from(vec![0; 100]) }
}

fn received(entries: &[(u16, u64, u64)]) -> Entries {
    let entries = entries.iter().map(|(group, index, term)| (*group, entry(*index, *term))).collect();
    Entries { epoch: Epoch::FIRST, applied: 0, entries }
}

fn lasts(logs: &FedLogs) -> Vec<u64> {
    logs.wish(false).groups.iter().map(|group| group.last).collect()
}

#[test]
fn what_follows_is_taken_once_and_a_gap_is_not() {
    let logs = logs(2, 1 << 20);
    assert_eq!(logs.take(received(&[(0, 1, 1), (0, 2, 1), (1, 1, 3)])), Ok(true));
    assert_eq!(lasts(&logs), [2, 1]);
    // Another member sends some of it again, and what follows; then one has been lost.
    assert_eq!(logs.take(received(&[(0, 1, 1), (0, 2, 1), (0, 3, 2)])), Ok(true));
    assert_eq!(logs.take(received(&[(1, 3, 3)])), Ok(false));
    assert_eq!(lasts(&logs), [3, 1]);
    assert_eq!(logs.progress.groups[0].commit.load(SeqCst), 3);
    let other = Entries { epoch: Epoch::new(2), ..received(&[(0, 4, 2)]) };
    assert_eq!(logs.take(other), Ok(false), "an epoch that is not here");
}

#[test]
fn terms_never_fall_along_a_log() {
    let logs = logs(1, 1 << 20);
    assert_eq!(logs.take(received(&[(0, 1, 5)])), Ok(true));
    assert_eq!(logs.take(received(&[(0, 2, 4)])), Err(Contradiction { group: 1, index: 2 }));
    assert_eq!(logs.take(received(&[(7, 1, 5)])), Err(Contradiction { group: 8, index: 1 }), "no such group");
}

#[test]
fn a_group_takes_no_more_than_its_share_until_the_merge_drops_some() {
    let logs = logs(2, 600);
    assert!(logs.has_room());
    logs.take(received(&[(0, 1, 1), (0, 2, 1), (0, 3, 1)])).unwrap();
    let rooms: Vec<bool> = logs.wish(true).groups.iter().map(|group| group.room > 0).collect();
    assert_eq!(rooms, [false, true]);
    logs.take(received(&[(1, 1, 1), (1, 2, 1), (1, 3, 1)])).unwrap();
    assert!(!logs.has_room());
    logs.stores()[0].compact_to(2);
    assert!(logs.has_room());
}
