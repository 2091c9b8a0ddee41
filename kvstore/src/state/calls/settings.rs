//! Settings that all servers share.

use super::words::is;
use super::{Answer, Words, Writing};
use crate::Data;
use crate::notices::{NO_NOTICES, Notices};
use crate::state::writer::Core;

/// Executes `CONFIG SET` of settings of the state.
pub(super) fn config(writing: &mut Writing<'_>, words: Words<'_>) -> Answer {
    let [set, settings @ ..] = words else { return Err(NOT_HERE.into()) };
    if !is(set, "SET") {
        return Err(NOT_HERE.into());
    }
    let (pairs, []) = settings.as_chunks::<2>() else { return Err("ERR syntax error".into()) };
    let mut notices = None;
    for [name, value] in pairs {
        if !is(name, NOTICES) {
            return Err(NOT_HERE.into());
        }
        let failed =
            || format!("ERR CONFIG SET failed (possibly related to argument '{NOTICES}') - {NO_NOTICES}");
        notices = Some(Notices::parse(value).ok_or_else(failed)?);
    }
    let Core { notices: current, .. } = &mut *writing.core;
    *current = notices.unwrap_or(*current);
    writing.map.publish_notices(*current);
    Ok(Data::OK)
}

/// The name of the setting.
const NOTICES: &str = "notify-keyspace-events";

const NOT_HERE: &str = "ERR only CONFIG SET notify-keyspace-events is a command of the log";
