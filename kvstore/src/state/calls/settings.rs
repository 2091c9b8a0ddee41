//! Settings that all servers share.

use super::words::is;
use super::{Answer, Failure, Words, Writing};
use crate::Data;
use crate::settings::{Setting, name_of};
use crate::state::writer::Core;

/// Executes `CONFIG SET` of settings of the state: all are set, or none.
pub(super) fn config(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let [set, settings @ ..] = words else { return Err(NOT_HERE.into()) };
    if !is(set, "SET") {
        return Err(NOT_HERE.into());
    }
    let (pairs, []) = settings.as_chunks::<2>() else { return Err("ERR syntax error".into()) };
    let settings = pairs.iter().map(|[name, value]| {
        let name = name_of(name).ok_or(NOT_HERE)?;
        Setting::parse(name, value).map_err(|why| {
            let failed = "ERR CONFIG SET failed (possibly related to argument";
            Failure::from(format!("{failed} '{name}') - {why}"))
        })
    });
    let settings = settings.collect::<Result<Vec<Setting>, Failure>>()?;
    let Core { notices, memory, .. } = &mut *writing.core;
    settings.into_iter().for_each(|setting| setting.apply(notices, memory));
    writing.map.publish_notices(*notices);
    writing.map.publish_memory(*memory);
    Ok(Data::OK)
}

const NOT_HERE: &str = "ERR only CONFIG SET of settings that all servers share is a command of the log";
