//! Commands on values.

use bytes::Bytes;

use super::expiry::{Unit, deadline};
use super::keys::remove;
use super::words::{SYNTAX, TOO_LARGE, integer, is, range};
use super::{Answer, Failure, Reading, Words, Writing};
use crate::attributes::Attributes;
use crate::command::MAX_VALUE_BYTES;
use crate::notices::About;
use crate::state::entry::Entry;
use crate::{Data, Description};

pub(super) fn get(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    Ok(found(reading.get(words[0]).map(|entry| entry.value().to_bytes())))
}

pub(super) fn mget(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let value = |key: &&[u8]| found(reading.get(key).map(|entry| entry.value().to_bytes()));
    Ok(Data::Array(words.iter().map(value).collect()))
}

fn found(value: Option<Bytes>) -> Data {
    value.map_or(Data::Null, Data::Bulk)
}

pub(super) fn strlen(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    Ok(Data::count(reading.get(words[0]).map_or(0, |entry| entry.value().len())))
}

pub(super) fn get_range(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let (start, end) = (integer(words[1])?, integer(words[2])?);
    let value = reading.value(words[0]);
    Ok(Data::Bulk(value.slice(range(start, end, value.len()))))
}

pub(super) fn ping(_reading: &Reading<'_>, words: Words<'_>) -> Answer {
    Ok(words.first().map_or(Data::Word("PONG"), |text| Data::Bulk(Bytes::copy_from_slice(text))))
}

pub(super) fn echo(_reading: &Reading<'_>, words: Words<'_>) -> Answer {
    Ok(Data::Bulk(Bytes::copy_from_slice(words[0])))
}

/// The options of SET and GETEX.
#[derive(Default)]
struct Options<'a> {
    if_absent: bool,
    if_present: bool,
    get: bool,
    /// Keep the deadline.
    keep: bool,
    /// Remove the deadline.
    persist: bool,
    expires: Option<(&'a [u8], Unit)>,
}

impl<'a> Options<'a> {
    fn read(words: Words<'a>) -> Result<Options<'a>, Failure> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let unit = Unit::ALL.into_iter().find(|unit| is(word, unit.option()));
            // As in Redis, the same option may be given again; the last one counts.
            let ends = options.keep
                || options.persist
                || options.expires.is_some_and(|(_, given)| unit != Some(given));
            if is(word, "NX") && !options.if_present {
                options.if_absent = true;
            } else if is(word, "XX") && !options.if_absent {
                options.if_present = true;
            } else if is(word, "GET") {
                options.get = true;
            } else if is(word, "KEEPTTL") && !options.persist && options.expires.is_none() {
                options.keep = true;
            } else if is(word, "PERSIST") && !options.keep && options.expires.is_none() {
                options.persist = true;
            } else if let (Some(unit), false) = (unit, ends) {
                options.expires = Some((words.next().ok_or(SYNTAX)?, unit));
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(options)
    }

    fn deadline(&self, name: &str, writing: &Writing<'_>) -> Result<Option<u64>, Failure> {
        self.expires.map(|(word, unit)| deadline(name, integer(word)?, unit, writing.map.clock())).transpose()
    }
}

pub(super) fn set(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (key, value) = (words[0], words[1]);
    let options = Options::read(&words[2..])?;
    if options.persist {
        return Err(SYNTAX);
    }
    let deadline = options.deadline("set", writing)?;
    let before = writing.get(key).map(|entry| (entry.value().to_bytes(), entry.deadline()));
    let exists = before.is_some();
    let kept = before.as_ref().and_then(|(_, deadline)| *deadline).filter(|_| options.keep);
    let old = found(before.map(|(value, _)| value));
    let failed = options.if_absent && exists || options.if_present && !exists;
    if failed {
        return Ok(if options.get { old } else { Data::Null });
    }
    put(writing, key, value, Attributes::expiring(deadline.or(kept)));
    Ok(if options.get { old } else { Data::OK })
}

/// Sets a key. If its deadline has come, it is as if the key had been set and removed.
fn put(writing: &mut Writing<'_>, key: &[u8], value: &[u8], attributes: Attributes) {
    if attributes.deadline().is_some_and(|deadline| deadline <= writing.map.clock()) {
        remove(writing, key);
    } else {
        let value = writing.content(value);
        let expires = attributes.deadline().is_some();
        writing.put(key, value, attributes);
        writing.tell(About::String, "set", key);
        if expires {
            writing.tell(About::Key, "expire", key);
        }
    }
}

/// A set with HTTP headers and a deadline, to load what was exported.
pub(super) fn put_described(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let &[key, value, content_type, content_encoding, option, time] = words else { return Err(SYNTAX) };
    let description = Description { content_type, content_encoding };
    if !is(option, Unit::UnixMilliseconds.option()) || !description.is_valid() {
        return Err(SYNTAX);
    }
    let deadline = deadline("niagara.put", integer(time)?, Unit::UnixMilliseconds, writing.map.clock())?;
    let attributes = writing.core.describer.describe(description).with_deadline(Some(deadline));
    put(writing, key, value, attributes);
    Ok(Data::OK)
}

pub(super) fn set_ex(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    set_expiring(writing, "setex", words, Unit::Seconds)
}

pub(super) fn pset_ex(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    set_expiring(writing, "psetex", words, Unit::Milliseconds)
}

fn set_expiring(writing: &mut Writing<'_>, name: &str, words: Words<'_>, unit: Unit) -> Answer {
    let deadline = deadline(name, integer(words[1])?, unit, writing.map.clock())?;
    put(writing, words[0], words[2], Attributes::expiring(Some(deadline)));
    Ok(Data::OK)
}

pub(super) fn get_ex(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let key = words[0];
    let options = Options::read(&words[1..])?;
    if options.if_absent || options.if_present || options.get || options.keep {
        return Err(SYNTAX);
    }
    let Some(entry) = writing.get(key) else { return Ok(Data::Null) };
    let (value, attributes) = (entry.value().to_bytes(), entry.attributes());
    let deadline = options.deadline("getex", writing)?;
    match deadline {
        Some(deadline) if deadline <= writing.map.clock() => {
            remove(writing, key);
        }
        Some(_) => {
            writing.set_attributes(key, attributes.with_deadline(deadline));
            writing.tell(About::Key, "expire", key);
        }
        None if options.persist && attributes.deadline().is_some() => {
            writing.set_attributes(key, attributes.with_deadline(None));
            writing.tell(About::Key, "persist", key);
        }
        None => {}
    }
    Ok(Data::Bulk(value))
}

pub(super) fn get_del(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    Ok(found(remove(writing, words[0]).map(Entry::into_value)))
}

pub(super) fn set_range(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (key, part) = (words[0], words[2]);
    let offset = integer(words[1])?;
    let offset = usize::try_from(offset).or(Err("ERR offset is out of range"))?;
    let before = writing.value(key);
    if part.is_empty() {
        return Ok(Data::count(before.len()));
    }
    let end = offset.checked_add(part.len()).filter(|end| *end <= MAX_VALUE_BYTES).ok_or(TOO_LARGE)?;
    let mut value = before.to_vec();
    value.resize(value.len().max(end), 0);
    value[offset..end].copy_from_slice(part);
    let length = value.len();
    writing.change(key, value);
    writing.tell(About::String, "setrange", key);
    Ok(Data::count(length))
}
