//! The replicated state: one map of keys and values, executed from the global log.
//!
//! [`Kv`] is written by the applying thread alone. A [`KvReader`] reads it from any other thread,
//! concurrently. The map is split into shards with a lock each (`map`, `shard`). A command or a read of
//! several keys locks all their shards before its first access, so nobody sees half of an mset. `apply`
//! executes each command, with `together` for those that consist of others: `writer` has the changes that commands consist of, on shards that are `locked`, and
//! `calls` the commands of the Redis protocol. `versions` names changes, `digest` is what servers compare, `scan` and
//! `listing` have the pages of scans and listings, and `garbage` frees removed contents.
//!
//! A key expires when the clock of the state has reached its deadline. Only commands move that clock, so a key expires
//! at the same command on every server. From then on it does not exist for any command or read; `deadlines` finds it for
//! the next *advance*, which removes it. `news` tells this server's [timekeeper](crate::time) when that is due.
//!
//! The keys of all databases are in one map. Which is in which *space* of it, SWAPDB changes, and the lowest bits of a place say
//! in which space a key is.
//!
//! When keys and values take more than they [may](crate::memory), `eviction` removes keys, or refuses commands that need more.
//!
//! `users` changes users, who are a part of the state; the [directory](crate::users) shows them to other threads.
//!
//! A message for subscribers changes nothing: the [hub](crate::pubsub) of this server delivers it. The
//! [feed](crate::changes) of this server tells watchers what has changed, and the [exchange](crate::tracking) those who keep what
//! they have read.
//!
//! An `entry` is a key with its value: a small one is `packed` into one piece of memory.
//!
//! A shard is a row of small hash tables (`tables`) in the order of their keys' places (`place`), which
//! growth never changes. So a [`KvFrozen`] can walk the map while it changes: writers save for it what it has
//! not reached yet (`view`). It writes chunks of entries (`chunk`), from which a [`KvRestoring`] rebuilds a
//! state.

mod apply;
mod blocks;
mod calls;
mod chunk;
mod content;
mod deadlines;
mod digest;
mod entry;
mod eviction;
mod frozen;
mod garbage;
mod ledger;
mod listing;
mod locked;
mod map;
mod news;
mod packed;
mod place;
mod reader;
mod restoring;
mod scan;
mod shard;
mod tables;
#[cfg(test)]
mod tests;
mod together;
mod users;
mod versions;
mod view;
mod writer;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::{Commands, GlobalPosition, MalformedState, NotACommand, NotAQuery, StateMachine};

use chunk::Stamp;
pub use chunk::{SnapshotEntry, snapshot_entries};
pub(crate) use eviction::EVICTED_AT_ONCE;
pub use frozen::KvFrozen;
use garbage::Garbage;
pub use listing::{ListPage, Listed};
use map::Map;
pub use news::ClockNews;
pub use reader::{Found, KvReader};
pub use restoring::KvRestoring;
use restoring::Restored;
pub use scan::Cursor;
use versions::Versions;
use writer::{Core, Share};

use crate::command::{self, MalformedCommand};
use crate::tracking::Scribe;
use crate::{Reply, query};

/// The key-value state machine.
///
/// An engine executes commands on it. [`execute`](Kv::execute) does the same without an engine, for tests and
/// tools.
///
/// ```
/// use niagara_engine::{GlobalPosition, StateMachine};
/// use niagara_kvstore::{Kv, Reply, command};
///
/// let mut kv = Kv::new();
/// let reader = kv.reader();
/// let mut add_five = Vec::new();
/// command::encode_incr_by(&mut add_five, b"visits", 5);
/// let reply = kv.execute(GlobalPosition::new(1), &add_five.into());
/// assert!(matches!(reply, Reply::Counted { value: 5, .. }));
/// assert_eq!(reader.get(b"visits").unwrap().0, "5");
/// ```
#[derive(Debug)]
pub struct Kv {
    map: Arc<Map>,
    core: Core,
    /// Bytes that were not a command.
    unexecutable: Option<MalformedCommand>,
}

impl Default for Kv {
    fn default() -> Kv {
        Kv::with(Map::default())
    }
}

impl Kv {
    /// An empty state, before the first position of the global log.
    pub fn new() -> Kv {
        Kv::default()
    }

    /// An empty state of one server of a cluster. Scans visit keys in the same order on all of its servers,
    /// so a cursor is valid on each. Only those who know the cluster's id know the order. A thread of its own
    /// frees what was flushed.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn of_cluster(cluster: u128) -> io::Result<Kv> {
        let mut kv = Kv::with(Map::keyed(cluster));
        kv.core.garbage = Garbage::start()?;
        Ok(kv)
    }

    /// An empty state in an empty map.
    fn with(map: Map) -> Kv {
        let mut core = Core::default();
        core.ledger.tracked = Scribe::new(Arc::clone(&map.tracking));
        Kv { map: Arc::new(map), core, unexecutable: None }
    }

    /// The same, whose changes are kept for those who watch them, whether or not anybody has said in the log that he does: for a
    /// server that can say nothing there.
    #[must_use]
    pub fn keeping_changes(mut self) -> Kv {
        self.core.ledger.changes.keep_always(&self.map.changes);
        self
    }

    /// An empty state whose scans visit keys in the same order as this one's.
    pub(crate) fn emptied(&self) -> Kv {
        Kv::with(self.map.emptied())
    }

    /// Executes one command at a position. It must not be below that of the previous command, and must be
    /// above that of any earlier [`freeze`](StateMachine::freeze) or [`restore`](StateMachine::restore).
    pub fn execute(&mut self, position: GlobalPosition, command: &Bytes) -> Reply {
        self.enter(position);
        let reply = self.execute_awaited(command, &|part| command.slice_ref(part));
        self.publish();
        reply
    }

    /// Starts or continues a position.
    fn enter(&mut self, position: GlobalPosition) {
        self.core.versions.enter(position.get());
        self.core.ledger.changes.enter(position.get());
    }

    /// Executes a command that somebody on this server awaits, and notes for him what it does.
    fn execute_awaited(&mut self, bytes: &[u8], share: Share<'_>) -> Reply {
        let is_noted = self.core.ledger.tracked.begin();
        let reply = self.execute_one(bytes, share);
        if is_noted {
            let position = self.core.versions.position();
            self.core.ledger.tracked.end(position, bytes);
        }
        reply
    }

    /// Publishes how far commands are executed, and when the next key expires, and delivers messages.
    fn publish(&mut self) {
        self.map.publish(self.core.versions.position());
        self.publish_deadline();
        self.map.publish_pressure(self.pressure());
        self.map.hub.deliver(&mut self.core.staged);
        self.core.ledger.tracked.deliver();
        if let Some(gone) = self.core.ledger.changes.deliver(&self.map.changes) {
            self.core.garbage.free(gone);
        }
    }

    /// Publishes when the next key expires.
    fn publish_deadline(&self) {
        self.map.publish_deadline(self.core.ledger.deadlines.first().map(|(deadline, _)| deadline));
    }
}

impl StateMachine for Kv {
    type Reply = Reply;
    type Reader = KvReader;
    type Frozen = KvFrozen;
    type Restoring = KvRestoring;

    fn reader(&self) -> KvReader {
        KvReader::new(Arc::clone(&self.map))
    }

    fn check(command: &[u8]) -> Result<(), NotACommand> {
        command::decode(command).map(drop).map_err(|malformed| NotACommand(malformed.0))
    }

    fn needed_level(command: &[u8]) -> u32 {
        command::needed_level(command)
    }

    fn unexecutable(&self) -> Option<NotACommand> {
        self.unexecutable.map(|malformed| NotACommand(malformed.0))
    }

    fn digest(&self) -> Option<u128> {
        let state = self.core.ledger.digest(self.map.life(), self.map.ordered_clock());
        let notices = digest::of_notices(self.core.notices);
        let memory = digest::of_memory(&self.core.memory);
        let others = self.core.users_digest.wrapping_add(self.core.receipts.digest());
        Some(state.wrapping_add(notices).wrapping_add(memory).wrapping_add(others))
    }

    fn apply(&mut self, position: GlobalPosition, commands: Commands<'_>, replies: &mut Vec<Reply>) {
        self.enter(position);
        let awaited = commands.are_awaited();
        if awaited {
            replies.extend(
                commands.map(|command| self.execute_awaited(command.as_slice(), &|part| command.share(part))),
            );
        } else {
            commands.for_each(|command| {
                drop(self.execute_one(command.as_slice(), &|part| command.share(part)));
            });
        }
        self.publish();
    }

    fn check_query(query: &[u8]) -> Result<(), NotAQuery> {
        query::decode(query).map(drop).map_err(|_| NotAQuery("malformed query"))
    }

    fn answer(&self, query: &[u8]) -> Reply {
        let answer = self.reader().answer(query);
        answer.expect("the engine passes only queries that check_query has accepted")
    }

    fn freeze(&mut self) -> KvFrozen {
        self.core.versions.close();
        let users = self.map.directory.users().saved();
        let receipts = self.core.receipts.row().clone();
        KvFrozen::new(Arc::clone(&self.map), self.core.versions.position(), users, receipts)
    }

    fn restoring(reader: &KvReader) -> KvRestoring {
        KvRestoring::new(Arc::clone(reader.map()))
    }

    fn restore(&mut self, position: GlobalPosition, state: KvRestoring) -> Result<(), MalformedState> {
        let position = position.get();
        assert!(position >= self.core.versions.position(), "slots_rise: a restore does not lead back");
        let Restored { stamp: Stamp { life, clock, notices, memory }, users, receipts, contents, ledger } =
            state.finish(&self.map, position)?;
        if position > self.core.versions.position() {
            self.map.hub.lose();
        }
        // A state with a name keeps it, so readers never see a tag without one.
        self.map.set_life(life);
        self.put_users(Arc::new(users));
        self.map.move_clock(clock);
        self.map.publish_receipts(receipts.size());
        self.core.garbage.free(Box::new(std::mem::replace(&mut self.core.receipts, receipts)));
        self.core.notices = notices;
        self.map.publish_notices(notices);
        self.core.memory = memory;
        self.map.publish_memory(memory);
        self.core.garbage.free(Box::new(self.map.replace_all(contents, &ledger)));
        self.core.ledger.replace(ledger, position);
        self.core.versions = Versions::after(position);
        self.publish();
        Ok(())
    }
}
