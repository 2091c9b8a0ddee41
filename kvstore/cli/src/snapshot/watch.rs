//! Tells from a server's status what has become of a requested snapshot.

use niagara_engine::SnapshotStatus;

/// What has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has not started.
    Waiting,
    /// It is being written.
    Writing,
    /// It is durable.
    Done,
    /// An earlier one already held everything.
    NothingNew,
    /// It could not be written.
    Failed,
    /// The server is no longer the process that was asked.
    Restarted,
}

/// One snapshot, from the request to its end.
#[derive(Clone, Debug)]
pub struct Watch {
    before: SnapshotStatus,
    /// The number of our request among all that the server received.
    request: u64,
}

impl Watch {
    /// A snapshot was requested: the status before, and the server's answer.
    pub fn new(before: SnapshotStatus, answer: &SnapshotStatus) -> Watch {
        Watch { before, request: answer.asked }
    }

    /// What a status says.
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

    /// A server that received four requests before, and has written three snapshots.
    fn before() -> SnapshotStatus {
        changed(SnapshotStatus::default(), |status| {
            (status.position, status.asked, status.met) = (40, 4, 4);
            (status.taken, status.failures) = (3, 2);
        })
    }

    fn changed(mut status: SnapshotStatus, change: impl FnOnce(&mut SnapshotStatus)) -> SnapshotStatus {
        change(&mut status);
        status
    }

    fn seen(now: &SnapshotStatus) -> Seen {
        Watch::new(
            before(),
            &changed(before(), |status| {
                status.asked = 5;
            }),
        )
        .look(now)
    }

    #[test]
    fn a_snapshot_is_done_when_the_request_is_met() {
        let asked = changed(before(), |status| {
            status.asked = 5;
        });
        assert_eq!(
            seen(&changed(asked.clone(), |status| {
                status.wanted = true;
            })),
            Seen::Waiting
        );
        assert_eq!(seen(&asked), Seen::Waiting, "between the cut and the first byte");
        assert_eq!(
            seen(&changed(asked.clone(), |status| {
                status.writing = true;
            })),
            Seen::Writing
        );
        // One that was in progress before need not hold everything.
        assert_eq!(
            seen(&changed(asked.clone(), |status| {
                status.position = 60;
                status.taken = 4;
            })),
            Seen::Waiting
        );
        assert_eq!(
            seen(&changed(asked.clone(), |status| {
                status.position = 80;
                status.taken = 5;
                status.met = 5;
            })),
            Seen::Done
        );
        assert_eq!(
            seen(&changed(asked, |status| {
                status.met = 5;
            })),
            Seen::NothingNew
        );
    }

    #[test]
    fn failures_and_restarts_are_noticed() {
        assert_eq!(
            seen(&changed(before(), |status| {
                status.asked = 6;
                status.failures = 3;
            })),
            Seen::Failed
        );
        assert_eq!(seen(&SnapshotStatus::default()), Seen::Restarted);
        assert_eq!(seen(&before()), Seen::Restarted, "it does not know of the request");
    }
}
