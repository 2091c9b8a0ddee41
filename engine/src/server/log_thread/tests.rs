use std::path::Path;

use bytes::Bytes;
use niagara_log::{Durability, LogConfig};
use niagara_sequencer::epoch::{Chain, Epoch, Terms};

use super::*;
use crate::progress::{ByteLimits, PeerRefusal, channel_of};

const DEADLINE: Duration = Duration::from_secs(60);

/// A log with nothing in it.
fn log(dir: &Path, id: u64) -> LogWriter {
    let config = LogConfig::new(dir.join(id.to_string()), Durability::Os, id);
    niagara_log::open(&config, &mut |_| {}).unwrap().1
}

/// What the log holds, when its writer is gone.
fn indexes_in(dir: &Path, id: u64) -> Vec<u64> {
    let mut indexes = Vec::new();
    let config = LogConfig::new(dir.join(id.to_string()), Durability::Os, id);
    let opened = niagara_log::open(&config, &mut |replayed| match replayed {
        niagara_log::Replayed::Entry(entry) => indexes.push(entry.index),
        niagara_log::Replayed::Reset(_) => indexes.clear(),
    });
    opened.unwrap();
    indexes
}

fn hard_state(commit: u64) -> HardState {
    HardState { term: 1, vote: 1, commit }
}

fn write(ready: u64, index: u64) -> Write {
    let entry = LogEntry { index, term: 1, kind: 0, context: Bytes::new(), data: Bytes::from_static(b"x") };
    Write::Ready { ready, reset: None, entries: vec![entry], hard_state: hard_state(0) }
}

fn await_persisted(epoch: &EpochProgress, group: usize) -> u64 {
    let (end, mut mail) = (Instant::now() + DEADLINE, Vec::new());
    while mail.is_empty() {
        assert!(
            Instant::now() < end,
            "the thread reports nothing for group {group} of epoch {}",
            epoch.number
        );
        std::thread::yield_now();
        epoch.groups[group].take_mail(&mut mail);
    }
    match mail[..] {
        [Mail::Persisted(ready)] => ready,
        ref other => panic!("something else came: {other:?}"),
    }
}

/// A server that starts amid a change of epochs has the groups of both on its threads.
#[test]
fn groups_of_two_epochs_with_one_number_have_their_own_logs() {
    let dir = tempfile::tempdir().unwrap();
    let terms = |groups| Terms { groups, members: vec![1, 2, 3], level: 1, ..Terms::default() };
    let mut chain = Chain::genesis(terms(1)).unwrap();
    chain.extend(9, terms(2)).unwrap();
    let epochs = [1, 2].map(|number| Arc::new(EpochProgress::new(&chain, Epoch::new(number))));
    let limits = ByteLimits { behind: 1 << 20, merge: 1 << 20 };
    let progress = SharedProgress::new(EpochProgress::new(&chain, Epoch::FIRST), 3, limits);
    let groups = [(0, &epochs[0]), (0, &epochs[1]), (1, &epochs[1])];
    let log = |(id, (group, epoch)): (u64, (usize, &Arc<EpochProgress>))| {
        GroupLog::new(group, Arc::clone(epoch), log(dir.path(), id), GroupMetrics::new())
    };
    let logs = (0..).zip(groups).map(log).collect();
    let progress = Arc::new(progress);
    let (thread, handles) = LogThread::start("log-1".into(), logs, Arc::clone(&progress)).unwrap();
    let refusal = PeerRefusal { peer: Some(2), by_us: false, why: "why".to_owned() };
    for (group, epoch) in groups {
        assert!(progress.refusals.note(channel_of(epoch.number, group), &refusal));
    }

    for (id, (handle, (group, epoch))) in (0..).zip(handles.iter().zip(groups)) {
        handle.write((0..=id).map(|index| write(10 * id + index, index + 1)).collect());
        assert_eq!(await_persisted(epoch, group), 11 * id);
    }
    for (id, handle) in (0..).zip(handles) {
        handle.finish(Held { segment: 0, last: Default::default(), hard_state: hard_state(id) });
    }
    thread.join();
    assert!(progress.refusals.between(&[2]).is_empty(), "an alarm ends with its group");
    for (id, (group, epoch)) in (0..).zip(groups) {
        assert_eq!(
            indexes_in(dir.path(), id),
            (1..=id + 1).collect::<Vec<_>>(),
            "each log holds what is its own"
        );
        let left = epoch.groups[group].left.lock().expect("the log is complete");
        assert_eq!(left.hard_state, hard_state(id));
    }
}

#[test]
fn a_log_that_nobody_needs_waits_for_no_room() {
    let room = Room::default();
    room.log_waits();
    let mut pending = Pending { waits_for_room: true, ..Pending::default() };
    pending.add([write(1, 1)]);
    pending.give_up(&room);
    assert!(pending.is_empty() && !room.is_lacking());
    pending.give_up(&room);
    assert!(!room.is_lacking(), "it is said once");
}
