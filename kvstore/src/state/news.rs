//! What the thread that executes commands tells the one that keeps time on this server: the
//! [`Timekeeper`](crate::time::Timekeeper). None of it is part of the state.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use niagara_engine::Wake;
use parking_lot::Mutex;

/// A command about the servers' clocks that was executed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockNews {
    /// A server asks all servers what their clocks show.
    Asked {
        /// The server.
        server: u64,
        /// A number that tells its questions apart.
        round: u64,
    },
    /// A server tells what its clock shows.
    Told {
        /// The server.
        server: u64,
        /// Who had asked.
        asker: u64,
        /// The asker's number of the question.
        round: u64,
        /// What the clock showed, in milliseconds since 1970.
        time: u64,
    },
}

/// What is kept for a timekeeper that is slow, as after a start that executes a long log: old questions are not
/// waited for any more.
const MOST_NEWS: usize = 256;

/// See the [module](self).
#[derive(Default)]
pub(super) struct News {
    clocks: Mutex<VecDeque<ClockNews>>,
    bell: Mutex<Option<Arc<dyn Wake>>>,
    /// How many advances this server has executed.
    advances: AtomicU64,
    /// How many commands this server has executed that only make room.
    rooms: AtomicU64,
    /// How many reads have looked at all keys.
    walks: AtomicU64,
    /// What the clock of this server shows, for a planted bug.
    #[cfg(feature = "planted-bugs")]
    local: AtomicU64,
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("News").field("clocks", &self.clocks).finish_non_exhaustive()
    }
}

impl News {
    /// From now on, `wake` is called when there is something new.
    pub(super) fn wake(&self, wake: Arc<dyn Wake>) {
        *self.bell.lock() = Some(wake);
    }

    pub(super) fn ring(&self) {
        if let Some(bell) = &*self.bell.lock() {
            bell.wake();
        }
    }

    pub(super) fn advanced(&self) {
        self.advances.fetch_add(1, Ordering::AcqRel);
        self.ring();
    }

    pub(super) fn made_room(&self) {
        self.rooms.fetch_add(1, Ordering::AcqRel);
        self.ring();
    }

    pub(super) fn rooms(&self) -> u64 {
        self.rooms.load(Ordering::Acquire)
    }

    /// Counts a read that looks at all keys.
    pub(super) fn count_walk(&self) -> u64 {
        self.walks.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn advances(&self) -> u64 {
        self.advances.load(Ordering::Acquire)
    }

    pub(super) fn tell(&self, news: ClockNews) {
        let mut clocks = self.clocks.lock();
        if clocks.len() == MOST_NEWS {
            clocks.pop_front();
        }
        clocks.push_back(news);
        drop(clocks);
        self.ring();
    }

    pub(super) fn take(&self) -> VecDeque<ClockNews> {
        std::mem::take(&mut *self.clocks.lock())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.clocks.lock().is_empty()
    }

    #[cfg(feature = "planted-bugs")]
    pub(super) fn set_local_time(&self, time: u64) {
        self.local.store(time, Ordering::Relaxed);
    }

    #[cfg(feature = "planted-bugs")]
    pub(super) fn local_time(&self) -> u64 {
        self.local.load(Ordering::Relaxed)
    }

    /// Only builds with planted bugs know it here.
    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "the other one uses it")]
    pub(super) fn local_time(&self) -> u64 {
        unreachable!("without planted bugs, no server's own clock decides anything")
    }
}
