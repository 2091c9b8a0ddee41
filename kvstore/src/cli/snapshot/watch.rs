//! Tells from looks at a server's status when the snapshot that was asked for is there.

use std::time::Duration;

use niagara_engine::SnapshotStatus;

/// Between the cut and the first byte a snapshot is neither wanted nor being written; so is one that was not needed, for good.
/// A server that does nothing for so long has not needed it.
const SETTLED: Duration = Duration::from_secs(1);

/// What has become of a snapshot that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has not begun.
    Waiting,
    /// It is being written.
    Writing,
    /// It is durable.
    Done,
    /// There is one already that holds everything.
    NothingNew,
    /// It could not be written.
    Failed,
    /// The server is not the process any more that was asked.
    Restarted,
}

/// One snapshot, from the question to its end.
#[derive(Clone, Debug)]
pub struct Watch {
    before: SnapshotStatus,
    idle_since: Option<Duration>,
}

impl Watch {
    /// A snapshot is asked for, and this is how things stood before.
    pub fn new(before: SnapshotStatus) -> Watch {
        Watch { before, idle_since: None }
    }

    /// Takes a look, this long after the question.
    pub fn look(&mut self, now: &SnapshotStatus, elapsed: Duration) -> Seen {
        if now.taken < self.before.taken || now.failures < self.before.failures {
            return Seen::Restarted;
        }
        if now.failures > self.before.failures {
            return Seen::Failed;
        }
        if now.wanted || now.writing {
            self.idle_since = None;
            return if now.writing { Seen::Writing } else { Seen::Waiting };
        }
        // One that was under way before the question need not hold everything: the one behind it counts.
        let enough = self.before.taken + 1 + u64::from(self.before.writing);
        if now.taken >= enough {
            return Seen::Done;
        }
        let idle_since = *self.idle_since.get_or_insert(elapsed);
        match elapsed - idle_since < SETTLED {
            true => Seen::Waiting,
            false if now.position > self.before.position => Seen::Done,
            false => Seen::NothingNew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: SnapshotStatus = SnapshotStatus {
        position: 40,
        created_ms: 0,
        bytes: 0,
        disk_bytes: 0,
        wanted: false,
        writing: false,
        written_bytes: 0,
        receiving_from: 0,
        received_bytes: 0,
        expected_bytes: 0,
        taken: 3,
        failures: 2,
        last_error: None,
    };

    fn looks(before: SnapshotStatus, looks: impl IntoIterator<Item = (u64, SnapshotStatus)>) -> Vec<Seen> {
        let mut watch = Watch::new(before);
        let look = |(ms, status): (u64, SnapshotStatus)| watch.look(&status, Duration::from_millis(ms));
        looks.into_iter().map(look).collect()
    }

    #[test]
    fn a_snapshot_is_done_when_one_more_has_been_taken() {
        let wanted = SnapshotStatus { wanted: true, ..BEFORE };
        let writing = SnapshotStatus { writing: true, ..BEFORE };
        let done = SnapshotStatus { taken: 4, position: 80, ..BEFORE };
        // The fourth look falls between the cut and the first byte.
        let all = [(0, wanted.clone()), (900, wanted), (1_000, BEFORE), (1_100, writing), (9_000, done)];
        assert_eq!(
            looks(BEFORE, all),
            [Seen::Waiting, Seen::Waiting, Seen::Waiting, Seen::Writing, Seen::Done]
        );
    }

    #[test]
    fn a_server_that_stays_idle_has_had_nothing_new() {
        assert_eq!(
            looks(BEFORE, [(0, BEFORE), (999, BEFORE), (1_000, BEFORE)]),
            [Seen::Waiting, Seen::Waiting, Seen::NothingNew]
        );
    }

    #[test]
    fn one_that_was_under_way_is_waited_for_too() {
        let under_way = SnapshotStatus { writing: true, ..BEFORE };
        let first = SnapshotStatus { taken: 4, position: 80, ..BEFORE };
        let second = SnapshotStatus { taken: 5, position: 120, ..BEFORE };
        assert_eq!(
            looks(under_way.clone(), [(0, first.clone()), (100, second)]),
            [Seen::Waiting, Seen::Done]
        );
        // Nothing had come behind the first, so there is no second.
        assert_eq!(looks(under_way, [(0, first.clone()), (1_000, first)]), [Seen::Waiting, Seen::Done]);
    }

    #[test]
    fn failures_and_restarts_are_noticed() {
        let failed = SnapshotStatus { failures: 3, ..BEFORE };
        assert_eq!(looks(BEFORE, [(0, failed)]), [Seen::Failed]);
        assert_eq!(looks(BEFORE, [(0, SnapshotStatus::default())]), [Seen::Restarted]);
    }
}
