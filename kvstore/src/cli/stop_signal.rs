//! SIGINT and SIGTERM: the first asks for a clean end, a second one ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::failure::Failure;

/// Notices that the process is asked to end.
pub struct StopSignal {
    signals: Signals,
    arrived: Arc<AtomicBool>,
}

impl StopSignal {
    /// Watches from now on. To be called before a server starts, so that it is stopped cleanly whenever the signal comes.
    pub fn watch() -> Result<Self, Failure> {
        let watch = || -> io::Result<Self> {
            let arrived = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                // In this order: the signal that sets the flag must not itself find it set.
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&arrived))?;
                flag::register(signal, Arc::clone(&arrived))?;
            }
            Ok(StopSignal { signals: Signals::new([SIGINT, SIGTERM])?, arrived })
        };
        watch().map_err(|error| {
            Failure::new(
                format!("cannot watch for signals: {error}"),
                "raise the limit of open files (ulimit -n)",
            )
        })
    }

    /// Whether a signal has arrived.
    pub fn arrived(&self) -> bool {
        self.arrived.load(Ordering::SeqCst)
    }

    /// Sleeps until a signal arrives; returns at once if one has.
    pub fn wait(&mut self) {
        while !self.arrived() {
            let _ = self.signals.wait();
        }
    }
}
