//! The timekeeper of a server at the port of one of its threads.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use niagara_engine::Wake;

use super::token::NOBODY;
use crate::KvReader;
use crate::protocol::Engine;
use crate::time::{Cluster, ClusterTime, Moment, Timekeeper};

/// A timekeeper, and when its next turn is due.
pub(super) struct Timekeeping {
    timekeeper: Timekeeper,
    reader: KvReader,
    due: Option<Instant>,
    /// When it last proposed something.
    proposed: Option<Instant>,
}

impl fmt::Debug for Timekeeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeping").field("timekeeper", &self.timekeeper).finish_non_exhaustive()
    }
}

impl Timekeeping {
    /// Of an engine's server. `wake` is called when there is something to do before it is due. `seed` tells this
    /// process's questions from those of all others.
    pub(super) fn new(
        time: &Arc<ClusterTime>,
        engine: &impl Engine,
        wake: Arc<dyn Wake>,
        seed: u64,
        now: Instant,
    ) -> Timekeeping {
        let reader = engine.reader().clone();
        reader.wake_timekeeper(wake);
        let timekeeper = Timekeeper::new(Arc::clone(time), engine.status().server, seed);
        Timekeeping { timekeeper, reader, due: Some(now), proposed: None }
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// When it last proposed a command.
    pub(super) fn proposed(&self) -> Option<Instant> {
        self.proposed
    }

    /// Whether commands about clocks have been executed that the next turn takes note of.
    pub(super) fn has_news(&self) -> bool {
        self.reader.has_clock_news()
    }

    /// Does what is due, before the port is flushed.
    pub(super) fn turn(&mut self, now: Moment, engine: &mut impl Engine) {
        #[cfg(feature = "planted-bugs")]
        self.reader.set_local_time(now.wall);
        let mut port = AtPort { engine, has_proposed: false };
        self.due = self.timekeeper.turn(now, &self.reader, &mut port);
        if port.has_proposed {
            self.proposed = Some(now.steady);
        }
    }
}

struct AtPort<'e, E> {
    engine: &'e mut E,
    has_proposed: bool,
}

impl<E: Engine> Cluster for AtPort<'_, E> {
    fn servers(&self) -> Vec<u64> {
        self.engine.status().voters
    }

    fn propose(&mut self, command: &[u8]) -> bool {
        let lane = self.engine.choose_lane();
        let is_accepted = self.engine.propose(lane, NOBODY, command).is_ok();
        self.has_proposed |= is_accepted;
        is_accepted
    }
}
