//! Keys that go when keys and values take more than they may.
//!
//! Before a command that needs memory is executed, keys are evicted until there is enough. Which ones follows from the state and
//! the position: a place is drawn from both, and the keys behind it are compared, in an order that all servers share. That is the
//! order of places, and where a key is in several databases, that of the databases. Neither tables nor spaces have any part in it,
//! since they differ between servers.
//!
//! A store to which nobody writes is brought within its limit by commands that do nothing else: a server
//! proposes them (`front/evicting.rs`), one after the other.
//!
//! Few keys go at once, so that nobody waits long. If that is not enough, a command is let in as long as less is taken than when
//! the last one was. So a limit that was lowered is approached step by step, and nothing grows far beyond one.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use niagara_planted::{self as planted, Bug};

use super::Kv;
use super::apply::write;
use super::entry::Entry;
use super::ledger::Ledger;
use super::locked::One;
use super::map::Map;
use super::place::Place;
use super::writer::Share;
use crate::Database;
use crate::command::{self, Command};
use crate::database::{Space, Spaces};
use crate::memory::{Above, Among, First, Memory, Policy, Pressure};
use crate::table::{Op, Spec};

/// Before a command, so many keys go at most, and as many as there are more of than when the last command was let in. Each costs
/// some microseconds.
pub(crate) const EVICTED_AT_ONCE: u64 = 256;

/// So many times the keys are compared that `maxmemory-samples` says. Redis also compares them with the best ones of earlier samples,
/// which are no part of the state here.
const COMPARED: usize = 3;

/// Whether a command needs memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// It does not.
    None,
    /// It is a script, which may call commands that do.
    Unknown,
    /// It does.
    Some,
}

impl Need {
    fn of(command: &Command<'_>) -> Need {
        match command {
            Command::Set { .. } | Command::MSet { .. } | Command::Append { .. } | Command::IncrBy { .. } => {
                Need::Some
            }
            Command::Call(call) if call.op == Op::Eval => Need::Unknown,
            Command::Call(call) if Spec::of(call.op).needs_memory() => Need::Some,
            Command::Block(block) => Need::of_all(block.commands()),
            Command::Choice(choice) => Need::of_all(choice.commands(true).chain(choice.commands(false))),
            Command::In { command, .. } => {
                Need::of(&command::decode(command).expect("decode has checked it"))
            }
            _ => Need::None,
        }
    }

    fn of_all<'c>(commands: impl Iterator<Item = Command<'c>>) -> Need {
        commands.map(|command| Need::of(&command)).max().unwrap_or(Need::None)
    }
}

impl Kv {
    /// Makes room for a command. Returns whether it must be refused, since there is none.
    pub(super) fn is_out_of_memory(&mut self, command: &Command<'_>) -> bool {
        self.core.is_short = false;
        if self.core.memory.most == 0 {
            return false;
        }
        let need = Need::of(command);
        if need == Need::None {
            return false;
        }
        self.core.is_short = self.make_room();
        let is_refused = self.core.is_short && need == Need::Some;
        if is_refused {
            self.map.count_short();
        }
        is_refused
    }

    /// Whether too much is taken.
    pub(super) fn pressure(&self) -> Pressure {
        let Memory { policy, .. } = self.core.memory;
        let ledger = &self.core.ledger;
        let may_go = match policy {
            Policy::NoEviction => false,
            Policy::Evict(Among::All, _) => true,
            Policy::Evict(Among::Volatile, _) | Policy::VolatileTtl => !ledger.deadlines.is_empty(),
        };
        match self.core.memory.is_exceeded(ledger.bytes()) {
            false => Pressure::None,
            true if may_go => Pressure::Eviction,
            true => Pressure::Shortage,
        }
    }

    /// Evicts keys if too much is taken. Returns whether nothing more may come.
    pub(super) fn make_room(&mut self) -> bool {
        let before = self.core.memory;
        if !before.is_exceeded(self.core.ledger.bytes()) && before.above.is_none() {
            return false;
        }
        let has_grown = |above: Above| self.core.ledger.keys().saturating_sub(above.keys);
        let mut left = EVICTED_AT_ONCE + before.above.map_or(0, has_grown);
        let mut has_more = true;
        while before.is_exceeded(self.core.ledger.bytes()) && left > 0 && has_more {
            has_more = self.evict_one();
            left -= 1;
        }
        let now = Above { used: self.core.ledger.bytes(), keys: self.core.ledger.keys() };
        let is_exceeded = before.is_exceeded(now.used);
        let falls = has_more && before.above.is_none_or(|above| now.used < above.used);
        let above = if falls { Some(now) } else { before.above };
        self.core.memory.above = above.filter(|_| is_exceeded);
        self.map.publish_memory(self.core.memory);
        is_exceeded && !falls
    }

    /// Evicts the key whose turn it is, if any may go.
    fn evict_one(&mut self) -> bool {
        let Some(Candidate { place, key, .. }) = self.candidate() else { return false };
        let Kv { map, core, .. } = self;
        let mut one = One(map.write(place.shard()));
        let anywhere: (_, Share<'_>) = (Database::FIRST, &Bytes::copy_from_slice);
        let gone = write((map, core), &mut one, anywhere, |writer| writer.evict(place, &key));
        // A value may take long to free: not while readers wait.
        drop(one);
        drop(gone.expect("it was there a moment ago"));
        self.core.memory.evicted += 1;
        true
    }

    fn candidate(&self) -> Option<Candidate> {
        let Memory { policy, samples, evicted, .. } = self.core.memory;
        let ledger = &self.core.ledger;
        let from = drawn(self.core.versions.position(), evicted);
        match policy {
            Policy::NoEviction => None,
            Policy::VolatileTtl => {
                let (deadline, place) = ledger.first_due()?;
                let shard = self.map.read(place.shard());
                let key = shard.due(place, deadline).expect("an entry has each deadline in the ledger");
                Some(Candidate { place, key: key.into(), used: 0 })
            }
            Policy::Evict(among, first) => {
                let count = if first == First::Random { 1 } else { COMPARED * samples as usize };
                match among {
                    Among::All => among_all(&self.map, ledger.spaces, from, count),
                    Among::Volatile => among_volatile(&self.map, ledger, from, count),
                }
            }
        }
    }
}

/// A key that may go.
struct Candidate {
    place: Place,
    key: Box<[u8]>,
    used: u64,
}

impl Candidate {
    /// The one of both that was not used for longer.
    fn or(best: Option<Candidate>, entry: &Entry) -> Candidate {
        match best {
            Some(best) if best.used <= entry.used() => best,
            _ => Candidate { place: entry.place(), key: entry.key().into(), used: entry.used() },
        }
    }
}

/// A place that follows from a position and from how many keys have gone before, alike on all servers.
fn drawn(position: u64, evicted: u64) -> Place {
    if planted::is(Bug::EvictedByChance) {
        return Place(RandomState::new().hash_one(position)).within(Space(0));
    }
    // SplitMix64, by Steele, Lea and Flood.
    let mut number = position.wrapping_add(evicted.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    Place(number ^ number >> 31).within(Space(0))
}

/// Of so many keys from a place on, the one that was not used for the longest.
fn among_all(map: &Map, spaces: Spaces, from: Place, mut count: usize) -> Option<Candidate> {
    let mut best = None;
    for (begin, end) in [(from, None), (Place(0), Some(from))] {
        let mut next = Some(begin);
        while let Some(at) = next.filter(|at| count > 0 && end.is_none_or(|end| *at < end)) {
            let shard = map.read(at.shard());
            let table = shard.tables().tables_from(at).next().into_iter().flatten();
            let mut entries: Vec<&Entry> =
                table.filter(|entry| end.is_none_or(|end| entry.place() < end)).collect();
            entries.sort_unstable_by_key(|entry| order(spaces, entry));
            for entry in entries.into_iter().take(count) {
                best = Some(Candidate::or(best, entry));
                count -= 1;
            }
            next = shard.tables().next_table(at).or_else(|| at.next_shard());
        }
    }
    best
}

/// The order of entries that all servers share.
fn order(spaces: Spaces, entry: &Entry) -> (u64, Database, &[u8]) {
    (entry.place().alike(), spaces.database(entry.place().space()), entry.key())
}

/// The same of keys that expire.
fn among_volatile(map: &Map, ledger: &Ledger, from: Place, count: usize) -> Option<Candidate> {
    let behind = ledger.deadlines.places_from(from);
    let before = ledger.deadlines.places_from(Place(0)).take_while(|place| *place < from);
    let (mut places, mut last) = (Vec::new(), None);
    for place in behind.chain(before) {
        // All that are called alike come, or none.
        if places.len() >= count && last != Some(place.alike()) {
            break;
        }
        last = Some(place.alike());
        places.push(place);
    }
    let database = |place: &Place| ledger.spaces.database(place.space());
    places.sort_unstable_by_key(|place| (*place < from, place.alike(), database(place)));
    places.iter().take(count).fold(None, |best, place| {
        let shard = map.read(place.shard());
        let expires = |entry: &&Entry| entry.deadline().is_some();
        let entry = shard.tables().at(*place).filter(expires).min_by(|one, other| one.key().cmp(other.key()));
        Some(Candidate::or(best, entry.expect("an entry has each deadline in the ledger")))
    })
}
