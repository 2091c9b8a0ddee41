//! Ctrl-C: the first asks a run to end, so that it removes what it has made; a second one ends the process at once, and the next
//! run removes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use niagara_load::Failure;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether the user has asked for the end.
#[derive(Clone)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches from now on.
    pub fn watch() -> Result<Interrupt, Failure> {
        let arrived = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the signal that sets the flag must not itself find it set.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&arrived))
                .and_then(|_| flag::register(signal, Arc::clone(&arrived)))
                .map_err(Failure::io("cannot watch for signals"))?;
        }
        Ok(Interrupt(arrived))
    }

    /// Goes on, or not.
    pub fn check(&self) -> Result<(), Failure> {
        if self.0.load(SeqCst) {
            Err(Failure::new("interrupted; all that it had made is removed"))
        } else {
            Ok(())
        }
    }
}
