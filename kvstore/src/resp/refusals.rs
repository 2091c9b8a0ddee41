//! What clients are told whose requests are not served.

use niagara_engine::Refused;

use crate::protocol::Unread;

pub(super) const NO_TIME: &str =
    "NOCLOCK the servers have not compared their clocks yet: retry; a majority of them must be up";

pub(super) fn read_failure(why: Unread) -> &'static str {
    match why {
        Unread::Diverged => {
            "DIVERGED this server has diverged from others: ask another server, or send READONLY to read its \
             current state"
        }
        Unread::NoQuorum => {
            "NOQUORUM no quorum has confirmed in time that this server is up to date: retry, or send READONLY to \
             read its current state"
        }
        Unread::Overtaken => {
            "NOQUORUM a write behind this read may have been executed before it, so it cannot be answered in its \
             place: read again"
        }
    }
}

pub(super) const UNKNOWN_OUTCOME: &str =
    "the command may have been executed, or may be executed later; check the key before you retry";

pub(super) fn refusal(refused: Refused) -> String {
    let word = match refused {
        Refused::Overloaded => "OVERLOADED",
        Refused::NoLeader => "NOQUORUM",
        Refused::Diverged => "DIVERGED",
        // Clients of Redis know this word, too, and turn to a master.
        Refused::ReadOnly | Refused::Follower => "READONLY",
        // Clients of Redis know this word: the server executes nothing, so the command may be sent again, and
        // many go to another server by themselves.
        Refused::Stopping => "LOADING",
        _ => "ERR",
    };
    format!("{word} {refused}")
}
