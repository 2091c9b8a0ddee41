//! Passwords over the Redis protocol: AUTH, HELLO AUTH, and what a client is told who has given none.

use std::borrow::Cow;

use super::encode::Replies;
use super::parse::Arguments;
use super::plan::{Local, Plan};
use super::words::is;
use crate::access::{Barred, Entrance, PROTECTED, PROTECTED_HINT, USER};

/// A client that has not given the password yet sends no longer request than this.
pub(super) const MAX_BARRED_BYTES: usize = 64 << 10;

/// Commands that need no password.
const FOR_ALL: [&str; 4] = ["AUTH", "HELLO", "QUIT", "RESET"];

const NO_PASSWORD: &str =
    "ERR AUTH <password> called without any password configured for the default user: leave it out";

/// What becomes of a request while the client is barred; `None`: what becomes of others.
pub(super) fn plan(barred: Barred, arguments: Arguments<'_>) -> Option<Plan> {
    match barred {
        Barred::Protected => Some(Plan::Local(Local::Deny)),
        _ if FOR_ALL.iter().any(|name| is(arguments.get(0), name)) => None,
        _ => Some(Plan::Refuse(Cow::Borrowed("NOAUTH Authentication required."))),
    }
}

/// Turns a client away that would need a password where there is none.
pub(super) fn deny(entrance: &Entrance, replies: &mut Replies<'_>) {
    entrance.turn_away();
    replies.error(&format!("DENIED {PROTECTED}: {PROTECTED_HINT}"));
}

/// `AUTH [user] password`
pub(super) fn auth(arguments: Arguments<'_>, entrance: &mut Entrance, replies: &mut Replies<'_>) -> bool {
    let entered = match arguments.len() {
        2 => enter(USER, arguments.get(1), entrance, replies),
        _ => enter(arguments.get(1), arguments.get(2), entrance, replies),
    };
    if entered {
        replies.simple("OK");
    }
    entered
}

/// Takes a password, or says why not.
pub(super) fn enter(
    user: &[u8],
    password: &[u8],
    entrance: &mut Entrance,
    replies: &mut Replies<'_>,
) -> bool {
    if !entrance.has_password() {
        replies.error(NO_PASSWORD);
        return false;
    }
    let refused = entrance.enter(user, password).err();
    match refused {
        None => {}
        Some(Barred::TooOften(_)) => replies.error(
            "WRONGPASS too many wrong passwords came from this address, so this one was not looked at: retry after a second",
        ),
        Some(_) => replies.error("WRONGPASS invalid username-password pair or user is disabled."),
    }
    refused.is_none()
}
