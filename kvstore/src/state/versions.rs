//! The versions of changes at the current position.

use crate::Version;

/// Issues versions: the same on every server, and never one for two values of a key.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The position whose commands are being executed.
    position: u64,
    /// Changes made at `position` so far.
    changes: u32,
    /// [`Version::further`] of a key created at `position`: above that of every key that was changed and then
    /// removed at the same position.
    fresh: u32,
    /// Whether the commands of `position` are complete, so that none may follow.
    closed: bool,
}

impl Versions {
    /// What follows a restored state: everything executed up to `position` is in it. How often keys were
    /// changed at that position does not matter, since no later change gets a version of it.
    pub(super) fn after(position: u64) -> Versions {
        Versions { position, closed: true, ..Versions::default() }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Starts or continues a position.
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

    /// Ends the current position. From now on, exactly the current entries have versions of it or of earlier
    /// positions: views rely on that.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The version of a key's next change, given its current one.
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

    /// Records that a key in this version was removed.
    pub(super) fn forget(&mut self, version: Version) {
        if version.position == self.position {
            self.fresh = self.changes;
        }
    }

    /// Records that all keys were removed. A walk to find which of them were changed at this position is not
    /// worth it, so this assumes that one was.
    pub(super) fn forget_all(&mut self) {
        self.fresh = self.changes;
    }
}
