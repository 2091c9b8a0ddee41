//! Reads concurrent with the applying thread.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use niagara_engine::Wake;

use super::calls::{self, Walking};
use super::entry::Entry;
use super::listing::{self, ListPage, Listed};
use super::locked::Look;
use super::map::Map;
use super::news::ClockNews;
use super::place::Place;
use super::scan::{self, Cursor};
use crate::changes::Feed;
use crate::memory::{Memory, Pressure, Uses};
use crate::notices::Notices;
use crate::pubsub::Hub;
use crate::query::{self, Asker, MalformedQuery, Query};
use crate::script::Scripts;
use crate::table::{Op, Spec};
use crate::tracking::Exchange;
use crate::users::{Access, Directory, Wanted};
use crate::{Database, Description, Life, Reply, StoredValue, Value, Version};

/// A handle for reads on any thread. Cloning is cheap.
///
/// It reads this server's own state at the moment of the call, and another server may be ahead. For a fresh
/// read, first ask the engine whether this state is new enough. Each call sees one moment of the state (a
/// scan: one moment per shard and page).
#[derive(Clone, Debug)]
pub struct KvReader {
    map: Arc<Map>,
}

/// A value and the change that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The value.
    pub value: Value<'a>,
    /// The version of the key.
    pub version: Version,
    /// The value's HTTP headers.
    pub description: Description<'a>,
    /// When the key expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
}

/// What a query wants to look at.
fn wanted<'q>(query: &Query<'q>) -> Wanted<'q> {
    match query {
        Query::Value(key) | Query::Entry(key) => Wanted::on_key(Op::Get, key, Access::READ),
        Query::Call { call, .. } => Wanted::call(call, None),
    }
}

impl<'a> Found<'a> {
    fn of(entry: &'a Entry) -> Found<'a> {
        Found {
            value: entry.value(),
            version: entry.version(),
            description: entry.description(),
            deadline: entry.deadline(),
        }
    }
}

impl KvReader {
    pub(super) fn new(map: Arc<Map>) -> KvReader {
        KvReader { map }
    }

    /// An entry, unless it has expired. The clock is loaded only for entries that can.
    fn alive<'e>(&self, entry: Option<&'e Entry>) -> Option<&'e Entry> {
        entry.filter(|entry| entry.deadline().is_none_or(|deadline| deadline > self.map.clock()))
    }

    /// Notes that a key was read, if that matters.
    fn note_use(&self, database: Database, entry: Option<&Entry>) {
        if self.map.uses.is_on()
            && let Some(entry) = entry
            && self.map.uses.note(database, entry.key(), entry.used())
        {
            self.map.news.ring();
        }
    }

    /// The place of a key of a database, whose shard is locked.
    fn within(&self, place: Place, database: Database) -> Place {
        place.within(self.map.spaces().of(database))
    }

    pub(super) fn map(&self) -> &Arc<Map> {
        &self.map
    }

    /// Which notices of changes are sent.
    pub(crate) fn notices(&self) -> Notices {
        self.map.notices()
    }

    /// The limit of memory, and what is kept of evictions.
    pub(crate) fn memory(&self) -> Memory {
        self.map.memory()
    }

    /// How many commands this server has refused since there was no memory.
    pub(crate) fn short(&self) -> u64 {
        self.map.short()
    }

    /// Whether commands that need memory are refused now: too much is taken, and nothing may go.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.map.is_under(Pressure::Shortage)
    }

    /// Counts a command that this server has refused since there was no memory.
    pub(crate) fn count_short(&self) {
        self.map.count_short();
    }

    /// What was read on this server, if that matters.
    pub(crate) fn uses(&self) -> &Uses {
        &self.map.uses
    }

    /// The scripts that this server knows.
    pub(crate) fn scripts(&self) -> &Scripts {
        &self.map.scripts
    }

    /// The users, and what each may do.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.map.directory
    }

    /// Who on this server hears which messages.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.map.hub
    }

    /// The latest changes, for whoever watches them.
    pub(crate) fn changes(&self) -> &Arc<Feed> {
        &self.map.changes
    }

    /// Who on this server is told when what he has read changes.
    pub(crate) fn tracking(&self) -> &Arc<Exchange> {
        &self.map.tracking
    }

    /// The value of a key and its version, or `None` if the key does not exist.
    pub fn get(&self, key: &[u8]) -> Option<(Bytes, Version)> {
        self.with(key, |found| found.map(|found| (found.value.to_bytes(), found.version)))
    }

    /// Calls `look` with the value of a key, without a copy. The key's shard is locked meanwhile: be brief,
    /// and do not call this reader from within.
    pub fn with<T>(&self, key: &[u8], look: impl FnOnce(Option<Found<'_>>) -> T) -> T {
        self.with_in(Database::FIRST, key, look)
    }

    /// The same for a key of any database.
    pub fn with_in<T>(&self, database: Database, key: &[u8], look: impl FnOnce(Option<Found<'_>>) -> T) -> T {
        let place = self.map.place(key);
        let shard = self.map.read(place.shard());
        let place = self.within(place, database);
        let entry = self.alive(shard.get(place, key));
        self.note_use(database, entry);
        look(entry.map(Found::of))
    }

    /// Calls `look` with the value of each key in turn, all at one moment: an mset is seen whole or not at
    /// all. The keys' shards are locked meanwhile, as in [`with`](Self::with). To print many values,
    /// [get](Self::get_many) them.
    pub fn with_many<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]> + Clone,
        mut look: impl FnMut(Option<Found<'_>>),
    ) {
        let places: Vec<Place> = keys.clone().map(|key| self.map.place(key)).collect();
        let shards = self.map.read_all(&places);
        for (key, &place) in keys.zip(&places) {
            let place = self.within(place, Database::FIRST);
            let entry = self.alive(shards.shard(place).get(place, key));
            self.note_use(Database::FIRST, entry);
            look(entry.map(Found::of));
        }
    }

    /// The values of several keys at one moment, in the order of the keys.
    pub fn get_many<'k>(&self, keys: impl Iterator<Item = &'k [u8]> + Clone) -> Vec<Option<Bytes>> {
        let mut values = Vec::with_capacity(keys.size_hint().0);
        self.with_many(keys, |found| values.push(found.map(|found| found.value.to_bytes())));
        values
    }

    /// The values of several keys at one moment, or `None` if a reader would have to wait.
    #[cfg(feature = "planted-bugs")]
    pub fn try_get_many(&self, keys: &[&[u8]]) -> Option<Vec<Option<Bytes>>> {
        let places: Vec<Place> = keys.iter().map(|key| self.map.place(key)).collect();
        let shards = self.map.try_read_all(&places)?;
        let value = |(key, place): (&&[u8], &Place)| {
            let place = self.within(*place, Database::FIRST);
            self.alive(shards.shard(place).get(place, key)).map(|entry| entry.value().to_bytes())
        };
        Some(keys.iter().zip(&places).map(value).collect())
    }

    /// How many of the keys exist at one moment. A key that is named twice counts twice.
    pub fn exists<'k>(&self, keys: impl Iterator<Item = &'k [u8]> + Clone) -> u64 {
        let mut count = 0;
        self.with_many(keys, |found| count += u64::from(found.is_some()));
        count
    }

    /// Answers a [query](crate::query), at one moment.
    ///
    /// # Errors
    /// If the bytes are not a query.
    pub fn answer(&self, query: &[u8]) -> Result<Reply, MalformedQuery> {
        let (Asker { user, database }, query) = query::decode_for(query)?;
        if let Some(denied) = self.map.directory.denied(user, || wanted(&query)) {
            return Ok(Reply::Denied(Box::new(denied)));
        }
        Ok(match query {
            Query::Value(key) => {
                Reply::Value(self.with_in(database, key, |found| found.map(|found| found.value.to_bytes())))
            }
            Query::Call { call, .. } if call.is_whole() => {
                // As many reads as there have been: they change nothing, so no server need agree with another.
                let seed = self.map.news.count_walk();
                let (space, clock) = (self.map.spaces().of(database), self.map.clock());
                Reply::Data(calls::walk(&Walking { whole: &*self.map, space, clock, seed }, &call))
            }
            Query::Call { time, call } => {
                let places: Vec<Place> = call.keys().map(|key| self.map.place(key)).collect();
                let shards = self.map.read_all(&places);
                let space = self.map.spaces().of(database);
                if self.map.uses.is_on() && Spec::of(call.op).uses_keys() {
                    for (key, place) in call.keys().zip(&places) {
                        let place = place.within(space);
                        self.note_use(database, self.alive(shards.shard(place).get(place, key)));
                    }
                }
                Reply::Data(calls::read(&shards, (&self.map, space), (self.map.clock(), time), &call))
            }
            Query::Entry(key) => {
                let place = self.map.place(key);
                let shard = self.map.read(place.shard());
                let place = self.within(place, database);
                let entry = self.alive(shard.get(place, key));
                self.note_use(database, entry);
                Reply::Entry(entry.map(StoredValue::of))
            }
        })
    }

    /// The number of keys of all databases.
    pub fn len(&self) -> u64 {
        self.map.keys()
    }

    /// The number of keys of a database, and of those that will expire.
    pub fn keys_of(&self, database: Database) -> (u64, u64) {
        self.map.counts(self.map.spaces().of(database))
    }

    /// The number of keys, and what keys and values take of the memory that they may, in bytes: alike on all servers that have
    /// executed the same.
    pub fn sizes(&self) -> (u64, u64) {
        (self.len(), self.map.bytes())
    }

    /// How many requests with keys of their own are remembered, and about how much memory that takes in bytes.
    pub(crate) fn receipts(&self) -> [u64; 2] {
        self.map.receipts()
    }

    /// The number of keys that will expire.
    pub fn expiring(&self) -> u64 {
        Database::all().map(|database| self.keys_of(database).1).sum()
    }

    /// The clock of the state, in milliseconds since 1970: the latest time that a command has carried; 0 if none has.
    pub fn clock(&self) -> u64 {
        self.map.clock()
    }

    /// When the next key expires, in milliseconds since 1970, if one does. It may have expired, and not be removed yet.
    pub fn next_deadline(&self) -> Option<u64> {
        self.map.next_deadline()
    }

    /// Commands about clocks that this server has executed since the last call.
    pub(crate) fn take_clock_news(&self) -> VecDeque<ClockNews> {
        self.map.news.take()
    }

    /// Whether there are any.
    pub(crate) fn has_clock_news(&self) -> bool {
        !self.map.news.is_empty()
    }

    /// How many advances this server has executed.
    pub(crate) fn advances(&self) -> u64 {
        self.map.news.advances()
    }

    /// How many keys have been evicted, if more are to go that no command has evicted yet.
    pub(crate) fn eviction_due(&self) -> Option<u64> {
        self.map.is_under(Pressure::Eviction).then(|| self.map.memory().evicted)
    }

    /// How many commands this server has executed that only make room.
    pub(crate) fn rooms_made(&self) -> u64 {
        self.map.news.rooms()
    }

    /// From now on, `wake` is called when keys are to be evicted, when a command about clocks was executed, an advance, or a command with an
    /// earlier deadline than all others.
    pub(crate) fn wake_timekeeper(&self, wake: Arc<dyn Wake>) {
        self.map.news.wake(wake);
    }

    /// What the clock of this server shows, for a planted bug.
    #[cfg(feature = "planted-bugs")]
    pub(crate) fn set_local_time(&self, time: u64) {
        self.map.news.set_local_time(time);
    }

    /// The life of the state, once it has a name.
    pub fn life(&self) -> Option<Life> {
        self.map.life()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with about `count` keys from the cursor on. Returns the cursor of the next page, or
    /// [`Cursor::START`] after the last one. A page ends early after a MiB of keys.
    ///
    /// A key that exists from a scan's first page to its last is visited, and no key is visited twice unless
    /// it was removed and set again meanwhile. A key that came or went meanwhile may or may not be visited. A
    /// cursor stays valid however the map grows, on every server of the cluster, and after restarts. Nothing
    /// is locked during a visit.
    pub fn scan(&self, cursor: Cursor, count: usize, visit: impl FnMut(&[u8])) -> Cursor {
        let space = self.map.spaces().of(Database::FIRST);
        scan::page(&*self.map, (space, self.map.clock()), cursor, count, visit)
    }

    /// A page of the keys with a prefix, from the cursor on, with all that is stored with them, at one moment. Pages
    /// follow each other like those of a [scan](Self::scan). A page may be empty although others follow it, since it
    /// looks at a bounded number of keys.
    ///
    /// ```
    /// use niagara_engine::{GlobalPosition, StateMachine};
    /// use niagara_kvstore::{Cursor, Kv, Listed, command};
    ///
    /// let mut kv = Kv::new();
    /// let mut add_one = Vec::new();
    /// command::encode_incr_by(&mut add_one, b"visits/1", 1);
    /// kv.execute(GlobalPosition::new(1), &add_one.into());
    /// let page = kv.reader().list(Cursor::START, Listed { prefix: b"visits/", limit: 10, with_values: true });
    /// assert_eq!((&*page.entries[0].0, page.next), (&b"visits/1"[..], Cursor::START));
    /// ```
    pub fn list(&self, cursor: Cursor, listed: Listed<'_>) -> ListPage {
        self.list_some(cursor, listed, |_| true)
    }

    /// The same, of the keys for which `shows` holds.
    pub(crate) fn list_some(
        &self,
        cursor: Cursor,
        listed: Listed<'_>,
        shows: impl Fn(&[u8]) -> bool,
    ) -> ListPage {
        listing::page(&self.map, cursor, listed, shows)
    }

    /// All keys of the first database in order, each with its value and version, at one moment. For tests and small states, since
    /// it locks all shards.
    pub fn entries(&self) -> Vec<(Vec<u8>, Bytes, Version)> {
        let shards = self.map.read_everything();
        let space = self.map.spaces().of(Database::FIRST);
        let tables = shards.iter().flat_map(|shard| shard.tables().tables_from(Place(0)));
        let mut entries: Vec<_> = tables
            .flatten()
            .filter(|entry| entry.place().space() == space)
            .filter_map(|entry| self.alive(Some(entry)))
            .map(|entry| (entry.key().to_vec(), entry.value().to_bytes(), entry.version()))
            .collect();
        drop(shards);
        entries.sort_unstable();
        entries
    }

    /// The last global position at which a command was executed. Another command of the same position may
    /// follow.
    pub fn position(&self) -> u64 {
        self.map.position()
    }
}
