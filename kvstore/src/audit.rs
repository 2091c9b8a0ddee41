//! Who has done what to the server or its cluster: lines of the log whose target is `audit`.
//!
//! An act is told when its end is known, with the position of the global log if it has one, or when its client leaves before
//! that. What is told holds no secret: neither passwords nor their digests, nor a name that is no user's, which may be a
//! password in the wrong place.

mod called;
mod told;

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use crate::reply::CalledAct;
use crate::users::{Denied, RESCUE};
use crate::{Data, Reply};

pub(crate) use called::{CalledActs, called};
pub(crate) use told::Told;

/// The target of the lines.
pub(crate) const TARGET: &str = "audit";

/// Commands of Redis that administer the cluster.
const COMMANDS: [&str; 7] = ["ACL", "CONFIG", "FAILOVER", "FLUSHALL", "FLUSHDB", "SCRIPT", "SWAPDB"];

/// A subcommand that does so, as nothing else of its command does.
const SUBCOMMAND: &str = "SENTINEL|FAILOVER";

/// No more of what a client has sent is told.
const MOST_BYTES: usize = 512;

/// An act that has begun. It is told once: with its end, or, when it is dropped, without one.
#[derive(Debug)]
pub(crate) struct Act {
    what: String,
    user: String,
    from: Option<IpAddr>,
    is_told: bool,
}

impl Act {
    /// What a user is about to do, whose client is at this address.
    pub(crate) fn by(user: &[u8], from: Option<IpAddr>, what: impl Into<String>) -> Act {
        Act { what: what.into(), user: shown(user), from, is_told: false }
    }

    /// It is done, by this server alone.
    pub(crate) fn done(self) {
        self.end(None, format_args!("done"));
    }

    /// It has been executed at a position, with this reply.
    pub(crate) fn replied(self, position: u64, reply: &Reply) {
        let outcome: &dyn fmt::Display = match reply {
            Reply::Denied(_) => &"denied: the user has lost the right to it",
            Reply::Block(None) => &"not executed: a watched key has changed",
            Reply::Data(Data::Error(error)) => error,
            Reply::Failed(error) => error,
            Reply::Block(Some(replies)) => match replies.iter().find_map(failure) {
                Some(why) => return self.end(Some(position), format_args!("done, but a part failed: {why}")),
                None => &"done",
            },
            _ => &"done",
        };
        self.end(Some(position), format_args!("{outcome}"));
    }

    /// A script that was part of what was executed at a position has called something in the name of this act's user.
    fn called(&self, position: u64, CalledAct { what, error, times }: &CalledAct) {
        let times = if *times == 1 { String::new() } else { format!(", {times} times") };
        let what = format!("in a script: {what}{times}");
        let act = Act { what, user: self.user.clone(), from: self.from, is_told: false };
        act.end(Some(position), format_args!("{}", error.as_deref().unwrap_or("done")));
    }

    /// There is nothing to tell.
    fn forget(mut self) {
        self.is_told = true;
    }

    /// It has had no effect.
    pub(crate) fn refused(self, why: &(impl fmt::Display + ?Sized)) {
        self.end(None, format_args!("refused: {why}"));
    }

    /// It may have been executed.
    pub(crate) fn unknown(self) {
        self.end(None, format_args!("unknown: its deadline has passed"));
    }

    fn end(mut self, position: Option<u64>, outcome: fmt::Arguments<'_>) {
        self.tell(position, outcome);
    }

    fn tell(&mut self, position: Option<u64>, outcome: fmt::Arguments<'_>) {
        self.is_told = true;
        tracing::info!(
            target: TARGET,
            user = self.user,
            from = self.from.map(tracing::field::display),
            act = self.what,
            position,
            outcome = %outcome,
            "administrative act"
        );
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(None, format_args!("unknown: its client has left before it was known"));
        }
    }
}

/// Why a command was not executed, as its reply says.
fn failure(reply: &Reply) -> Option<&dyn fmt::Display> {
    match reply {
        Reply::Denied(_) => Some(&"the user has lost the right to it"),
        Reply::Data(Data::Error(error)) => Some(error),
        Reply::Failed(error) => Some(error),
        _ => None,
    }
}

/// Whether a command of Redis administers the cluster, as far as its name tells.
pub(crate) fn is_administrative(command: &str) -> bool {
    let name = command.split('|').next().unwrap_or_default();
    COMMANDS.iter().any(|known| known.eq_ignore_ascii_case(name)) || command.eq_ignore_ascii_case(SUBCOMMAND)
}

/// A user has been refused what administers the cluster.
pub(crate) fn denied(denied: &Denied, address: Option<IpAddr>) {
    let Some(command) = denied.command().filter(|command| is_administrative(command)) else { return };
    tracing::warn!(
        target: TARGET,
        user = shown(&denied.user),
        address = address.map(tracing::field::display),
        act = command,
        outcome = "denied: the user has no right to it",
        "administrative act"
    );
}

/// A password was wrong. `user`: whose it was to be, if there is such a user.
pub(crate) fn wrong_password(user: Option<&[u8]>, address: Option<IpAddr>, outcome: &str) {
    tracing::warn!(
        target: TARGET,
        user = shown(user.unwrap_or(b"(unknown)")),
        address = address.map(tracing::field::display),
        act = "log in",
        outcome,
        "failed login"
    );
}

/// Somebody may do everything from now on, by a password in this server's file.
pub(crate) fn rescuer(address: Option<IpAddr>) {
    tracing::warn!(
        target: TARGET,
        user = shown(RESCUE),
        address = address.map(tracing::field::display),
        act = "log in",
        outcome = "done",
        "the rescuer has logged in"
    );
}

/// Words of a request. Of a rule that brings a password or takes it away, only the sign is told.
pub(crate) fn words<'w>(name: &str, words: impl Iterator<Item = &'w [u8]>) -> String {
    let mut text = name.to_owned();
    for word in words {
        let told = match word.first() {
            Some(sign @ (b'>' | b'<' | b'#' | b'!')) => format!("{}(password)", char::from(*sign)),
            _ => shown(word),
        };
        let _ = write!(text, " {told}");
        if text.len() > MOST_BYTES {
            text.truncate(text.floor_char_boundary(MOST_BYTES));
            text.push_str(" ..");
            break;
        }
    }
    text
}

/// Bytes of a client's as text in one line.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(MOST_BYTES)];
    String::from_utf8_lossy(cut).escape_debug().to_string()
}

#[cfg(test)]
pub(crate) mod tests;
