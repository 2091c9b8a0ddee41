//! The sharded map that the applying thread writes and all others read.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use niagara_planted::{self as planted, Bug};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use siphasher::sip::SipHasher13;

use super::ledger::Ledger;
use super::locked::{Change, Look, Whole};
use super::news::News;
use super::place::{Place, SHARD_BITS};
use super::shard::Shard;
use super::tables::Tables;
use super::view::View;
use crate::changes::Feed;
use crate::database::{Space, Spaces};
use crate::memory::{Memory, Pressure, Uses};
use crate::notices::Notices;
use crate::pubsub::Hub;
use crate::script::Scripts;
use crate::tracking::Exchange;
use crate::users::Directory;
use crate::{Database, Life};

/// The contents of all shards of an empty map.
pub(super) fn no_contents() -> Vec<Tables> {
    (0..1 << SHARD_BITS).map(|_| Tables::default()).collect()
}

/// All shards. A thread that locks several takes them in ascending order, so that no two wait for each other.
#[derive(Debug)]
pub(super) struct Map {
    /// Keys come from strangers, so the hash has a key that they do not know: nobody can choose keys that
    /// fall into one table. All servers of a cluster have the same hash key, also after a restart, since scan
    /// cursors are places. For the same reason the hash function must never change.
    hasher: SipHasher13,
    shards: Box<[RwLock<Shard>]>,
    /// Where the databases are. It changes while all shards are locked.
    spaces: AtomicU64,
    /// What there is in each space, changed while all shards of a command are locked, so that it is consistent.
    published: [Published; Database::COUNT],
    position: AtomicU64,
    /// The name of the state's life; 0 until it has one.
    life: AtomicU64,
    /// The latest time that a command has carried, in milliseconds since 1970.
    clock: AtomicU64,
    /// When the next key expires; `u64::MAX` if none does.
    next_deadline: AtomicU64,
    /// Which notices of changes are sent.
    notices: AtomicU64,
    /// How many receipts there are, and what they take in bytes.
    receipts: [AtomicU64; 2],
    /// What keys and values count, in bytes.
    bytes: AtomicU64,
    /// The limit, and what is kept of evictions.
    memory: Mutex<Memory>,
    /// How many commands were refused on this server since there was no memory.
    short: AtomicU64,
    /// Whether too much is taken: a [`Pressure`].
    pressure: AtomicU8,
    /// What was read on this server, if that matters.
    pub(super) uses: Uses,
    pub(super) news: News,
    /// The scripts that this server knows, which are no part of the state.
    pub(super) scripts: Scripts,
    /// Who on this server hears which messages.
    pub(super) hub: Arc<Hub>,
    /// The users, and what each may do.
    pub(super) directory: Arc<Directory>,
    /// The latest changes, for whoever watches them.
    pub(super) changes: Arc<Feed>,
    /// Who on this server is told when what he has read changes.
    pub(super) tracking: Arc<Exchange>,
}

/// How much there is in a space.
#[derive(Debug, Default)]
struct Published {
    keys: AtomicU64,
    expiring: AtomicU64,
}

impl Default for Map {
    fn default() -> Map {
        Map::keyed(0)
    }
}

impl Map {
    /// An empty map. Maps with the same hash key have the same places for the same keys.
    pub(super) fn keyed(hash_key: u128) -> Map {
        Map::new(SipHasher13::new_with_key(&hash_key.to_le_bytes()))
    }

    fn new(hasher: SipHasher13) -> Map {
        Map {
            hasher,
            shards: (0..1 << SHARD_BITS).map(|_| RwLock::default()).collect(),
            spaces: AtomicU64::new(Spaces::default().0),
            published: Default::default(),
            position: AtomicU64::new(0),
            life: AtomicU64::new(0),
            clock: AtomicU64::new(0),
            next_deadline: AtomicU64::new(u64::MAX),
            notices: AtomicU64::new(0),
            receipts: Default::default(),
            bytes: AtomicU64::new(0),
            memory: Mutex::default(),
            short: AtomicU64::new(0),
            pressure: AtomicU8::new(Pressure::None as u8),
            uses: Uses::default(),
            news: News::default(),
            scripts: Scripts::default(),
            hub: Arc::default(),
            directory: Arc::default(),
            changes: Arc::default(),
            tracking: Arc::default(),
        }
    }

    /// An empty map with the same places for the same keys.
    pub(super) fn emptied(&self) -> Map {
        Map::new(self.hasher)
    }

    /// The place of a key in the space with number 0. In each space it is in the same shard, so a reader locks that first, and
    /// asks for the spaces then.
    pub(super) fn place(&self, key: &[u8]) -> Place {
        Place(self.hasher.hash(key)).within(Space(0))
    }

    /// How many receipts there are, and what they take in bytes.
    pub(super) fn receipts(&self) -> [u64; 2] {
        [0, 1].map(|at: usize| self.receipts[at].load(Ordering::Relaxed))
    }

    /// Publishes that. Only the thread that executes commands calls it.
    pub(super) fn publish_receipts(&self, (count, bytes): (usize, usize)) {
        self.receipts[0].store(count as u64, Ordering::Relaxed);
        self.receipts[1].store(bytes as u64, Ordering::Relaxed);
    }

    /// Where the databases are, as long as any shard is locked.
    pub(super) fn spaces(&self) -> Spaces {
        Spaces(self.spaces.load(Ordering::Acquire))
    }

    /// Publishes where the databases are. Only the thread that executes commands calls it, while all shards are locked.
    pub(super) fn publish_spaces(&self, spaces: Spaces) {
        self.spaces.store(spaces.0, Ordering::Release);
    }

    pub(super) fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].read()
    }

    pub(super) fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].write()
    }

    /// Locks a shard for reading, beside other readers. The lock can be upgraded for writing without another
    /// writer in between.
    pub(super) fn read_upgradably(&self, shard: usize) -> RwLockUpgradableReadGuard<'_, Shard> {
        self.shards[shard].upgradable_read()
    }

    /// Locks all shards for reading.
    pub(super) fn read_everything(&self) -> Vec<RwLockReadGuard<'_, Shard>> {
        self.shards.iter().map(RwLock::read).collect()
    }

    /// Locks the shards of all these places for reading.
    pub(super) fn read_all(&self, places: &[Place]) -> Locked<RwLockReadGuard<'_, Shard>> {
        Locked::new(places, |shard| self.read(shard))
    }

    /// Locks the shards of all these places for reading, unless a thread writes to one of them.
    #[cfg(feature = "planted-bugs")]
    pub(super) fn try_read_all(&self, places: &[Place]) -> Option<Locked<RwLockReadGuard<'_, Shard>>> {
        let mut shards: Vec<usize> = places.iter().map(|place| place.shard()).collect();
        shards.sort_unstable();
        shards.dedup();
        let locked = shards.into_iter().map(|shard| Some((shard, self.shards[shard].try_read()?)));
        locked.collect::<Option<Vec<_>>>().map(Locked)
    }

    /// Locks the shards of all these places for writing.
    pub(super) fn write_all(&self, places: &[Place]) -> Locked<RwLockWriteGuard<'_, Shard>> {
        Locked::new(places, |shard| self.write(shard))
    }

    /// Locks all shards for writing.
    pub(super) fn write_everything(&self) -> Locked<RwLockWriteGuard<'_, Shard>> {
        Locked((0..1 << SHARD_BITS).map(|shard| (shard, self.write(shard))).collect())
    }

    /// The number of keys in a space, and of those that expire, at one moment.
    pub(super) fn counts(&self, space: Space) -> (u64, u64) {
        let Published { keys, expiring } = &self.published[usize::from(space.0)];
        (keys.load(Ordering::Acquire), expiring.load(Ordering::Acquire))
    }

    /// The number of keys of all databases.
    pub(super) fn keys(&self) -> u64 {
        (0..).map(Space).take(Database::COUNT).map(|space| self.counts(space).0).sum()
    }

    /// What keys and values count, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Publishes how many keys there are, and what they take. Only the thread that executes commands calls it, once for each command, while the
    /// shards of the command's keys are locked.
    pub(super) fn publish_counts(&self, ledger: &Ledger) {
        if self.bytes.load(Ordering::Relaxed) != ledger.bytes() {
            self.bytes.store(ledger.bytes(), Ordering::Release);
        }
        for (space, published) in (0..).map(Space).zip(&self.published) {
            let counts = ledger.counts(space);
            for (published, now) in [(&published.keys, counts.keys), (&published.expiring, counts.expiring)] {
                if published.load(Ordering::Relaxed) != now {
                    published.store(now, Ordering::Release);
                }
            }
        }
    }

    /// Replaces the contents of all shards at one moment; `ledger` is what is kept of the new ones. Returns the old contents, which may take long to
    /// free.
    #[must_use]
    pub(super) fn replace_all(&self, contents: Vec<Tables>, ledger: &Ledger) -> Vec<Tables> {
        let mut shards: Vec<_> = self.shards.iter().map(RwLock::write).collect();
        let replaced = shards.iter_mut().zip(contents).enumerate();
        let before =
            replaced.filter_map(|(number, (shard, tables))| shard.replace_all(number, tables)).collect();
        self.publish_spaces(ledger.spaces);
        self.publish_counts(ledger);
        before
    }

    /// From now on, what changes is saved for the view first. Shards may be frozen one after the other, since
    /// only the thread that calls this changes them.
    pub(super) fn freeze(&self, view: &Arc<View>) {
        for shard in &self.shards {
            shard.write().freeze(Arc::clone(view));
        }
    }

    /// The limit of memory, and what is kept of evictions.
    pub(super) fn memory(&self) -> Memory {
        *self.memory.lock()
    }

    /// Publishes that. Only the thread that executes commands calls it.
    pub(super) fn publish_memory(&self, memory: Memory) {
        *self.memory.lock() = memory;
        self.uses.turn(memory.asks_for_uses());
    }

    /// Whether too much is taken, at the last look.
    pub(super) fn is_under(&self, pressure: Pressure) -> bool {
        self.pressure.load(Ordering::Acquire) == pressure as u8
    }

    /// Publishes it once commands have been executed, and says so to whoever evicts.
    pub(super) fn publish_pressure(&self, pressure: Pressure) {
        if !self.is_under(pressure) {
            self.pressure.store(pressure as u8, Ordering::Release);
            if pressure == Pressure::Eviction {
                self.news.ring();
            }
        }
    }

    /// Counts a command that was refused since there was no memory.
    pub(super) fn count_short(&self) {
        self.short.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub(super) fn short(&self) -> u64 {
        self.short.load(Ordering::Relaxed)
    }

    pub(super) fn life(&self) -> Option<Life> {
        Life::new(self.life.load(Ordering::Acquire))
    }

    pub(super) fn set_life(&self, life: Option<Life>) {
        self.life.store(life.map_or(0, Life::get), Ordering::Release);
    }

    /// Names the state's life, unless it has a name, and returns the name it has. Only the thread that
    /// executes commands calls it.
    pub(super) fn name_life(&self, life: Life) -> Life {
        self.life().unwrap_or_else(|| {
            self.set_life(Some(life));
            life
        })
    }

    /// The replicated clock, in milliseconds since 1970: keys whose deadline it has reached do not exist any more.
    pub(super) fn clock(&self) -> u64 {
        if planted::is(Bug::ExpiryByLocalClock) {
            return self.news.local_time();
        }
        self.clock.load(Ordering::Acquire)
    }

    /// The same, whatever bugs are planted.
    pub(super) fn ordered_clock(&self) -> u64 {
        self.clock.load(Ordering::Acquire)
    }

    /// Moves the clock forward to the time that a command carries. Only the thread that executes commands calls it.
    pub(super) fn move_clock(&self, time: u64) {
        self.clock.fetch_max(time, Ordering::AcqRel);
    }

    /// When the next key expires, if one does.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        Some(self.next_deadline.load(Ordering::Acquire)).filter(|deadline| *deadline != u64::MAX)
    }

    /// Publishes when the next key expires, and says so to whoever waits for it if that is earlier than before.
    pub(super) fn publish_deadline(&self, deadline: Option<u64>) {
        let deadline = deadline.unwrap_or(u64::MAX);
        if self.next_deadline.swap(deadline, Ordering::AcqRel) > deadline {
            self.news.ring();
        }
    }

    /// Which notices of changes are sent.
    pub(super) fn notices(&self) -> Notices {
        Notices::of_bits(self.notices.load(Ordering::Acquire)).unwrap_or_default()
    }

    pub(super) fn publish_notices(&self, notices: Notices) {
        self.notices.store(notices.bits(), Ordering::Release);
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }
}

/// Guards of several shards, by shard.
pub(super) struct Locked<G>(Vec<(usize, G)>);

impl<G> Locked<G> {
    fn new(places: &[Place], lock: impl Fn(usize) -> G) -> Locked<G> {
        let mut shards: Vec<usize> = places.iter().map(|place| place.shard()).collect();
        shards.sort_unstable();
        shards.dedup();
        Locked(shards.into_iter().map(|shard| (shard, lock(shard))).collect())
    }

    fn index(&self, place: Place) -> usize {
        self.0
            .binary_search_by_key(&place.shard(), |(shard, _)| *shard)
            .expect("every place's shard was locked")
    }
}

impl<G: Deref<Target = Shard>> Look for Locked<G> {
    fn shard(&self, place: Place) -> &Shard {
        &self.0[self.index(place)].1
    }
}

impl<G: Deref<Target = Shard>> Whole for Locked<G> {
    fn visit(&self, shard: usize, look: &mut dyn FnMut(&Shard)) {
        look(self.shard(Place::start_of(shard)));
    }
}

impl<G: DerefMut<Target = Shard>> Change for Locked<G> {
    fn shard_mut(&mut self, place: Place) -> &mut Shard {
        let index = self.index(place);
        &mut self.0[index].1
    }
}

impl Whole for Map {
    fn visit(&self, shard: usize, look: &mut dyn FnMut(&Shard)) {
        look(&self.read(shard));
    }
}
