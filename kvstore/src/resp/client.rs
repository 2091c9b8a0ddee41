//! CLIENT: about this connection, and the other ones of this server's Redis port.

use std::time::Instant;

use bytes::Bytes;

use super::about::{About, BAD_NAME, is_printable};
use super::encode::Replies;
use super::parse::Arguments;
use super::plan::NOT_AN_INTEGER;
use super::replying::Replying;
use super::tracking;
use super::words::{is, shown};
use crate::clients::{Filter, Kind, Paused};
use crate::decimal::decimal;
use crate::tracking::Tracker;
use crate::users::Directory;

const SYNTAX: &str = "ERR syntax error";

/// The connection that sends CLIENT, as far as that concerns it.
pub(super) struct Own<'c> {
    pub(super) about: &'c mut About,
    pub(super) replying: &'c mut Replying,
    pub(super) tracker: &'c mut Tracker,
    /// It ends once its replies are sent.
    pub(super) over: &'c mut bool,
    pub(super) directory: &'c Directory,
    pub(super) now: Instant,
}

/// `CLIENT ID` and so on. `false`: the request was wrong.
pub(super) fn client(arguments: Arguments<'_>, mut own: Own<'_>, replies: &mut Replies<'_>) -> bool {
    let what = arguments.get(1);
    let asks = |name| is(what, name);
    let about = &mut *own.about;
    let understood = if asks("ID") {
        replies.count(about.seat().arrival().id);
        Ok(())
    } else if asks("GETNAME") {
        match &about.name[..] {
            [] => replies.null(),
            name => replies.bulk(name),
        }
        Ok(())
    } else if asks("GETREDIR") {
        tracking::redirect(own.tracker, replies);
        Ok(())
    } else if asks("TRACKINGINFO") {
        tracking::tell(own.tracker, replies);
        Ok(())
    } else if asks("INFO") {
        replies.verbatim(&format!("{}\n", about.seat().line(own.now)));
        Ok(())
    } else if asks("LIST") {
        list(arguments.from(2), &own, replies)
    } else if asks("KILL") {
        kill(arguments.from(2), &mut own, replies)
    } else if asks("PAUSE") {
        pause(arguments.from(2), &own, replies)
    } else if asks("UNBLOCK") {
        unblock(arguments.from(2), replies)
    } else if asks("REPLY") {
        reply(arguments.get(2), own.replying, replies)
    } else {
        let done = if asks("SETNAME") {
            if about.rename(arguments.get(2)) { Ok(()) } else { Err(BAD_NAME.to_owned()) }
        } else if asks("SETINFO") {
            set_info(arguments, about)
        } else if asks("TRACKING") {
            tracking::track(arguments.from(2), own.tracker, about.member.clients())
        } else if asks("CACHING") {
            tracking::choose(arguments.get(2), own.tracker)
        } else {
            switch(arguments, about)
        };
        done.map(|()| replies.simple("OK"))
    };
    if let Err(wrong) = &understood {
        replies.error(wrong);
    }
    understood.is_ok()
}

/// `CLIENT UNPAUSE`
pub(super) fn unpause(about: &About, replies: &mut Replies<'_>) {
    about.member.unpause();
    replies.simple("OK");
}

/// `CLIENT LIST [TYPE type | ID id ..]`
fn list(options: Arguments<'_>, own: &Own<'_>, replies: &mut Replies<'_>) -> Result<(), String> {
    let all = Filter::default();
    let filter = if options.len() == 0 {
        all
    } else if options.len() == 2 && is(options.get(0), "TYPE") {
        all.of_kind(kind(options.get(1))?)
    } else if options.len() > 1 && is(options.get(0), "ID") {
        let ids = options.from(1).iter().map(|id| decimal(id).ok_or("ERR Invalid client ID"));
        // An id below zero is nobody's.
        all.with_ids(ids.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(|id| id.try_into().ok()))
    } else {
        return Err(SYNTAX.into());
    };
    let mut lines = String::new();
    for seat in own.about.member.clients().find(&filter) {
        lines += &seat.line(own.now);
        lines.push('\n');
    }
    replies.verbatim(&lines);
    Ok(())
}

fn kind(name: &[u8]) -> Result<Kind, String> {
    Kind::named(name).ok_or_else(|| format!("ERR Unknown client type '{}'", shown(name, 128)))
}

/// `CLIENT KILL ip:port`, or with filters.
fn kill(options: Arguments<'_>, own: &mut Own<'_>, replies: &mut Replies<'_>) -> Result<(), String> {
    let is_old = options.len() == 1;
    let (filter, skips_own) = if is_old {
        (Filter::default().of_address(options.get(0)), false)
    } else {
        filters(options, own.directory)?
    };
    let (others, is_own) = own.about.member.end(&filter);
    let is_own = is_own && !skips_own;
    *own.over |= is_own;
    let killed = others + usize::from(is_own);
    match killed {
        0 if is_old => return Err("ERR No such client".into()),
        _ if is_old => replies.simple("OK"),
        _ => replies.count(killed as u64),
    }
    if killed > 0 {
        let by = own.about.seat().arrival();
        tracing::info!(
            clients = killed,
            by = by.id,
            address = by.peer.map(tracing::field::display),
            "closed clients: CLIENT KILL"
        );
    }
    Ok(())
}

/// The filters of CLIENT KILL, and whether the connection that sends it is left out.
fn filters(options: Arguments<'_>, directory: &Directory) -> Result<(Filter, bool), String> {
    let (mut filter, mut skips_own) = (Filter::default(), true);
    if !options.len().is_multiple_of(2) {
        return Err(SYNTAX.into());
    }
    for at in (0..options.len()).step_by(2) {
        let (option, value) = (options.get(at), options.get(at + 1));
        filter = if is(option, "ID") {
            let id = decimal(value).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
            filter.with_ids([id.ok_or("ERR client-id should be greater than 0")?])
        } else if is(option, "ADDR") {
            filter.of_address(value)
        } else if is(option, "LADDR") {
            filter.at_address(value)
        } else if is(option, "TYPE") {
            filter.of_kind(kind(value)?)
        } else if is(option, "USER") {
            if directory.users().find(value).is_none() {
                return Err(format!("ERR No such user '{}'", shown(value, 128)));
            }
            filter.of_user(value)
        } else if is(option, "SKIPME") {
            skips_own = is(value, "YES");
            if !skips_own && !is(value, "NO") {
                return Err(SYNTAX.into());
            }
            filter
        } else {
            return Err(SYNTAX.into());
        };
    }
    Ok((filter, skips_own))
}

/// `CLIENT PAUSE milliseconds [WRITE | ALL]`
fn pause(options: Arguments<'_>, own: &Own<'_>, replies: &mut Replies<'_>) -> Result<(), String> {
    let what = match options.iter().nth(1) {
        None => Paused::All,
        Some(word) if is(word, "ALL") => Paused::All,
        Some(word) if is(word, "WRITE") => Paused::Writes,
        Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
    };
    let milliseconds = decimal(options.get(0)).ok_or("ERR timeout is not an integer or out of range")?;
    let milliseconds = u64::try_from(milliseconds).map_err(|_| "ERR timeout is negative")?;
    own.about.member.pause(what, milliseconds, own.now);
    replies.simple("OK");
    Ok(())
}

/// `CLIENT UNBLOCK id [TIMEOUT | ERROR]`: no command waits for anything that another client could do.
fn unblock(options: Arguments<'_>, replies: &mut Replies<'_>) -> Result<(), String> {
    let is_reason = |word: &[u8]| is(word, "TIMEOUT") || is(word, "ERROR");
    if options.iter().nth(1).is_some_and(|word| !is_reason(word)) {
        return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
    }
    decimal(options.get(0)).ok_or(NOT_AN_INTEGER)?;
    replies.integer(0);
    Ok(())
}

/// `CLIENT NO-EVICT` and `NO-TOUCH`
fn switch(arguments: Arguments<'_>, about: &mut About) -> Result<(), String> {
    let is_on = is(arguments.get(2), "ON");
    if !is_on && !is(arguments.get(2), "OFF") {
        return Err(SYNTAX.into());
    }
    if is(arguments.get(1), "NO-EVICT") {
        about.seat().spare(is_on);
    } else {
        about.touches_nothing = is_on;
    }
    Ok(())
}

/// `CLIENT SETINFO`: what the client's library says of itself.
fn set_info(arguments: Arguments<'_>, about: &mut About) -> Result<(), String> {
    let (option, text) = (arguments.get(2), arguments.get(3));
    let library = &mut about.library;
    let (name, kept) = if is(option, "LIB-NAME") {
        ("lib-name", &mut library.name)
    } else if is(option, "LIB-VER") {
        ("lib-ver", &mut library.version)
    } else {
        return Err(format!("ERR Unrecognized option '{}'", shown(option, 128)));
    };
    if !is_printable(text) {
        return Err(format!("ERR {name} cannot contain spaces, newlines or special characters."));
    }
    *kept = Bytes::copy_from_slice(text);
    Ok(())
}

/// Whether this is `CLIENT REPLY ON`, which always gets a reply.
pub(super) fn asks_for_replies(arguments: Arguments<'_>) -> bool {
    let words = ["CLIENT", "REPLY", "ON"];
    arguments.len() == words.len() && arguments.iter().zip(words).all(|(argument, word)| is(argument, word))
}

/// `CLIENT REPLY ON|OFF|SKIP`: only ON gets a reply itself.
fn reply(which: &[u8], replying: &mut Replying, replies: &mut Replies<'_>) -> Result<(), String> {
    let silent = *replying == Replying::Off;
    if is(which, "ON") {
        *replying = Replying::On;
        replies.simple("OK");
    } else if is(which, "OFF") {
        *replying = Replying::Off;
    } else if is(which, "SKIP") {
        if !silent {
            *replying = Replying::Skip;
        }
    } else {
        return Err(SYNTAX.into());
    }
    Ok(())
}
