//! Runs a model, as it is or with a fault in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use loom::model::Builder;

use crate::planted::{self, Bug};
pub use crate::sync::Weakness;
use crate::sync::weaken;

/// The most preemptions in one run. Bugs of hand-overs need one or two preemptions to show, and each further
/// one makes the exploration about twenty times as long.
const PREEMPTIONS: usize = 3;
/// The most steps of a run. More would be an endless loop.
const STEPS: usize = 10_000;

/// What is wrong in a run.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A bug in the code.
    Bug(Bug),
    /// A weakness of the memory orders.
    Weakness(Weakness),
}

impl From<Bug> for Fault {
    fn from(bug: Bug) -> Fault {
        Fault::Bug(bug)
    }
}

impl From<Weakness> for Fault {
    fn from(weakness: Weakness) -> Fault {
        Fault::Weakness(weakness)
    }
}

/// Explores a model, which must hold in every run.
///
/// # Panics
/// If it does not.
pub fn holds(model: fn()) {
    let (runs, failed) = explore(model, None);
    println!("{runs} runs");
    assert!(!failed, "see above what went wrong, in run {runs}");
    assert!(runs > 1, "threads that never meet show nothing");
}

/// Explores a model with a fault, which must show.
///
/// # Panics
/// If it does not.
pub fn finds(fault: impl Into<Fault>, model: fn()) {
    let fault = fault.into();
    let (runs, failed) = explore(model, Some(fault));
    println!("{fault:?}: run {runs}");
    assert!(failed, "{fault:?} was not found in {runs} runs");
}

/// Returns how many runs there were, and whether the last one failed. Explores on a separate thread, since
/// faults are planted per thread.
fn explore(model: fn(), fault: Option<Fault>) -> (usize, bool) {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let explored = thread::spawn(move || {
        match fault {
            None => {}
            Some(Fault::Bug(bug)) => planted::plant(Some(bug)),
            Some(Fault::Weakness(weakness)) => weaken(Some(weakness)),
        }
        let mut builder = Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS));
        builder.max_branches = STEPS;
        let run = move || {
            count.fetch_add(1, Ordering::Relaxed);
            model();
        };
        catch_unwind(AssertUnwindSafe(|| builder.check(run))).is_err()
    });
    let failed = explored.join().unwrap_or(true);
    (runs.load(Ordering::Relaxed), failed)
}
