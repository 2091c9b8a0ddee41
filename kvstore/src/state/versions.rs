//! Which versions the changes at the present position get.

use crate::Version;

/// Gives out versions: the same on every server, and never one for two values of a key.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The position whose commands are being executed.
    position: u64,
    /// Changes made at `position` so far.
    changes: u32,
    /// [`Version::further`] of a key that comes into being at `position`: above that of every key that was changed and
    /// then removed at the same position.
    fresh: u32,
    /// Whether the commands of `position` are over: none of them may follow.
    closed: bool,
}

impl Versions {
    /// What follows a state that was restored: all that was executed at `position`, and before, is in it. How often keys were
    /// changed at that position need not be known: no later change gets a version of it.
    pub(super) fn after(position: u64) -> Versions {
        Versions { position, closed: true, ..Versions::default() }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Begins, or goes on with, a position.
    pub(super) fn enter(&mut self, position: u64) {
        assert!(position >= self.position, "slots_rise: position {position} came after {}", self.position);
        if position > self.position {
            *self = Versions { position, ..Versions::default() };
        }
        assert!(
            !self.closed,
            "slots_rise: more commands at position {position}, which was frozen or restored"
        );
    }

    /// Ends the present position. What has a version of it, or of an earlier one, is what there is now: views rely on it.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The version of a key's next change, given its present one.
    pub(super) fn next(&mut self, current: Option<Version>) -> Version {
        let further = match current {
            None => self.fresh,
            Some(current) if current.position == self.position => current.further + 1,
            Some(_) => 0,
        };
        assert!(further <= self.changes, "a key cannot have changed more often than all keys together");
        self.changes += 1;
        Version { position: self.position, further }
    }

    /// Notes that a key in this version was removed.
    pub(super) fn forget(&mut self, version: Version) {
        if version.position == self.position {
            self.fresh = self.changes;
        }
    }

    /// Notes that all keys were removed. Which of them were changed at this position is not worth a walk: as if one was.
    pub(super) fn forget_all(&mut self) {
        self.fresh = self.changes;
    }
}
