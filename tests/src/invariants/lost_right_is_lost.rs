use std::collections::BTreeMap;

use bytes::Bytes;
use niagara_kvstore::command::{self, Command};
use niagara_kvstore::{KvReader, Version};

use super::{Broken, hold};

/// Once a client was told that a right is taken from a user, no command of that user that begins later needs it and is
/// executed, whichever server takes it, until the right is given again. One client at a time changes the rights of a user.
#[derive(Debug, Default)]
pub struct LostRightIsLost {
    users: BTreeMap<u64, Control>,
}

/// What is known of a user's right.
#[derive(Clone, Copy, Debug, Default)]
struct Control {
    /// Whether the last change gives it.
    may: bool,
    /// Counts changes.
    changes: u64,
    /// A client was told of the last change.
    told: bool,
}

const NAME: &str = "lost_right_is_lost";

impl LostRightIsLost {
    /// A client begins to give the right to a user, or to take it.
    pub fn begins_to_change(&mut self, user: u64, may: bool) {
        let control = self.users.entry(user).or_default();
        *control = Control { may, changes: control.changes + 1, told: false };
    }

    /// It was told that this is done.
    pub fn changed(&mut self, user: u64) {
        if let Some(control) = self.users.get_mut(&user) {
            control.told = true;
        }
    }

    /// It will not be told, so the change may come at any later time: nothing is known of the user for good.
    pub fn lost(&mut self, user: u64) {
        self.users.remove(&user);
    }

    /// Whether the last change has given the right; `None` if nothing is known of the user.
    pub fn may(&self, user: u64) -> Option<bool> {
        self.users.get(&user).map(|control| control.may)
    }

    /// The last user of whom something is known.
    pub fn latest(&self) -> Option<u64> {
        self.users.keys().next_back().copied()
    }

    /// A command begins that needs the right. Returns a mark of what is known if the user lacks it for sure.
    pub fn begin(&self, user: u64) -> Option<u64> {
        let control = self.users.get(&user).filter(|control| !control.may && control.told)?;
        Some(control.changes)
    }

    /// A client was told that such a command was executed.
    pub fn used(&self, user: u64, mark: Option<u64>) -> Result<(), Broken> {
        let is_lost = mark.is_some() && self.begin(user) == mark;
        hold(!is_lost, NAME, || {
            format!("a command of user {user} was executed, which had begun after its right was taken")
        })
    }
}

/// The same, seen from the global log: which users have the right at each position.
#[derive(Debug, Default)]
pub struct RightsByTheLog {
    may: BTreeMap<Vec<u8>, bool>,
    /// The version of each key that was set, when it was last set rightly.
    set: BTreeMap<Vec<u8>, Option<Version>>,
}

impl RightsByTheLog {
    /// A command was executed in a state that `reader` shows.
    pub fn executed(&mut self, position: u64, command: &Bytes, reader: &KvReader) -> Result<(), Broken> {
        match command::decode(command) {
            Ok(Command::SetUser { name, rules }) => {
                let may = rules.clone().any(|rule| rule == b"+set");
                self.may.insert(name.to_vec(), may);
            }
            // Whoever is not known at its server yet sets the key as nobody in particular.
            Ok(Command::Set { key, .. }) if key.starts_with(b"of-user-") => self.note(key, reader),
            Ok(Command::By { user, command, .. }) => {
                let Ok(Command::Set { key, .. }) = command::decode(command) else { return Ok(()) };
                if self.may.get(user).copied().unwrap_or(false) {
                    self.note(key, reader);
                    return Ok(());
                }
                let current = reader.get(key).map(|(_, version)| version);
                let is_done = current.is_some() && self.set.get(key).copied().flatten() != current;
                return hold(!is_done, NAME, || {
                    let (user, key) = (String::from_utf8_lossy(user), String::from_utf8_lossy(key));
                    format!("{user} has set {key} at position {position} without the right to it")
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn note(&mut self, key: &[u8], reader: &KvReader) {
        self.set.insert(key.to_vec(), reader.get(key).map(|(_, version)| version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_begins_after_the_right_was_taken_for_sure_is_wrong() {
        let mut rights = LostRightIsLost::default();
        rights.begins_to_change(1, true);
        rights.changed(1);
        let while_given = rights.begin(1);
        rights.begins_to_change(1, false);
        let while_unsure = rights.begin(1);
        rights.changed(1);
        let lost = rights.begin(1);
        for (mark, is_fine) in [(while_given, true), (while_unsure, true), (lost, false)] {
            assert_eq!(rights.used(1, mark).is_ok(), is_fine);
        }
        rights.begins_to_change(1, true);
        assert!(rights.used(1, lost).is_ok(), "it may be given again by now");
        rights.begins_to_change(2, false);
        rights.changed(2);
        let lost = rights.begin(2);
        rights.lost(2);
        assert!(rights.used(2, lost).is_ok(), "an earlier change may come late");
    }
}
