//! SIGINT, SIGTERM and SIGHUP: the first one asks for a clean stop, a second one ends the process
//! immediately.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::failure::Failure;

/// Notices requests to stop.
pub struct StopSignal {
    signals: Signals,
    arrived: Arc<AtomicBool>,
}

impl StopSignal {
    /// Watches from now on. Call it before a server starts, so that the server is stopped cleanly whenever
    /// the signal arrives.
    pub fn watch() -> Result<Self, Failure> {
        StopSignal::watch_for(true)
    }

    /// The same, but SIGHUP asks for something else if `hangs_up` is not set: see [`wait_or_hear`](Self::wait_or_hear).
    pub fn watch_for(hangs_up: bool) -> Result<Self, Failure> {
        let watch = || -> io::Result<Self> {
            let arrived = Arc::new(AtomicBool::new(false));
            let mut watched = vec![SIGINT, SIGTERM];
            for signal in [SIGINT, SIGTERM] {
                // In this order: the signal that sets the flag must not find it set.
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&arrived))?;
            }
            // A closing terminal may send it several times, so it never ends the process immediately. A
            // process started by nohup ignores it.
            if !is_ignored(SIGHUP) {
                watched.push(SIGHUP);
            }
            for signal in watched.iter().filter(|signal| hangs_up || **signal != SIGHUP) {
                flag::register(*signal, Arc::clone(&arrived))?;
            }
            Ok(StopSignal { signals: Signals::new(watched)?, arrived })
        };
        watch().map_err(|error| {
            Failure::new(
                format!("cannot watch for signals: {error}"),
                "raise the limit of open files (ulimit -n)",
            )
        })
    }

    pub fn arrived(&self) -> bool {
        self.arrived.load(Ordering::SeqCst)
    }

    /// The flag that a signal sets, for other threads.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.arrived)
    }

    /// Sleeps until a signal to stop arrives, and calls `hear` at each SIGHUP that is none. Returns the signal's name.
    pub fn wait_or_hear(&mut self, mut hear: impl FnMut()) -> &'static str {
        let mut last = None;
        while !self.arrived() {
            last = self.signals.wait().last();
            if last == Some(SIGHUP) && !self.arrived() {
                hear();
            }
        }
        // One that came before this was called may not be among those that are waited for.
        match last.or_else(|| self.signals.pending().last()) {
            Some(SIGINT) => "SIGINT",
            Some(SIGTERM) => "SIGTERM",
            Some(SIGHUP) => "SIGHUP",
            _ => "a signal",
        }
    }

    /// Sleeps until a signal arrives. Returns immediately if one has.
    pub fn wait(&mut self) {
        while !self.arrived() {
            let _ = self.signals.wait();
        }
    }
}

/// Whether the process was started with this signal ignored.
fn is_ignored(signal: i32) -> bool {
    // If the system does not tell, assume the default.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
