//! Passwords and rights over the Redis protocol: AUTH, HELLO AUTH, and what a client is told who has given no password, or
//! asks for what its user may not do.

use std::borrow::Cow;
use std::time::SystemTime;

use super::encode::Replies;
use super::parse::Arguments;
use super::plan::{Local, Plan};
use super::words::is;
use crate::access::{Barred, Entrance, PROTECTED, PROTECTED_HINT};
use crate::table::Spec;
use crate::users::{Context, DEFAULT, Denied, Wanted};

/// A client that has not given the password yet sends no longer request than this.
pub(super) const MAX_BARRED_BYTES: usize = 64 << 10;

/// Commands that need no password.
const FOR_ALL: [&str; 4] = ["AUTH", "HELLO", "QUIT", "RESET"];

const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                           configuration is correct?";

/// What becomes of a request while the client is barred; `None`: what becomes of others.
pub(super) fn plan(barred: Barred, arguments: Arguments<'_>) -> Option<Plan> {
    match barred {
        Barred::Protected => Some(Plan::Local(Local::Deny)),
        _ if FOR_ALL.iter().any(|name| is(arguments.get(0), name)) => None,
        _ => Some(Plan::Refuse(Cow::Borrowed("NOAUTH Authentication required."))),
    }
}

/// Why the client's user may not make a request, if it is one.
pub(super) fn denied(entrance: &Entrance, arguments: Arguments<'_>) -> Option<Denied> {
    if entrance.user().is_unlimited() {
        return None;
    }
    let spec = Spec::find(arguments.get(0)).filter(|spec| spec.takes(arguments.len()))?;
    let words: Vec<&[u8]> = arguments.from(1).iter().collect();
    entrance.denied(|| Wanted::request(spec, &words))
}

/// Remembers it for ACL LOG. `client` is its line of CLIENT LIST.
pub(super) fn note(entrance: &Entrance, denied: &Denied, context: Context, client: &str) {
    entrance.directory().refusals.denied(denied, context, client.trim_end(), SystemTime::now());
}

/// What the client is told then.
pub(super) fn no_permission(denied: &Denied) -> String {
    format!("NOPERM {}", denied.text())
}

/// Turns a client away that would need a password where there is none.
pub(super) fn deny(entrance: &Entrance, replies: &mut Replies<'_>) {
    entrance.turn_away();
    replies.error(&format!("DENIED {PROTECTED}: {PROTECTED_HINT}"));
}

/// `AUTH [user] password`
pub(super) fn auth(
    arguments: Arguments<'_>,
    entrance: &mut Entrance,
    client: &str,
    replies: &mut Replies<'_>,
) -> bool {
    let given = match arguments.len() {
        2 if !entrance.has_password() => {
            replies.error(NO_PASSWORD);
            return false;
        }
        2 => (DEFAULT, arguments.get(1)),
        _ => (arguments.get(1), arguments.get(2)),
    };
    let entered = enter(given, entrance, client, replies);
    if entered {
        replies.simple("OK");
    }
    entered
}

/// Takes a password, or says why not.
pub(super) fn enter(
    (user, password): (&[u8], &[u8]),
    entrance: &mut Entrance,
    client: &str,
    replies: &mut Replies<'_>,
) -> bool {
    let refused = entrance.enter(user, password).err();
    if refused == Some(Barred::Wrong) {
        let known = entrance.directory().users().find(user).map(|_| user);
        entrance.directory().refusals.unknown(known, client.trim_end(), SystemTime::now());
    }
    match refused {
        None => {}
        Some(Barred::TooOften(_)) => replies.error(
            "WRONGPASS too many wrong passwords came from this address, so this one was not looked at: retry after a second",
        ),
        Some(_) => replies.error("WRONGPASS invalid username-password pair or user is disabled."),
    }
    refused.is_none()
}
