//! Tells from looks at a server's status what has become of a snapshot that was asked for.

use niagara_engine::SnapshotStatus;

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has not begun.
    Waiting,
    /// It is being written.
    Writing,
    /// It is durable.
    Done,
    /// There was one already that held everything.
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
    /// The number of our request among all that the server has had.
    request: u64,
}

impl Watch {
    /// A snapshot is asked for: how things stood before, and what the server answered.
    pub fn new(before: SnapshotStatus, answer: &SnapshotStatus) -> Watch {
        Watch { before, request: answer.asked }
    }

    /// Takes a look.
    pub fn look(&self, now: &SnapshotStatus) -> Seen {
        let before = &self.before;
        if now.asked < self.request || now.taken < before.taken || now.failures < before.failures {
            return Seen::Restarted;
        }
        match now {
            _ if now.met >= self.request && now.position > before.position => Seen::Done,
            _ if now.met >= self.request => Seen::NothingNew,
            _ if now.failures > before.failures => Seen::Failed,
            _ if now.writing => Seen::Writing,
            _ => Seen::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that has been asked four times before, and has written three.
    fn before() -> SnapshotStatus {
        SnapshotStatus { position: 40, asked: 4, met: 4, taken: 3, failures: 2, ..Default::default() }
    }

    fn seen(now: &SnapshotStatus) -> Seen {
        Watch::new(before(), &SnapshotStatus { asked: 5, ..before() }).look(now)
    }

    #[test]
    fn a_snapshot_is_done_when_the_request_is_met() {
        let asked = SnapshotStatus { asked: 5, ..before() };
        assert_eq!(seen(&SnapshotStatus { wanted: true, ..asked.clone() }), Seen::Waiting);
        assert_eq!(seen(&asked), Seen::Waiting, "between the cut and the first byte");
        assert_eq!(seen(&SnapshotStatus { writing: true, ..asked.clone() }), Seen::Writing);
        // One that was under way before need not hold everything.
        assert_eq!(seen(&SnapshotStatus { position: 60, taken: 4, ..asked.clone() }), Seen::Waiting);
        assert_eq!(seen(&SnapshotStatus { position: 80, taken: 5, met: 5, ..asked.clone() }), Seen::Done);
        assert_eq!(seen(&SnapshotStatus { met: 5, ..asked }), Seen::NothingNew);
    }

    #[test]
    fn failures_and_restarts_are_noticed() {
        assert_eq!(seen(&SnapshotStatus { asked: 6, failures: 3, ..before() }), Seen::Failed);
        assert_eq!(seen(&SnapshotStatus::default()), Seen::Restarted);
        assert_eq!(seen(&before()), Seen::Restarted, "it does not know of the request");
    }
}
