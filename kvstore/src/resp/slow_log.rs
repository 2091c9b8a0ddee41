//! SLOWLOG: the requests that have taken long lately.

use std::time::SystemTime;

use super::encode::Replies;
use super::parse::Arguments;
use super::words::is;
use crate::clients::{Slow, SlowLog};
use crate::decimal::decimal;

/// So many are shown unless a client asks for more.
const SHOWN: usize = 10;

/// `SLOWLOG GET`, `LEN` and `RESET`. `false`: the request was wrong.
pub(super) fn answer(arguments: Arguments<'_>, log: &SlowLog, replies: &mut Replies<'_>) -> bool {
    let what = arguments.get(1);
    if is(what, "LEN") {
        replies.count(log.len() as u64);
    } else if is(what, "RESET") {
        log.clear();
        replies.simple("OK");
    } else {
        let count = match arguments.iter().nth(2).map(decimal) {
            None => Some(SHOWN),
            Some(Some(-1)) => Some(usize::MAX),
            Some(count) => count.and_then(|count| count.try_into().ok()),
        };
        let Some(count) = count else {
            replies.error("ERR count should be greater than or equal to -1");
            return false;
        };
        let latest = log.latest(count);
        replies.array(latest.len());
        latest.iter().for_each(|slow| show(slow, replies));
    }
    true
}

fn show(slow: &Slow, replies: &mut Replies<'_>) {
    let unix = slow.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    replies.array(6);
    replies.count(slow.id);
    replies.count(unix.as_secs());
    replies.count(u64::try_from(slow.took.as_micros()).unwrap_or(u64::MAX));
    replies.array(slow.words.len());
    slow.words.iter().for_each(|word| replies.bulk(word));
    replies.bulk(slow.peer.as_bytes());
    replies.bulk(&slow.name);
}
