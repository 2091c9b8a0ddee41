//! LATENCY: the requests of the slow log as events of one kind. What else a server does, `/metrics` tells.

use std::time::SystemTime;

use super::encode::Replies;
use super::parse::Arguments;
use super::words::is;
use crate::clients::{Slow, SlowLog};

/// The only kind of events.
const COMMAND: &str = "command";

/// `LATENCY LATEST`, `HISTORY event`, `RESET [event ..]` and `DOCTOR`.
pub(super) fn answer(arguments: Arguments<'_>, log: &SlowLog, replies: &mut Replies<'_>) {
    let what = arguments.get(1);
    let events = log.latest(usize::MAX);
    if is(what, "LATEST") {
        latest(&events, replies);
    } else if is(what, "HISTORY") {
        let shown = if is(arguments.get(2), COMMAND) { &events[..] } else { &[] };
        replies.array(shown.len());
        for slow in shown.iter().rev() {
            replies.array(2);
            replies.count(seconds(slow));
            replies.count(milliseconds(slow));
        }
    } else if is(what, "RESET") {
        let names = arguments.from(2);
        let is_meant = names.len() == 0 || names.iter().any(|name| is(name, COMMAND));
        let has_any = is_meant && !events.is_empty();
        if has_any {
            log.clear();
        }
        replies.count(u64::from(has_any));
    } else {
        replies.verbatim(&advice(&events, log.slower_than()));
    }
}

/// The kind of events, when the latest one was, and how long it and the longest one took.
fn latest(events: &[Slow], replies: &mut Replies<'_>) {
    let Some(latest) = events.first() else { return replies.array(0) };
    replies.array(1);
    replies.array(4);
    replies.bulk(COMMAND.as_bytes());
    replies.count(seconds(latest));
    replies.count(milliseconds(latest));
    replies.count(events.iter().map(milliseconds).max().unwrap_or(0));
}

fn advice(events: &[Slow], slower_than: i64) -> String {
    let where_else =
        "SLOWLOG GET shows each; /metrics has how long all requests take, and what the groups do.\r\n";
    if slower_than < 0 {
        return format!("Nothing is noted: slowlog-log-slower-than is below zero. {where_else}");
    }
    let longest = events.iter().map(milliseconds).max().unwrap_or(0);
    format!(
        "{} requests have taken {slower_than} microseconds or more on this server, {longest} milliseconds at most. {where_else}",
        events.len()
    )
}

fn seconds(slow: &Slow) -> u64 {
    slow.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn milliseconds(slow: &Slow) -> u64 {
    u64::try_from(slow.took.as_millis()).unwrap_or(u64::MAX)
}
