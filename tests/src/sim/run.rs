//! One simulation from start to end.

use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::coverage::Coverage;
use super::plan::Plan;
use super::trace::Trace;
use super::world::script::BEGINS;
use super::world::{Event, World};
use crate::linearizability::Operation;

/// The result of a simulation.
#[derive(Debug)]
pub struct Report {
    /// What happened, and how often.
    pub coverage: Coverage,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// Clients' operations on shared keys and their answers, up to the failure if there was one.
    pub history: Vec<Operation<String>>,
    /// What happened, in words; empty unless requested.
    pub trace: String,
    /// The last lines of the trace.
    pub last_lines: String,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The broken invariant, or `assertion` for one within the engine.
    pub invariant: String,
    /// What was seen.
    pub what: String,
    /// When, in virtual microseconds.
    pub at: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} virtual ms, {}: {}", self.at / 1000, self.invariant, self.what)
    }
}

/// Lines of the trace that a report shows.
const LAST_LINES: usize = 60;

thread_local! {
    /// Place and reason of this thread's last panic; `None` outside of simulations.
    static PANIC: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Runs a plan. A failed assertion anywhere in the engine counts as a failure of the simulation, too.
pub fn run(plan: Plan, trace: bool) -> Report {
    listen_to_panics();
    PANIC.with_borrow_mut(|panic| *panic = Some(None));
    let mut world = World::new(plan, trace);
    world.after(BEGINS, Event::Script(0));
    let result = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    let panicked = PANIC.take().flatten();
    let failure = match result {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => {
            Some(Failure { invariant: broken.invariant.to_owned(), what: broken.what, at: world.now })
        }
        Err(_) => {
            let what = panicked.unwrap_or_else(|| "a panic without a message".into());
            Some(Failure { invariant: "assertion".into(), what, at: world.now })
        }
    };
    if failure.is_some() {
        world.note_standings();
    }
    let World { coverage, trace, clients, invariants, .. } = world;
    let history = clients.history(&invariants.acked_is_applied);
    let (last_lines, trace) = (trace.last(LAST_LINES), Trace::into_text(trace));
    Report { coverage, failure, history, trace, last_lines }
}

/// A panic in a simulation is a result, to be reported once and in its place, not printed as it happens.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let in_simulation = PANIC.with_borrow_mut(|panic| {
                panic.as_mut().map(|panic| *panic = Some(info.to_string())).is_some()
            });
            if !in_simulation {
                usual(info);
            }
        }));
    });
}
