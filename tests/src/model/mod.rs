//! The rules of the sequencer, checked in every order of events that a small cluster can have.
//!
//! Random histories (`sequencer/tests/rules/`) find what is likely. Here the model checker stateright
//! explores *all* states of a cluster of few servers and groups, with a few commands, strong reads, ticks and
//! changes of leader at any moment: what holds here holds for every order of events that small. Merge,
//! padding, places of commands and read barriers are the production code of `niagara-sequencer`; Raft and the
//! network are modelled ([`State`]).
//!
//! ```
//! use niagara_tests::model::Plan;
//!
//! let report = Plan { groups: 2, commands: 1, reads: 1, ..Plan::SMALL }.check();
//! assert!(report.counterexample.is_none(), "{report}");
//! ```

pub mod epochs;
mod properties;
mod state;
mod trace;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use niagara_sequencer::GroupId;
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, Property};

pub use state::{State, Step};
pub use trace::Counterexample;

/// A cluster to check, its inputs, and the rules that it follows.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number of groups, from 1.
    pub groups: u16,
    /// Number of servers, from 1.
    pub servers: usize,
    /// Number of commands in each log at the start, applied everywhere.
    pub rounds_before: u8,
    /// The most commands, to any groups.
    pub commands: u8,
    /// The most strong reads, through any servers.
    pub reads: u8,
    /// The most ticks while other events happen, on any servers. When nothing else can happen, time goes on.
    pub ticks: u8,
    /// The most changes of leader.
    pub elections: u8,
    /// Which group strong reads ask.
    pub asked: Asked,
    /// How leaders pad.
    pub padded: Padded,
    /// A planted mistake: answers to reads are so many places too low.
    pub answers_too_low: u64,
    /// A planted mistake: a leader's next place ignores uncommitted entries.
    pub places_forget_uncommitted: bool,
    /// A planted mistake: servers merge entries before they are committed.
    pub merge_uncommitted: bool,
}

/// Which group a strong read asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The rule: the group that owns the slot which the merge awaits.
    Awaited,
    /// Always this one, as the paper allows.
    Always(GroupId),
}

/// How a leader without commands pads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padded {
    /// The rule: up to the level, or ahead of it if idle and allowed.
    ToTheLevel {
        /// Whether idle leaders skip ahead.
        skip_ahead: bool,
    },
    /// The paper's rule: by as many no-ops as the log is shorter than the longest.
    ByCount,
}

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of different states; up to the counterexample, if there is one.
    pub states: usize,
    /// The most steps from the start to any of them.
    pub depth: usize,
    /// Duration of the check.
    pub took: Duration,
    /// A violation of a property, in as few steps as possible.
    pub counterexample: Option<Counterexample>,
}

impl Plan {
    /// Two servers and two groups that follow all rules, without inputs.
    pub const SMALL: Self = Self {
        groups: 2,
        servers: 2,
        rounds_before: 0,
        commands: 0,
        reads: 0,
        ticks: 0,
        elections: 0,
        asked: Asked::Awaited,
        padded: Padded::ToTheLevel { skip_ahead: true },
        answers_too_low: 0,
        places_forget_uncommitted: false,
        merge_uncommitted: false,
    };

    /// Explores all states, until a property is violated.
    #[must_use]
    pub fn check(self) -> Report {
        let search = Search { plan: self, verdicts: Verdicts::default() };
        explore(search, CheckerBuilder::spawn_bfs, |search, property, path| {
            Counterexample::new(&search.plan, property, path)
        })
    }

    /// Number of all commands, including those at the start.
    fn all_commands(&self) -> u8 {
        self.commands + self.rounds_before * self.groups as u8
    }

    /// Up to which entry a server may merge a log.
    fn may_merge(&self, held: usize, committed: usize) -> usize {
        if self.merge_uncommitted { held } else { held.min(committed) }
    }
}

/// Explores the states of a model as `spawn` says, until a property is violated; `describe` says how.
fn explore<M, C>(
    model: M,
    spawn: impl FnOnce(CheckerBuilder<M>) -> C,
    describe: impl Fn(&M, &'static str, &[(M::State, Option<M::Action>)]) -> Counterexample,
) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
    C: Checker<M>,
{
    let began = Instant::now();
    let checker = spawn(model.checker().finish_when(HasDiscoveries::Any)).join();
    let violation = checker.discoveries().into_iter().next();
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        counterexample: violation
            .map(|(property, path)| describe(checker.model(), property, &path.into_vec())),
    }
}

/// Whether some state has violated a property. The first one is reported, since it takes the fewest steps; stateright would
/// continue for a while, and report the last.
#[derive(Default)]
struct Verdicts {
    violated: AtomicBool,
}

impl Verdicts {
    fn judge(&self, holds: bool) -> bool {
        holds || self.violated.swap(true, Ordering::Relaxed)
    }
}

struct Search {
    plan: Plan,
    verdicts: Verdicts,
}

impl Model for Search {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.plan)]
    }

    /// Nothing follows a log whose places do not rise: the merge would panic.
    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        if properties::slots_rise(state) {
            state.steps(&self.plan, actions);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        next.take(&self.plan, step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
