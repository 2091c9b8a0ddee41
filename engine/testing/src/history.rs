//! What all servers have executed, compared command by command.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use niagara_engine::{Applied, GlobalPosition};

use crate::failure::Found;

/// The global log as executed so far, and how far each server is in it.
pub(crate) struct History<R> {
    log: Vec<Executed<R>>,
    /// For each server, how many commands of the log its state includes.
    reached: BTreeMap<u64, usize>,
    /// Copies of each command that callers have proposed.
    proposed: BTreeMap<Bytes, u64>,
    /// Copies of each command that were executed.
    executed: BTreeMap<Bytes, u64>,
    /// The first thing that was found.
    found: Option<Found>,
    /// What was executed, for the trace.
    pub news: Vec<String>,
}

/// A command as the first server executed it, with what others must agree on.
struct Executed<R> {
    position: GlobalPosition,
    command: Bytes,
    by: u64,
    reply: R,
    /// Whether a caller was told.
    is_acknowledged: bool,
    /// After the last command of a call, unless it was not looked at.
    state: Option<Held>,
}

/// What a server holds, as far as it can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub digest: Option<u128>,
    pub encoded: Option<Fingerprint>,
}

/// An encoded state, in few bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    bytes: usize,
    hash: u64,
    begin: Bytes,
}

/// Bytes of an encoded state that a failure shows.
const SHOWN: usize = 48;

impl Fingerprint {
    pub fn of(encoded: &[u8]) -> Fingerprint {
        // FNV-1a.
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = encoded.iter().fold(0xcbf2_9ce4_8422_2325, step);
        let begin = Bytes::copy_from_slice(&encoded[..encoded.len().min(SHOWN)]);
        Fingerprint { bytes: encoded.len(), hash, begin }
    }

    pub fn show(&self) -> String {
        let more = if self.bytes > SHOWN { " .." } else { "" };
        format!("{} bytes with hash {:016x}, {:?}{more}", self.bytes, self.hash, self.begin)
    }
}

impl<R> Default for History<R> {
    fn default() -> Self {
        History {
            log: Vec::new(),
            reached: BTreeMap::new(),
            proposed: BTreeMap::new(),
            executed: BTreeMap::new(),
            found: None,
            news: Vec::new(),
        }
    }
}

impl<R: Clone + PartialEq + Debug> History<R> {
    /// Notes something that was found; the first counts.
    pub fn fail(&mut self, found: Found) {
        self.found.get_or_insert(found);
    }

    pub fn take_found(&mut self) -> Option<Found> {
        self.found.take()
    }

    /// A server's process starts, from nothing.
    pub fn starts(&mut self, server: u64) {
        self.reached.insert(server, 0);
    }

    /// A server continues from a snapshot: it has executed everything up to a position, and nothing else.
    pub fn restores(&mut self, server: u64, position: GlobalPosition) {
        let reached = self.log.partition_point(|executed| executed.position <= position);
        self.reached.insert(server, reached);
        self.news.push(format!("server {server} continues from a snapshot of position {position}"));
    }

    /// A caller has proposed a command.
    pub fn proposes(&mut self, command: Bytes) {
        *self.proposed.entry(command).or_default() += 1;
    }

    /// The last position at which a command is executed anywhere.
    pub fn end(&self) -> GlobalPosition {
        self.log.last().map_or(GlobalPosition::ZERO, |executed| executed.position)
    }

    /// A server has executed commands in one call, with these replies, and then holds this.
    pub fn executes(
        &mut self,
        server: u64,
        position: GlobalPosition,
        commands: Vec<Bytes>,
        replies: &[R],
        held: Option<Held>,
    ) {
        let last = commands.len().saturating_sub(1);
        let mut held = held;
        for (nth, (command, reply)) in commands.into_iter().zip(replies).enumerate() {
            let state = if nth == last { held.take() } else { None };
            let found = self.execute(server, position, command, reply, state);
            self.found = self.found.take().or(found);
        }
    }

    fn execute(
        &mut self,
        server: u64,
        position: GlobalPosition,
        command: Bytes,
        reply: &R,
        state: Option<Held>,
    ) -> Option<Found> {
        let at = self.reached.entry(server).or_default();
        let place = *at;
        *at += 1;
        let Some(known) = self.log.get_mut(place) else {
            return self.append(server, position, command, reply, state);
        };
        if (known.position, &known.command) != (position, &command) {
            let what = format!(
                "server {server} executes {command:?} at position {position} where server {} executed {:?} at \
                 position {}",
                known.by, known.command, known.position
            );
            return Some(Found::Engine { invariant: "global_prefix", what });
        }
        if known.reply != *reply {
            let (reply, other) = (format!("{:?}", known.reply), format!("{reply:?}"));
            return Some(Found::Replies { position, command, first: known.by, reply, second: server, other });
        }
        let (Some(before), Some(now)) = (&known.state, &state) else {
            // The first to look at the state there.
            known.state = known.state.take().or(state);
            return None;
        };
        differ(before, now).map(|(state, other, encoded)| {
            let first = known.by;
            Found::States { position, command, first, state, second: server, other, encoded }
        })
    }

    fn append(
        &mut self,
        by: u64,
        position: GlobalPosition,
        command: Bytes,
        reply: &R,
        state: Option<Held>,
    ) -> Option<Found> {
        self.news.push(format!("server {by} executes {command:?} at position {position}: {reply:?}"));
        let copies = self.executed.entry(command.clone()).or_default();
        *copies += 1;
        let proposed = self.proposed.get(&command).copied().unwrap_or(0);
        let once = *copies <= proposed;
        let what = format!("{command:?} was proposed {proposed} times and executed {copies} times");
        let rises = self.end() <= position;
        self.log.push(Executed {
            position,
            command,
            by,
            reply: reply.clone(),
            is_acknowledged: false,
            state,
        });
        if !rises {
            let what = format!("server {by} executes position {position} after a later one");
            return Some(Found::Engine { invariant: "global_prefix", what });
        }
        (!once).then_some(Found::Engine { invariant: "applied_once", what })
    }

    /// A caller was told that its command was executed. Each execution is acknowledged once.
    pub fn acknowledges(&mut self, command: &Bytes, applied: &Applied<R>) {
        let position = applied.position;
        let from = self.log.partition_point(|executed| executed.position < position);
        let mut here = self.log[from..].iter_mut().take_while(|executed| executed.position == position);
        let is_it = |executed: &&mut Executed<R>| {
            executed.command == command && executed.reply == applied.reply && !executed.is_acknowledged
        };
        if let Some(executed) = here.find(is_it) {
            executed.is_acknowledged = true;
        } else {
            let what = format!(
                "{command:?} was acknowledged at position {position} with {:?}, and is not executed there, or \
                 less often",
                applied.reply
            );
            self.fail(Found::Engine { invariant: "acked_is_applied", what });
        }
    }

    /// Compares what servers hold now: those that have executed equally many commands of the log.
    pub fn compare(&self, held: &[(u64, Held)]) -> Option<Found> {
        for (nth, (second, now)) in held.iter().enumerate() {
            let reached = self.reached.get(second)?;
            let alike = held[..nth].iter().find(|(first, _)| self.reached.get(first) == Some(reached));
            let Some((first, before)) = alike else { continue };
            if let Some((state, other, encoded)) = differ(before, now) {
                let last = reached.checked_sub(1).map(|last| &self.log[last]);
                return Some(Found::States {
                    position: last.map_or(GlobalPosition::ZERO, |last| last.position),
                    command: last.map(|last| last.command.clone()).unwrap_or_default(),
                    first: *first,
                    state,
                    second: *second,
                    other,
                    encoded,
                });
            }
        }
        None
    }
}

/// How two states differ, if they do, and whether that was seen in their encoding.
fn differ(one: &Held, other: &Held) -> Option<(String, String, bool)> {
    if let (Some(one), Some(other)) = (one.digest, other.digest)
        && one != other
    {
        return Some((format!("{one:032x}"), format!("{other:032x}"), false));
    }
    match (&one.encoded, &other.encoded) {
        (Some(one), Some(other)) if one != other => Some((one.show(), other.show(), true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> GlobalPosition {
        GlobalPosition::new(position)
    }

    fn history() -> History<u64> {
        let mut history = History::default();
        for command in [b"a", b"b"] {
            history.proposes(Bytes::from_static(command));
        }
        history.executes(1, at(3), vec!["a".into(), "b".into()], &[1, 2], None);
        assert_eq!(history.take_found(), None);
        history
    }

    /// Which guarantee of the engine is broken.
    fn broken(history: &mut History<u64>) -> &'static str {
        match history.take_found() {
            Some(Found::Engine { invariant, .. }) => invariant,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_order_is_found() {
        let mut history = history();
        history.executes(2, at(3), vec!["b".into()], &[1], None);
        assert_eq!(broken(&mut history), "global_prefix");
    }

    #[test]
    fn another_position_is_found() {
        let mut history = history();
        history.executes(2, at(4), vec!["a".into()], &[1], None);
        assert_eq!(broken(&mut history), "global_prefix");
    }

    #[test]
    fn a_second_execution_is_found() {
        let mut history = history();
        history.executes(1, at(5), vec!["a".into()], &[3], None);
        assert_eq!(broken(&mut history), "applied_once");
    }

    #[test]
    fn what_nobody_proposed_is_found() {
        let mut history = history();
        history.executes(1, at(5), vec!["c".into()], &[3], None);
        assert_eq!(broken(&mut history), "applied_once");
    }

    #[test]
    fn a_command_that_is_skipped_is_found() {
        let mut history = history();
        history.proposes("c".into());
        history.executes(1, at(5), vec!["c".into()], &[3], None);
        history.restores(2, at(3));
        history.executes(2, at(5), vec!["c".into()], &[3], None);
        assert_eq!(history.take_found(), None, "the snapshot holds what comes before");
        history.starts(2);
        history.executes(2, at(5), vec!["c".into()], &[3], None);
        assert_eq!(broken(&mut history), "global_prefix");
    }

    #[test]
    fn an_acknowledgement_of_nothing_is_found() {
        let mut history = history();
        let applied = |position, reply| Applied { position: at(position), reply };
        history.acknowledges(&"a".into(), &applied(3, 1));
        assert_eq!(history.take_found(), None);
        for (position, reply) in [(3, 1), (3, 2), (4, 1)] {
            history.acknowledges(&"a".into(), &applied(position, reply));
            assert_eq!(broken(&mut history), "acked_is_applied");
        }
    }
}
