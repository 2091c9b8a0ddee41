//! The rules of epochs, checked in every order of events that a small cluster can have.
//!
//! Members and the number of groups change while commands, strong reads, snapshots and crashes come at any moment. Everything that
//! `niagara_sequencer::epoch` decides is the production code here, and so are merge, places and read barriers; Raft, disks and
//! the network are modelled. A plan may leave one rule out ([`Mistake`]): then something must go wrong, or the rule
//! would not be needed, or the check would not look.
//!
//! It does not cover Raft itself, and batches.
//!
//! ```
//! use niagara_tests::model::epochs::{Plan, Shape};
//!
//! let shape = |groups| vec![Shape { groups, members: &[1, 2] }];
//! let report = Plan { commands: 1, ..Plan::of(vec![shape(1), shape(2)]) }.check();
//! assert!(report.counterexample.is_none(), "{report}");
//! ```

mod callers;
mod catching_up;
mod entry;
mod lives;
mod merging;
mod plan;
mod progress;
mod raft;
mod reached;
mod settling;
mod snapshots;
mod state;
mod steps;
mod trace;
mod walk;

use std::sync::Arc;

use stateright::{CheckerBuilder, Model, Property};

use self::reached::Reached;
use self::state::State;
use self::steps::Step;
use super::{Counterexample, Report, Verdicts, explore};

pub use plan::{Mistake, Plan, Shape};

impl Plan {
    /// Explores all states, until a property is violated.
    #[must_use]
    pub fn check(self) -> Report {
        explore(Search::of(self), CheckerBuilder::spawn_bfs, describe)
    }

    /// Walks at random, again and again, through so many states. A seed always walks the same way. Returns also what has not
    /// happened on the way.
    #[must_use]
    pub fn walk(self, seed: u64, states: usize) -> (Report, Vec<&'static str>) {
        let search = Search::of(self);
        let reached = Arc::clone(&search.reached);
        let walk = |checker: CheckerBuilder<Search>| {
            checker.target_state_count(states).spawn_simulation(seed, walk::InputsAreRare)
        };
        let report = explore(search, walk, describe);
        (report, reached.missing())
    }
}

fn describe(search: &Search, property: &'static str, path: &[(State, Option<Step>)]) -> Counterexample {
    trace::counterexample(&search.plan, property, path)
}

struct Search {
    plan: Plan,
    verdicts: Verdicts,
    reached: Arc<Reached>,
}

impl Search {
    fn of(plan: Plan) -> Search {
        Search { plan, verdicts: Verdicts::default(), reached: Arc::default() }
    }

    fn holds(&self, state: &State, invariant: &str) -> bool {
        self.verdicts.judge(state.violated != Some(invariant))
    }
}

impl Model for Search {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.plan)]
    }

    /// Nothing follows a violation: rules may panic beyond it.
    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        if state.violated.is_none() {
            state.steps(&self.plan, actions);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        next.take(&self.plan, step);
        Some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.groups.iter().flatten().all(|group| group.log.len() <= self.plan.longest_log)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("global_prefix", |search, state| {
                search.reached.look(&search.plan, state);
                search.holds(state, "global_prefix")
            }),
            Property::always("applied_once", |search, state| search.holds(state, "applied_once")),
            Property::always("compaction_floor", |search, state| search.holds(state, "compaction_floor")),
            Property::always("read_is_fresh", |search, state| search.holds(state, "read_is_fresh")),
            Property::always("progress_after_heal", |search, state| {
                search.verdicts.judge(progress_after_heal(&search.plan, state))
            }),
        ]
    }
}

/// When faults end, every server comes to the newest epoch, every request ends, ended epochs are closed, and removed servers stop.
fn progress_after_heal(plan: &Plan, state: &State) -> bool {
    if !plan.must_end || state.violated.is_some() {
        return true;
    }
    let mut steps = Vec::new();
    state.steps(plan, &mut steps);
    !state.is_at_rest(&steps) || state.stuck(plan).is_none()
}
