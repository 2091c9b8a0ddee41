//! Keeping processors awake: one that sleeps between two bursts comes back slow and with cold caches, above all in a virtual
//! machine, so that a cluster which hardly uses it would seem to need several times the CPU time for each command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, setpriority_process};
use rustix::thread::gettid;

/// One thread for each processor spins at the lowest priority until this is dropped.
pub(super) struct Awake {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    pub fn keep() -> Awake {
        let over = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                // Without a low priority it would take what is to be measured.
                let own: Pid = gettid();
                if setpriority_process(Some(own), 19).is_ok() {
                    while !over.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            })
        };
        Awake { threads: (0..processors).map(spin).collect(), over }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("it does nothing that could panic");
        }
    }
}
