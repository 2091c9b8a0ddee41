//! Sleeping until a time among sockets. The timeout of a poll has steps of a millisecond, which is longer than what many an
//! operation takes: an open loop would measure its own sleep.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::clock::Clock;
use crate::failure::Failure;

const ALARM: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// A poll with a timer of its own.
pub(super) struct Sleeper {
    poll: Poll,
    timer: OwnedFd,
    /// When the timer goes off, if it is set.
    set: Option<u64>,
}

impl Sleeper {
    pub fn new() -> Result<Sleeper, Failure> {
        let make = || -> io::Result<Sleeper> {
            let poll = Poll::new()?;
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), ALARM, Interest::READABLE)?;
            Ok(Sleeper { poll, timer, set: None })
        };
        make().map_err(Failure::io("cannot make a poll and its timer (too many open files? see ulimit -n)"))
    }

    /// Where sockets are registered.
    pub fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// What ends the sleep from other threads.
    pub fn waker(&self) -> Result<Waker, Failure> {
        Waker::new(self.poll.registry(), WAKER).map_err(Failure::io("cannot make an eventfd"))
    }

    /// Sleeps until something comes, or until about this time; what has come is in `events`, by its token.
    pub fn sleep(&mut self, clock: Clock, until: u64, events: &mut Events) {
        let now = clock.now();
        let timeout = if until <= now { Some(Duration::ZERO) } else { None };
        // One that goes off too early does no harm, and saves setting it in every turn.
        if timeout.is_none() && self.set.is_none_or(|set| set > until || set <= now) {
            self.set_timer(until - now);
            self.set = Some(until);
        }
        match self.poll.poll(events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(error) => panic!("a poll of this thread's own sockets fails: {error}"),
        }
    }

    fn set_timer(&self, nanos: u64) {
        let time =
            Timespec { tv_sec: (nanos / 1_000_000_000) as i64, tv_nsec: (nanos % 1_000_000_000) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: time };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .expect("a timer that is there takes any time above zero");
    }
}
