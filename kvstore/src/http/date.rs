//! The clock of replies (RFC 9110, section 6.6.1): a server that has a clock must say when it answered.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) const DATE_BYTES: usize = 29;

/// Later years have five digits, for which the format has no room.
const LAST_SECOND: u64 = 253_402_300_799;

/// The time of one thread's turn, as text. It is formatted once per second, not once per reply.
#[derive(Debug)]
pub(crate) struct Clock {
    second: Cell<u64>,
    text: Cell<[u8; DATE_BYTES]>,
}

impl Clock {
    pub(crate) fn new(now: SystemTime) -> Clock {
        let second = seconds(now);
        Clock { second: Cell::new(second), text: Cell::new(print(second)) }
    }

    pub(crate) fn set(&self, now: SystemTime) {
        let second = seconds(now);
        if self.second.replace(second) != second {
            self.text.set(print(second));
        }
    }

    pub(super) fn text(&self) -> [u8; DATE_BYTES] {
        self.text.get()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn print(second: u64) -> [u8; DATE_BYTES] {
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second.min(LAST_SECOND)));
    text.as_bytes().try_into().expect("dates of this format have one length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (second, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&print(second)), Ok(text));
        }
    }

    #[test]
    fn the_clock_follows() {
        let clock = Clock::new(UNIX_EPOCH);
        clock.set(UNIX_EPOCH + Duration::from_millis(61_500));
        assert_eq!(&clock.text(), b"Thu, 01 Jan 1970 00:01:01 GMT");
    }
}
