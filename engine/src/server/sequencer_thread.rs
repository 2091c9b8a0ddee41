//! The sequencer's thread: drives the sequencer, and hands what it merges to execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crossbeam_channel::{SendTimeoutError, Sender};

use super::sequencer::Sequencer;
use super::stretch::Stretch;
use super::ticks::Ticks;
use crate::progress::Bell;

/// What the sequencer's thread owns or shares.
pub(crate) struct SequencerThread {
    pub sequencer: Sequencer,
    pub bell: Arc<Bell>,
    pub ticks: Ticks,
    pub out: Sender<Stretch>,
    /// Called at each tick, to expire deadlines.
    pub on_tick: Box<dyn FnMut(Instant) + Send>,
    pub stop: Arc<AtomicBool>,
}

impl SequencerThread {
    /// Runs until the thread is told to stop, or execution has ended.
    pub fn run(mut self) {
        while !self.stop.load(SeqCst) {
            let stretch = self.sequencer.merge_some();
            let idle = stretch.is_empty();
            if !idle && !self.hand_on(stretch) {
                return;
            }
            self.tick_if_due();
            if idle {
                let (sequencer, stop, ticks) = (&self.sequencer, &self.stop, &self.ticks);
                let has_news = || stop.load(SeqCst) || sequencer.has_news() || !ticks.may_sleep();
                self.bell.sleep(self.sleep_at_most(), || !has_news());
            }
        }
    }

    /// Hands a stretch to execution, and keeps ticking while that is busy; `false` if execution has ended.
    fn hand_on(&mut self, mut stretch: Stretch) -> bool {
        loop {
            match self.out.send_timeout(stretch, self.sleep_at_most()) {
                Ok(()) => return true,
                Err(SendTimeoutError::Disconnected(_)) => return false,
                Err(SendTimeoutError::Timeout(back)) => stretch = back,
            }
            self.tick_if_due();
            if self.stop.load(SeqCst) {
                return false;
            }
        }
    }

    fn sleep_at_most(&self) -> Duration {
        self.ticks.sleep_at_most(Instant::now()).unwrap_or(Duration::MAX)
    }

    fn tick_if_due(&mut self) {
        if let Some(now) = self.ticks.take_due(Instant::now()) {
            (self.on_tick)(now);
            self.sequencer.tick(now);
        }
    }
}
