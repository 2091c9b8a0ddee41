//! The sequencer's thread: drives the sequencer, and gives what it merges to execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, Sender};

use super::bell::Bell;
use super::sequencer::Sequencer;
use super::stretch::Stretch;

/// What the sequencer's thread owns or shares.
pub(crate) struct SequencerThread {
    pub sequencer: Sequencer,
    pub bell: Arc<Bell>,
    pub tick: Duration,
    pub out: Sender<Stretch>,
    /// Called at each tick, for deadlines.
    pub on_tick: Box<dyn FnMut(Instant) + Send>,
    pub stop: Arc<AtomicBool>,
}

impl SequencerThread {
    /// The thread's life, until it is told to stop or nobody executes any more.
    pub fn run(mut self) {
        let mut next_tick = Instant::now() + self.tick;
        while !self.stop.load(SeqCst) {
            let stretch = self.sequencer.merge_some();
            let idle = stretch.is_empty();
            if !idle && !self.hand_on(stretch, &mut next_tick) {
                return;
            }
            self.tick_if_due(&mut next_tick);
            if idle {
                let timeout = next_tick.saturating_duration_since(Instant::now());
                let (sequencer, stop) = (&self.sequencer, &self.stop);
                self.bell.sleep(timeout, || !stop.load(SeqCst) && !sequencer.has_news());
            }
        }
    }

    /// Gives a stretch to execution, and goes on ticking while that is busy; `false` if it has ended.
    fn hand_on(&mut self, mut stretch: Stretch, next_tick: &mut Instant) -> bool {
        loop {
            let timeout = next_tick.saturating_duration_since(Instant::now());
            match self.out.send_timeout(stretch, timeout) {
                Ok(()) => return true,
                Err(SendTimeoutError::Disconnected(_)) => return false,
                Err(SendTimeoutError::Timeout(back)) => stretch = back,
            }
            self.tick_if_due(next_tick);
            if self.stop.load(SeqCst) {
                return false;
            }
        }
    }

    fn tick_if_due(&mut self, next_tick: &mut Instant) {
        let now = Instant::now();
        if now >= *next_tick {
            *next_tick = (*next_tick + self.tick).max(now);
            (self.on_tick)(now);
            self.sequencer.tick(now);
        }
    }
}
