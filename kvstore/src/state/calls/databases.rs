//! Commands on databases.

use super::words::{SYNTAX, integer, is};
use super::{Answer, Failure, Words, Writing};
use crate::changes::Kind;
use crate::notices::About;
use crate::state::place::{Place, SHARD_BITS};
use crate::{Data, Database};

/// The database that a client names.
pub(super) fn database(word: &[u8]) -> Result<Database, Failure> {
    numbered(integer(word)?)
}

fn numbered(number: i64) -> Result<Database, Failure> {
    let database = u64::try_from(number).ok().and_then(Database::new);
    database.ok_or_else(|| "ERR DB index is out of range".into())
}

pub(super) fn move_key(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (key, into) = (words[0], database(words[1])?);
    if into == writing.database {
        return Err("ERR source and destination objects are the same".into());
    }
    if writing.get(key).is_none() || writing.within(into, |there| there.get(key).is_some()) {
        return Ok(Data::flag(false));
    }
    let entry = writing.take(key).expect("it was there a moment ago");
    let attributes = entry.attributes();
    writing.within(into, |there| there.put(key, entry.into_value(), attributes));
    writing.tell(About::Key, "move_from", key);
    writing.within(into, |there| there.tell(About::Key, "move_to", key));
    Ok(Data::flag(true))
}

/// Watchers of the first database are told that all its keys have gone, and of each that it has now.
pub(super) fn swap(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let one = integer(words[0]).or(Err("ERR invalid first DB index"))?;
    let other = integer(words[1]).or(Err("ERR invalid second DB index"))?;
    let (one, other) = (numbered(one)?, numbered(other)?);
    let Writing { map, core, shards, .. } = writing;
    let ledger = &mut core.ledger;
    ledger.spaces.swap(one, other);
    map.publish_spaces(ledger.spaces);
    if one != other {
        ledger.tracked.note_all();
    }
    let watched = ledger.spaces.of(Database::FIRST);
    if [one, other].contains(&Database::FIRST) && one != other && ledger.is_watched(watched) {
        ledger.changes.note(Kind::Flush, b"", None);
        for number in 0..1 << SHARD_BITS {
            let start = Place::start_of(number);
            for entry in shards.shard(start).tables().tables_from(start).flatten() {
                ledger.note(Kind::Set, entry);
            }
        }
    }
    Ok(Data::OK)
}

/// Removes all keys of the database. If others have keys, this takes the longer the more there are in all of them.
pub(super) fn flush(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    if words.len() > 1 || words.iter().any(|how| !is(how, "ASYNC") && !is(how, "SYNC")) {
        return Err(SYNTAX);
    }
    let space = writing.space();
    let ledger = &writing.core.ledger;
    if ledger.counts(space).keys == ledger.keys() {
        let before = writing.flush(writing.database == Database::FIRST);
        writing.core.garbage.free(Box::new(before));
        return Ok(Data::OK);
    }
    writing.core.ledger.tracked.mute(true);
    for number in 0..1 << SHARD_BITS {
        let start = Place::start_of(number);
        let tables = writing.shards.shard(start).tables().tables_from(start);
        let gone = tables.flatten().filter(|entry| entry.place().space() == space);
        let gone: Vec<(Place, Box<[u8]>)> =
            gone.map(|entry| (entry.place(), Box::from(entry.key()))).collect();
        for (place, key) in gone {
            let entry = writing.remove(place, &key, Kind::Delete).expect("it was there a moment ago");
            writing.core.rubbish.push(entry);
        }
    }
    writing.core.ledger.tracked.mute(false);
    writing.core.ledger.tracked.note_all();
    Ok(Data::OK)
}
