//! DUMP and RESTORE.

use super::keys::remove;
use super::words::{SYNTAX, integer, is};
use super::{Answer, Failure, Reading, Words, Writing};
use crate::Data;
use crate::attributes::Attributes;
use crate::notices::About;
use crate::rdb::{self, NoDump};

pub(super) fn dump(reading: &Reading<'_>, words: Words<'_>) -> Answer {
    let dumped = reading.get(words[0]).map(|entry| rdb::dump(&entry.value()));
    Ok(dumped.map_or(Data::Null, |dump| Data::Bulk(dump.into())))
}

/// What RESTORE may be told besides key, time and dump.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
}

impl Options {
    /// Accesses are not kept here, so what a dump's owner knows of them is only checked.
    fn read(words: Words<'_>) -> Result<Options, Failure> {
        let mut options = Options::default();
        let (mut idle, mut frequency) = (false, false);
        let mut rest = words.iter();
        while let Some(option) = rest.next() {
            if is(option, "REPLACE") {
                options.replace = true;
            } else if is(option, "ABSTTL") {
                options.absolute = true;
            } else if is(option, "IDLETIME") && !frequency {
                idle = true;
                if integer(rest.next().ok_or(SYNTAX)?)? < 0 {
                    return Err("ERR Invalid IDLETIME value, must be >= 0".into());
                }
            } else if is(option, "FREQ") && !idle {
                frequency = true;
                if !(0..=255).contains(&integer(rest.next().ok_or(SYNTAX)?)?) {
                    return Err("ERR Invalid FREQ value, must be >= 0 and <= 255".into());
                }
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(options)
    }
}

pub(super) fn restore(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let (key, dump) = (words[0], words[2]);
    let options = Options::read(&words[3..])?;
    if !options.replace && writing.get(key).is_some() {
        return Err("BUSYKEY Target key name already exists.".into());
    }
    let time = integer(words[1])?;
    let time = u64::try_from(time).or(Err("ERR Invalid TTL value, must be >= 0"))?;
    let value = rdb::restored(dump).map_err(|NoDump(why)| Failure::from(why))?;
    let clock = writing.map.clock();
    let deadline = match time {
        0 => None,
        time if options.absolute => Some(time),
        time => Some(clock.saturating_add(time)),
    };
    // Later times are no integers of a client.
    if deadline.is_some_and(|deadline| i64::try_from(deadline).is_err()) {
        return Err("ERR invalid expire time in 'restore' command".into());
    }
    if deadline.is_some_and(|deadline| deadline <= clock) {
        remove(writing, key);
    } else {
        writing.put(key, value, Attributes::expiring(deadline));
        writing.tell(About::Key, "restore", key);
    }
    Ok(Data::OK)
}
