use std::collections::BTreeMap;

use bytes::Bytes;
use niagara_engine::{GlobalPosition, StateMachine};
use niagara_kvstore::command::{self, Command};
use niagara_kvstore::{Kv, KvReader, Version};

use super::{Broken, hold};

/// A read shows the state after the commands that its server had executed at that moment, and never claims a
/// position that these do not reach. Strong, at-least and weak reads differ only in when that moment is.
#[derive(Debug, Default)]
pub struct ReadShowsItsState {
    /// A store that executes the global log.
    alone: Kv,
    /// Position of each command of the global log.
    positions: Vec<u64>,
    /// What each key held, by the number of commands after which it began to.
    held: BTreeMap<Vec<u8>, Vec<(usize, Held)>>,
}

/// A value and its version; `None` for a missing key.
pub type Held = Option<(Bytes, Version)>;

/// What a read has shown of a key: a value, and its version if it says so; `None` for a missing key.
pub type Shown<'a> = Option<(&'a [u8], Option<Version>)>;

const NAME: &str = "read_shows_its_state";

fn is_shown(held: Option<&(Bytes, Version)>, shown: Shown<'_>) -> bool {
    match (held, shown) {
        (None, None) => true,
        (Some((value, version)), Some((shown, told))) => {
            value == shown && told.is_none_or(|told| told == *version)
        }
        _ => false,
    }
}

impl ReadShowsItsState {
    /// A command was added to the global log.
    pub fn executed(&mut self, position: u64, command: &Bytes) {
        self.alone.execute(GlobalPosition::new(position), command);
        self.positions.push(position);
        let (done, reader) = (self.positions.len(), self.alone.reader());
        let mut note = |key: &[u8]| self.held.entry(key.to_vec()).or_default().push((done, reader.get(key)));
        match command::decode(command) {
            Ok(Command::Set { key, .. } | Command::Append { key, .. } | Command::IncrBy { key, .. }) => {
                note(key);
            }
            Ok(Command::Delete { keys, .. }) => keys.for_each(note),
            Ok(Command::MSet { pairs, .. }) => pairs.for_each(|(key, _)| note(key)),
            Ok(Command::FlushAll) => {
                self.held.values_mut().for_each(|held| held.push((done, None)));
            }
            // Keys of calls are checked otherwise.
            Ok(_) | Err(_) => {}
        }
    }

    /// The state after all commands.
    pub fn reader(&self) -> KvReader {
        self.alone.reader()
    }

    /// A server that had executed so many commands claims that its state is that of a position, or a later
    /// one.
    pub fn says_position(&self, server: u64, executed: usize, position: u64) -> Result<(), Broken> {
        let up_to = self.positions.partition_point(|at| *at <= position);
        hold(up_to <= executed, NAME, || {
            format!(
                "server {server} answers a read at position {position}, up to which there are {up_to} commands, \
                 and has executed {executed}"
            )
        })
    }

    /// A server that had executed so many commands has read a key and found this value, and, if it says so,
    /// this version.
    pub fn shows(&self, server: u64, executed: usize, key: &[u8], found: Shown<'_>) -> Result<(), Broken> {
        let expected = self.held_after(executed, key);
        hold(is_shown(expected, found), NAME, || {
            let key = String::from_utf8_lossy(key);
            let found = found.map(|(value, version)| (String::from_utf8_lossy(value), version));
            format!(
                "server {server} reads {key} after {executed} commands as {found:?}, and they lead to {expected:?}"
            )
        })
    }

    /// What a key held after so many commands.
    fn held_after(&self, executed: usize, key: &[u8]) -> Option<&(Bytes, Version)> {
        let held = self.held.get(key).map_or(&[][..], Vec::as_slice);
        let since = held.partition_point(|(done, _)| *done <= executed);
        since.checked_sub(1).and_then(|at| held[at].1.as_ref())
    }

    /// A server that had executed so many commands by the time of its reply has read some keys at one moment,
    /// which was not before everything up to position `least` was executed.
    pub fn shows_since(
        &self,
        server: u64,
        least: u64,
        executed: usize,
        found: &[(&[u8], Shown<'_>)],
    ) -> Result<(), Broken> {
        let begin = self.positions.partition_point(|at| *at <= least).min(executed);
        let shown_after =
            |moment| found.iter().all(|(key, shown)| is_shown(self.held_after(moment, key), *shown));
        hold((begin..=executed).rev().any(shown_after), NAME, || {
            let found: Vec<_> = found
                .iter()
                .map(|(key, shown)| {
                    let shown = shown.map(|(value, version)| (String::from_utf8_lossy(value), version));
                    (String::from_utf8_lossy(key), shown)
                })
                .collect();
            format!(
                "server {server} reads {found:?}, which nothing from {begin} to {executed} commands leads to"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: &[u8]) -> Bytes {
        let mut bytes = Vec::new();
        command::encode_set_head(&mut bytes, b"k", &command::Condition::Always, false);
        bytes.extend_from_slice(value);
        bytes.into()
    }

    #[test]
    fn a_read_of_another_moment_is_noticed() {
        let mut states = ReadShowsItsState::default();
        states.executed(3, &set(b"1"));
        states.executed(5, &set(b"2"));
        let version = |position| Some(Version { position, further: 0 });
        states.shows(1, 0, b"k", None).unwrap();
        states.shows(1, 1, b"k", Some((b"1", version(3)))).unwrap();
        states.shows(1, 2, b"k", Some((b"2", None))).unwrap();
        assert!(states.shows(1, 1, b"k", Some((b"2", None))).is_err(), "that comes later");
        assert!(states.shows(1, 2, b"k", Some((b"1", version(3)))).is_err(), "that was before");
        assert!(states.shows(1, 2, b"k", Some((b"2", version(3)))).is_err(), "another version");
        states.shows_since(1, 3, 2, &[(b"k", Some((b"1", version(3))))]).unwrap();
        states.shows_since(1, 5, 2, &[(b"k", Some((b"2", None)))]).unwrap();
        assert!(states.shows_since(1, 5, 2, &[(b"k", Some((b"1", None)))]).is_err(), "it is stale");
        assert!(states.shows_since(1, 3, 1, &[(b"k", Some((b"2", None)))]).is_err(), "it has not got there");
        assert!(states.shows_since(1, 3, 2, &[(b"k", Some((b"1", version(5))))]).is_err(), "another version");
        states.says_position(1, 1, 4).unwrap();
        assert!(states.says_position(1, 1, 5).is_err(), "it has not got there");
    }
}
